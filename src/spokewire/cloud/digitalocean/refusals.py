"""What a refusal of DigitalOcean's means for us. Decided by status and message: its `id` is the same for most. Pure."""

import re
from enum import StrEnum
from typing import Any

from spokewire.cloud.http import RefusalError
from spokewire.errors import Code, InputError, PermanentError, SpokewireError

SCOPES = (
    "account:read, actions:read, droplet:create, droplet:read, droplet:update, droplet:delete, firewall:create, firewall:read, "
    "firewall:update, firewall:delete, image:read, regions:read, reserved_ip:create, reserved_ip:read, reserved_ip:update, "
    "reserved_ip:delete, sizes:read, ssh_key:read, tag:create, tag:read, tag:delete, vpc:read"
)
"""What a token with custom scopes must have for all that is done here."""

_UNAUTHORIZED, _FORBIDDEN, _UNPROCESSABLE = 401, 403, 422


class Refused(StrEnum):
    """Why a droplet was not made, as far as it changes what is done next."""

    NO_ROOM = "no room"
    """Of this size in this region: another choice may do."""
    LIMIT = "limit"
    KEY = "key"
    OTHER = "other"


_CAUSES = (
    (Refused.LIMIT, re.compile(r"droplet limit", re.IGNORECASE)),
    (Refused.KEY, re.compile(r"invalid key identifiers|ssh key", re.IGNORECASE)),
    (
        Refused.NO_ROOM,
        re.compile(
            r"invalid (?:size|region)|(?:size|region|sizes?) is not available|region is not available|not available in (?:this|the)"
            r"|currently unavailable|sold out|no capacity|resource unavailable",
            re.IGNORECASE,
        ),
    ),
)


def explain(body: Any) -> str:
    """DigitalOcean's own words in an error's body."""
    return str(body.get("message") or "") if isinstance(body, dict) else ""


def classify(refusal: RefusalError) -> Refused:
    """Why the creation of a droplet was refused."""
    if refusal.status != _UNPROCESSABLE:
        return Refused.OTHER
    words = explain(refusal.body)
    return next((cause for cause, pattern in _CAUSES if pattern.search(words)), Refused.OTHER)


def is_pending_event(refusal: RefusalError) -> bool:
    """Whether something else is being done to the droplet or address: wait and repeat."""
    return refusal.status == _UNPROCESSABLE and "pending event" in explain(refusal.body).lower()


def is_duplicate(refusal: RefusalError) -> bool:
    """Whether one of that name exists already."""
    return refusal.status in (409, _UNPROCESSABLE) and bool(
        re.search(r"duplicate|already (?:exists|in use|been taken)", explain(refusal.body), re.IGNORECASE)
    )


def translate(refusal: RefusalError) -> SpokewireError:
    """The error that a person is told: credentials are theirs to mend, the rest is as DigitalOcean said."""
    if refusal.status == _UNAUTHORIZED:
        return InputError(
            Code.CREDENTIALS_REFUSED,
            "DigitalOcean does not accept the token.",
            hint="Make a new one at DigitalOcean (API, Tokens) and set DIGITALOCEAN_TOKEN.",
        )
    if refusal.status == _FORBIDDEN:
        return InputError(
            Code.CREDENTIALS_REFUSED,
            f"The token may not do this at {refusal.message}",
            hint=f"Make a token with full access, or with these scopes: {SCOPES}.",
        )
    return refusal


def limit_reached(words: str) -> PermanentError:
    """The account has as many droplets as it may have."""
    return PermanentError(
        Code.ACCOUNT_LIMIT,
        f"DigitalOcean's droplet limit of this account is reached{words}.",
        hint="Remove a droplet, or ask DigitalOcean for a higher limit.",
    )
