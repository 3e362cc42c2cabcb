"""The token: all that a machine needs to join, as one URL-safe string.

`spw1.` + base64url of a JSON object + `.` + a checksum, so that a token cut short by copy and paste is told from a foreign one.
Minting a token needs no hub and no network.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spokewire.errors import Code, InputError
from spokewire.network.documents import Grant, verify_grant
from spokewire.network.keys import (
    decode_base64url,
    derive_network_id,
    encode_base64url,
    format_private_key,
    format_public_key,
    parse_private_key,
    parse_public_key,
)
from spokewire.network.names import NetworkId

PREFIX = "spw1"
MAX_TOKEN_CHARACTERS = 16 * 1024


class _Payload(BaseModel):
    model_config = ConfigDict(strict=True)

    root: str
    grant: str
    key: str
    hubs: Annotated[tuple[tuple[str, ...], ...], Field(strict=False, max_length=64)]


@dataclass(frozen=True)
class Token:
    """A parsed token. `grant_key` is secret: it never appears in a repr, a log or an error."""

    root: Ed25519PublicKey
    grant: Grant
    grant_text: str
    grant_key: Ed25519PrivateKey
    hub_urls: tuple[tuple[str, ...], ...]
    """Where each hub's API was when the token was minted, one URL for each family; records tell later addresses."""

    @property
    def network(self) -> NetworkId:
        """The id of the network that the token is for."""
        return derive_network_id(self.root)

    def __repr__(self) -> str:
        return f"Token(name={self.grant.name!r}, network={self.network!r})"


def format_token(
    root: Ed25519PublicKey, grant_text: str, grant_key: Ed25519PrivateKey, hub_urls: Sequence[tuple[str, ...]]
) -> str:
    """Write a token. Secret: whoever has it is the machine."""
    payload = _Payload(
        root=format_public_key(root), grant=grant_text, key=format_private_key(grant_key), hubs=tuple(hub_urls)
    )
    body = encode_base64url(payload.model_dump_json().encode())
    return f"{PREFIX}.{body}.{_checksum(body)}"


def parse_token(text: str, now: float) -> Token:
    """Read a token and check its chain; InputError says whether it is damaged, foreign or expired, and never quotes it."""
    parts = text.strip().split(".")
    if len(text) > MAX_TOKEN_CHARACTERS or len(parts) != 3 or parts[0] != PREFIX or parts[2] != _checksum(parts[1]):  # noqa: PLR2004
        raise _damaged()
    try:
        payload = _Payload.model_validate_json(decode_base64url(parts[1]))
        root, key = parse_public_key(payload.root), parse_private_key(payload.key)
    except (ValidationError, ValueError, RecursionError):
        raise _damaged() from None
    try:
        grant = verify_grant(payload.grant, root, derive_network_id(root), now)
    except InputError as error:
        if error.code is Code.DOCUMENT_EXPIRED:
            raise InputError(Code.TOKEN_EXPIRED, "The token has expired.", hint=error.hint) from None
        raise InputError(
            Code.TOKEN_FOREIGN,
            f"The token does not belong together: {error.message}",
            hint="Mint a new one: spokewire node token NAME.",
        ) from None
    if format_public_key(key.public_key()) != grant.key:
        raise InputError(
            Code.TOKEN_FOREIGN,
            "The token's key is not the one that was granted.",
            hint="Mint a new one: spokewire node token NAME.",
        )
    return Token(root=root, grant=grant, grant_text=payload.grant, grant_key=key, hub_urls=payload.hubs)


def _checksum(body: str) -> str:
    return hashlib.sha256(body.encode(errors="replace")).hexdigest()[:8]


def _damaged() -> InputError:
    return InputError(
        Code.TOKEN_DAMAGED,
        "The token is damaged: it is not as it was minted.",
        hint="Copy it again, whole, or mint a new one: spokewire node token NAME.",
    )
