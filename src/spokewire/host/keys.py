"""Making secrets: needs randomness, so it is not in `network`."""

import base64
import datetime as dt
import secrets

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from spokewire.network.names import WireGuardKey


def make_signing_key() -> Ed25519PrivateKey:
    """Make an Ed25519 key: a network's root, or a grant's."""
    return Ed25519PrivateKey.generate()


def make_id() -> str:
    """Make an id of 128 random bits, URL-safe."""
    return secrets.token_urlsafe(16)


def make_number(bits: int = 64) -> int:
    """Make a random number of that many bits."""
    return secrets.randbits(bits)


def make_bytes(size: int) -> bytes:
    """Make that many random bytes."""
    return secrets.token_bytes(size)


def make_wireguard_key() -> str:
    """Make a WireGuard private key, in base64 as `wg genkey` prints it: random bytes, with the bits set that X25519 would set (RFC 7748 section 5). Secret."""
    raw = bytearray(secrets.token_bytes(32))
    raw[0] &= 0b1111_1000
    raw[31] = raw[31] & 0b0111_1111 | 0b0100_0000
    return base64.b64encode(raw).decode()


def derive_wireguard_public_key(private_key: str) -> WireGuardKey:
    """The public half of a WireGuard private key; ValueError if it is not one."""
    raw = base64.b64decode(private_key, validate=True)
    public = X25519PrivateKey.from_private_bytes(raw).public_key()
    return WireGuardKey(base64.b64encode(public.public_bytes_raw()).decode())


def make_certificate(name: str) -> tuple[str, str]:
    """Make a hub's TLS key and self-made certificate, both PEM.

    The hub's record vouches for the certificate, so it names no host and, as RFC 5280 section 4.1.2.5 allows, does not
    expire: a wrong clock must not cut a node off.
    """
    # Only a hub's first start needs these.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return key_text, certificate.public_bytes(serialization.Encoding.PEM).decode()
