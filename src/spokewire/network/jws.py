"""JSON Web Signatures in compact form (RFC 7515 section 7.1), signed with EdDSA (RFC 8037 section 3.1) and nothing else."""

import json
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from spokewire.network.keys import decode_base64url, encode_base64url

ALGORITHM = "EdDSA"


@dataclass(frozen=True)
class Jws:
    """A text taken apart; nothing of it is verified yet. `signed` is what the signature is over."""

    header: dict[str, object]
    payload: bytes
    signed: bytes
    signature: bytes

    def is_signed_by(self, key: Ed25519PublicKey) -> bool:
        """Whether this key's other half made the signature. What algorithm the header claims is not asked."""
        try:
            key.verify(self.signature, self.signed)
        except InvalidSignature:
            return False
        return True


def sign(payload: bytes, typ: str, key: Ed25519PrivateKey) -> str:
    """Sign a payload; the header names the algorithm and `typ`."""
    header = json.dumps({"typ": typ, "alg": ALGORITHM}, separators=(",", ":"))
    signed = f"{encode_base64url(header.encode())}.{encode_base64url(payload)}"
    return f"{signed}.{encode_base64url(key.sign(signed.encode()))}"


def parse(text: str) -> Jws:
    """Take a text apart; ValueError if it is not of three parts in base64url, the first of them a JSON object."""
    head, payload, signature = (decode_base64url(part) for part in text.split("."))
    try:
        header = json.loads(head)
    except RecursionError as error:
        raise ValueError("too deep") from error
    if not isinstance(header, dict):
        raise ValueError("no object")  # noqa: TRY004 - whoever sent it did not call us wrongly
    return Jws(header, payload, text.rpartition(".")[0].encode(), signature)
