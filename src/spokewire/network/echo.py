"""Echo packets: the small UDP datagrams whose answers are the only health there is.

36 bytes, big endian: magic `SPWE` (4), version (1), kind (1), reserved zero (2), session (8), sequence (8), sent_at (8), received (4).
The answer repeats the request but for its kind, and for `received`: how many requests of that session have arrived, by which the asker tells packets
lost on the way out from those lost on the way back. Zeros may follow, to find out what size of packet passes; an answer has as many of them as its
question, so it is never larger (RFC 8085 section 6), and shows that such a packet passes both ways.

A node may also ask a hub where the hub sees it: WHERE is 36 bytes, and HERE repeats them with an endpoint behind: IPv6 address, or IPv4 mapped into one
(RFC 4291 section 2.5.5.2) (16), port (2). These 18 bytes go nowhere but through the tunnel to whoever asked.
"""

import struct
from dataclasses import dataclass, replace
from enum import IntEnum
from ipaddress import IPv6Address, ip_address

PORT = 51821
"""UDP and TCP, on the overlay only."""
_LAYOUT = struct.Struct("!4sBBHQQQI")
SIZE = _LAYOUT.size
_PLACE = struct.Struct("!16sH")
HERE_SIZE = SIZE + _PLACE.size
MAX_SIZE = 1400
"""With the heads of IPv4 and UDP (28) still more than any MTU of ours."""
_MAGIC = b"SPWE"
_VERSION = 1
_PURPOSE_BITS = 2


class Kind(IntEnum):
    """Question or answer: of life, or of where somebody is seen."""

    REQUEST = 1
    ANSWER = 2
    WHERE = 3
    HERE = 4


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
    """Bytes in all, SIZE to MAX_SIZE; what is beyond SIZE is zeros, but in HERE."""
    endpoint: str = ""
    """In HERE: `203.0.113.5:1234` or `[2001:db8::5]:1234`; "" in all others."""


def format_echo(echo: Echo) -> bytes:
    """Write an echo packet."""
    head = _LAYOUT.pack(_MAGIC, _VERSION, echo.kind, 0, echo.session, echo.sequence, echo.sent_at, echo.received)
    return (head + _pack_place(echo.endpoint) if echo.kind is Kind.HERE else head).ljust(echo.size, b"\0")


def parse_echo(data: bytes) -> Echo | None:
    """Read an echo packet; None for anything else."""
    if not SIZE <= len(data) <= MAX_SIZE:
        return None
    magic, version, kind, reserved, session, sequence, sent_at, received = _LAYOUT.unpack_from(data)
    if (magic, version, reserved) != (_MAGIC, _VERSION, 0) or kind not in set(Kind):
        return None
    echo, rest = Echo(Kind(kind), session, sequence, sent_at, received, len(data)), data[SIZE:]
    match echo.kind:
        case Kind.REQUEST | Kind.ANSWER:
            return None if any(rest) else echo
        case Kind.WHERE:
            return None if rest or received else echo
        case Kind.HERE:
            endpoint = _unpack_place(rest)
            return None if endpoint is None or received else replace(echo, endpoint=endpoint)


def answer(request: Echo, received: int) -> Echo:
    """Answer a request; `received` counts those that have arrived."""
    return replace(request, kind=Kind.ANSWER, received=received % 2**32)


def locate(question: Echo, endpoint: str) -> Echo:
    """Answer WHERE with an endpoint as WireGuard writes it; ValueError if it is none."""
    place = _unpack_place(_pack_place(endpoint))
    if place is None:
        raise ValueError(f"{endpoint} is no endpoint")
    return replace(question, kind=Kind.HERE, size=HERE_SIZE, endpoint=place)


def make_sessions(number: int) -> tuple[int, int, int]:
    """The sessions of one agent, from a random number: to probe, to measure, and for echoes of chosen sizes."""
    agent = number % 2**62 << _PURPOSE_BITS
    return agent, agent + 1, agent + 2


def find_agent(session: int) -> int:
    """What all sessions of one agent share, and no other's."""
    return session >> _PURPOSE_BITS


def _pack_place(endpoint: str) -> bytes:
    host, _, port = endpoint.rpartition(":")
    return _PLACE.pack(_map(ip_address(host.strip("[]")).packed), int(port))


def _unpack_place(data: bytes) -> str | None:
    """The endpoint in its one spelling; None if nobody can be there."""
    if len(data) != _PLACE.size:
        return None
    packed, port = _PLACE.unpack(data)
    address = IPv6Address(packed)
    inner = address.ipv4_mapped or address
    if not port or inner.is_unspecified or inner.is_multicast:
        return None
    return f"[{inner}]:{port}" if inner is address else f"{inner}:{port}"


def _map(packed: bytes) -> bytes:
    """An IPv4 address as the IPv6 address that stands for it."""
    return packed if len(packed) == IPv6Address(0).max_prefixlen // 8 else bytes(10) + b"\xff\xff" + packed
