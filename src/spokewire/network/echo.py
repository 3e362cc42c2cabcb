"""Echo packets: the small UDP datagrams whose answers are the only health there is.

32 bytes, big endian: magic `SPWE` (4), version (1), kind (1), reserved zero (2), session (8), sequence (8), sent_at (8).
The answer repeats the request byte for byte but for its kind, so an answer is never larger than its question (RFC 8085 section 6).
"""

import struct
from dataclasses import dataclass, replace
from enum import IntEnum

PORT = 51821
"""UDP and TCP, on the overlay only."""
_LAYOUT = struct.Struct("!4sBBHQQQ")
SIZE = _LAYOUT.size
_MAGIC = b"SPWE"
_VERSION = 1


class Kind(IntEnum):
    """Question or answer."""

    REQUEST = 1
    ANSWER = 2


@dataclass(frozen=True)
class Echo:
    """One echo packet. `session` is random for each start of a sender; `sent_at` is its own clock, meaningless to others."""

    kind: Kind
    session: int
    sequence: int
    sent_at: int


def format_echo(echo: Echo) -> bytes:
    """Write an echo packet."""
    return _LAYOUT.pack(_MAGIC, _VERSION, echo.kind, 0, echo.session, echo.sequence, echo.sent_at)


def parse_echo(data: bytes) -> Echo | None:
    """Read an echo packet; None for anything else."""
    if len(data) != SIZE:
        return None
    magic, version, kind, reserved, session, sequence, sent_at = _LAYOUT.unpack(data)
    if (magic, version, reserved) != (_MAGIC, _VERSION, 0) or kind not in set(Kind):
        return None
    return Echo(Kind(kind), session, sequence, sent_at)


def answer(request: Echo) -> Echo:
    """Answer a request."""
    return replace(request, kind=Kind.ANSWER)
