"""Echo packets: the small UDP datagrams whose answers are the only health there is.

36 bytes, big endian: magic `SPWE` (4), version (1), kind (1), reserved zero (2), session (8), sequence (8), sent_at (8), received (4).
The answer repeats the request but for its kind, and for `received`: how many requests of that session have arrived, by which the asker tells packets
lost on the way out from those lost on the way back. Zeros may follow, to find out what size of packet passes; an answer has as many of them as its
question, so it is never larger (RFC 8085 section 6), and shows that such a packet passes both ways.
"""

import struct
from dataclasses import dataclass, replace
from enum import IntEnum

PORT = 51821
"""UDP and TCP, on the overlay only."""
_LAYOUT = struct.Struct("!4sBBHQQQI")
SIZE = _LAYOUT.size
MAX_SIZE = 1400
"""With the heads of IPv4 and UDP (28) still more than any MTU of ours."""
_MAGIC = b"SPWE"
_VERSION = 1
_PURPOSE_BITS = 2


class Kind(IntEnum):
    """Question or answer."""

    REQUEST = 1
    ANSWER = 2


@dataclass(frozen=True)
class Echo:
    """One echo packet. `session` is random for each start of a sender, but for its lowest two bits, which tell its sessions apart; `sent_at` is its own clock, meaningless to others."""

    kind: Kind
    session: int
    sequence: int
    sent_at: int
    received: int = 0
    """In an answer: how many requests of this session have arrived, this one included, modulo 2^32; 0 in a request."""
    size: int = SIZE
    """Bytes in all, SIZE to MAX_SIZE; what is beyond SIZE is zeros."""


def format_echo(echo: Echo) -> bytes:
    """Write an echo packet."""
    head = _LAYOUT.pack(_MAGIC, _VERSION, echo.kind, 0, echo.session, echo.sequence, echo.sent_at, echo.received)
    return head.ljust(echo.size, b"\0")


def parse_echo(data: bytes) -> Echo | None:
    """Read an echo packet; None for anything else."""
    if not SIZE <= len(data) <= MAX_SIZE or any(data[SIZE:]):
        return None
    magic, version, kind, reserved, session, sequence, sent_at, received = _LAYOUT.unpack_from(data)
    if (magic, version, reserved) != (_MAGIC, _VERSION, 0) or kind not in set(Kind):
        return None
    return Echo(Kind(kind), session, sequence, sent_at, received, len(data))


def answer(request: Echo, received: int) -> Echo:
    """Answer a request; `received` counts those that have arrived."""
    return replace(request, kind=Kind.ANSWER, received=received % 2**32)


def make_sessions(number: int) -> tuple[int, int, int]:
    """The sessions of one agent, from a random number: to probe, to measure, and for echoes of chosen sizes."""
    agent = number % 2**62 << _PURPOSE_BITS
    return agent, agent + 1, agent + 2


def find_agent(session: int) -> int:
    """What all sessions of one agent share, and no other's."""
    return session >> _PURPOSE_BITS
