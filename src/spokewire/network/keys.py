"""Keys as text. Making new ones is `spokewire.host.keys`: it needs randomness."""

import base64
import binascii
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from spokewire.network.names import NetworkId, WireGuardKey

KEY_BYTES = 32


def encode_base64url(data: bytes) -> str:
    """Encode as RFC 4648 section 5, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64url(text: str) -> bytes:
    """Decode RFC 4648 section 5 without padding; ValueError on any other spelling of the same bytes."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64url") from error
    if encode_base64url(data) != text:
        raise ValueError("not canonical base64url")
    return data


def format_public_key(key: Ed25519PublicKey) -> str:
    """Write an Ed25519 public key as 43 base64url characters."""
    return encode_base64url(key.public_bytes_raw())


def parse_public_key(text: str) -> Ed25519PublicKey:
    """Read what `format_public_key` wrote; ValueError otherwise."""
    data = decode_base64url(text)
    if len(data) != KEY_BYTES:
        raise ValueError("an Ed25519 public key has 32 bytes")
    return Ed25519PublicKey.from_public_bytes(data)


def format_private_key(key: Ed25519PrivateKey) -> str:
    """Write an Ed25519 private key as 43 base64url characters. Secret."""
    return encode_base64url(key.private_bytes_raw())


def parse_private_key(text: str) -> Ed25519PrivateKey:
    """Read what `format_private_key` wrote; ValueError otherwise."""
    data = decode_base64url(text)
    if len(data) != KEY_BYTES:
        raise ValueError("an Ed25519 private key has 32 bytes")
    return Ed25519PrivateKey.from_private_bytes(data)


def parse_wireguard_key(text: str) -> WireGuardKey:
    """Check a WireGuard key: 44 base64 characters of 32 bytes, spelled as `wg` does; ValueError otherwise."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not a WireGuard key") from error
    if len(data) != KEY_BYTES or base64.b64encode(data).decode() != text:
        raise ValueError("not a WireGuard key")
    return WireGuardKey(text)


def derive_network_id(root: Ed25519PublicKey) -> NetworkId:
    """Derive the network's id from the public half of its root key."""
    return NetworkId(hashlib.sha256(root.public_bytes_raw()).hexdigest()[:32])
