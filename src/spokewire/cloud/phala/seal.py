"""The encrypted environment of a CVM. Pure: the caller brings the randomness.

Source: docs.phala.com and the vendor's own command line, whose output the tests decrypt. X25519 with the key that provisioning returned, the raw
shared secret as the key of AES-256-GCM (no derivation, no associated data), and the message

    ephemeral public key (32 bytes) ‖ nonce (12) ‖ ciphertext ‖ tag (16)        in lower-case hexadecimal

It is confidential, but not authenticated: whoever knows the public key can replace all of it. What must not be replaced stands in the compose text.
"""

import json
import re
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from spokewire.errors import Code, InputError, PermanentError

KEY_BYTES, NONCE_BYTES = 32, 12
MAX_BYTES = 256 * 1024
_HEX_KEY = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")
_TAG_BYTES = 16


def seal(environment: Mapping[str, str], recipient: str, randomness: bytes) -> str:
    """Encrypt an environment for the key (64 hexadecimal digits) that provisioning returned.

    `randomness` is 44 bytes that are used once: the ephemeral private key, then the nonce.
    """
    if len(randomness) != KEY_BYTES + NONCE_BYTES:
        raise ValueError("the randomness has 44 bytes")
    match = _HEX_KEY.fullmatch(recipient)
    if match is None:
        raise PermanentError(
            Code.CLOUD_REFUSED, "Phala Cloud's answer has no key to encrypt with.", hint="Try again later."
        )
    plain = encode(environment)
    ephemeral, nonce = X25519PrivateKey.from_private_bytes(randomness[:KEY_BYTES]), randomness[KEY_BYTES:]
    try:
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(match[1])))
    except ValueError:
        # RFC 7748 section 6.1: a key that gives the all-zero secret would make the environment readable to everybody.
        raise PermanentError(
            Code.CLOUD_REFUSED, "Phala Cloud's answer has a key that encrypts nothing.", hint="Tell Phala."
        ) from None
    public = ephemeral.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return (public + nonce + AESGCM(shared).encrypt(nonce, plain, None)).hex()


def encode(environment: Mapping[str, str]) -> bytes:
    """An environment as it is before it is encrypted; InputError if it is larger than a machine takes."""
    items = [{"key": key, "value": value} for key, value in environment.items()]
    plain = json.dumps({"env": items}, separators=(",", ":"), ensure_ascii=False).encode()
    if len(plain) > MAX_BYTES:
        raise InputError(Code.TOO_LARGE, f"The environment has {len(plain):,} bytes.", hint=f"At most {MAX_BYTES:,}.")
    return plain


def unseal(blob: str, key: X25519PrivateKey) -> dict[str, str]:
    """Decrypt what `seal` or the vendor's tools made; ValueError if it is for another key, altered, or no environment."""
    data = bytes.fromhex(blob)
    if len(data) < KEY_BYTES + NONCE_BYTES + _TAG_BYTES:
        raise ValueError("too short")
    nonce = data[KEY_BYTES : KEY_BYTES + NONCE_BYTES]
    shared = key.exchange(X25519PublicKey.from_public_bytes(data[:KEY_BYTES]))
    try:
        document = json.loads(AESGCM(shared).decrypt(nonce, data[KEY_BYTES + NONCE_BYTES :], None))
        return {str(item["key"]): str(item["value"]) for item in document["env"]}
    except (InvalidTag, KeyError, TypeError) as error:
        raise ValueError("not for this key, or altered") from error
