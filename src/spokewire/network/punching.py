"""Direct paths: where two nodes may reach each other without a hub, how they find out, and when they use it. Pure.

Each tells the other, through the tunnel, where it may be reached: as its hubs see it (what STUN does, RFC 8489), and its own addresses, for two in one
LAN. Each also tells a key. Then both send probes from WireGuard's own port to all of these places at once, which opens the mappings of their NATs
(RFC 5128 section 3.3). A probe that comes is answered to where it came from, which may be another place than was told: the mapping of a symmetric NAT.
An answer shows that both ways pass. WireGuard itself takes no notice of any of this: it drops what it does not know.
"""

import hashlib
import hmac
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from ipaddress import IPv4Network, IPv6Network, ip_address

MAGIC = b"\x53PWD"
"""No message of WireGuard's begins so: theirs begin with a type from 1 to 4 and three zero bytes."""
_LAYOUT = struct.Struct("!4sB3xIQ")
MAC_BYTES = 16
PROBE_BYTES = _LAYOUT.size + MAC_BYTES
KEY_BYTES = 16

MAX_PLACES = 8
PROBE_INTERVAL_S = 0.2
TRY_S = 3.0
"""How long probes are sent before the NATs between two nodes count as ones that let nothing through."""
LEAST_PAUSE_S = 5.0
"""From one try to the next, whatever the other end says: it names addresses that are not its own, too. Less than any rest of an honest one."""
LEAST_ANSWERS = 3
"""From one place, before packets go there."""
FIRST_REST_S = 10.0
LONGEST_REST_S = 600.0
"""From one try to the next: doubled each time."""
STEADY_S = 60.0
"""A direct path that held for so long was a good one: if it ends, the next try comes soon again."""


class ProbeKind(IntEnum):
    """Question or answer."""

    ASK = 1
    ANSWER = 2


@dataclass(frozen=True)
class Probe:
    """One probe: from the node with this host number, with a number that only the asker understands."""

    kind: ProbeKind
    sender: int
    nonce: int


def format_probe(probe: Probe, key: bytes) -> bytes:
    """Write a probe with its MAC (BLAKE2s, keyed with what the receiver told)."""
    body = _LAYOUT.pack(MAGIC, probe.kind, probe.sender, probe.nonce)
    return body + _mac(body, key)


def read_sender(data: bytes) -> int | None:
    """Who a probe claims to be from; None if it is no probe."""
    if len(data) != PROBE_BYTES or not data.startswith(MAGIC):
        return None
    sender: int = _LAYOUT.unpack_from(data)[2]
    return sender


def parse_probe(data: bytes, key: bytes) -> Probe | None:
    """Read a probe for which we told this key; None for anything else."""
    body, mac = data[: _LAYOUT.size], data[_LAYOUT.size :]
    if read_sender(data) is None or not hmac.compare_digest(mac, _mac(body, key)):
        return None
    _, kind, sender, nonce = _LAYOUT.unpack(body)
    return Probe(ProbeKind(kind), sender, nonce) if kind in set(ProbeKind) else None


def _mac(body: bytes, key: bytes) -> bytes:
    return hashlib.blake2s(body, key=key, digest_size=MAC_BYTES).digest()


def choose_places(told: Iterable[str], overlay: Iterable[IPv4Network | IPv6Network]) -> tuple[str, ...]:
    """Of the places that another node tells, those that a probe may be sent to: unicast, not our own machine, not the overlay itself."""
    inside, chosen = tuple(overlay), dict[str, None]()
    for place in told:
        host, _, port = place.rpartition(":")
        try:
            address, number = ip_address(host.strip("[]")), int(port)
        except ValueError:
            continue
        is_odd = address.is_multicast or address.is_unspecified or address.is_loopback or address.is_link_local
        if is_odd or address.is_reserved or not 0 < number < 2**16 or any(address in network for network in inside):
            continue
        chosen[f"[{address}]:{number}" if address.version == 6 else f"{address}:{number}"] = None  # noqa: PLR2004
    return tuple(chosen)[:MAX_PLACES]


@dataclass(frozen=True)
class Answered:
    """What came back from one place: how often, and the shortest round trip in ms."""

    count: int
    rtt_ms: float


@dataclass(frozen=True)
class Direct:
    """How far a pair has come with a direct path. Instants are monotonic seconds."""

    place: str | None = None
    """Where packets go directly; None: they go through a hub."""
    since: float = 0.0
    round: int = 0
    """Of the tries: the leading end counts them, the other follows."""
    tried: int = 0
    """The newest round in which probes were sent."""
    tried_at: float = float("-inf")
    """When that began."""
    trying_until: float | None = None
    next_try_at: float = 0.0
    rest_s: float = FIRST_REST_S
    answered: Mapping[str, Answered] = field(default_factory=dict)
    """In this try, by place."""


def note_answer(direct: Direct, place: str, rtt_ms: float) -> Direct:
    """An answer came from a place."""
    before = direct.answered.get(place)
    count, best_ms = (0, rtt_ms) if before is None else (before.count, before.rtt_ms)
    return replace(direct, answered={**direct.answered, place: Answered(count + 1, min(best_ms, rtt_ms))})


def invite(direct: Direct, now: float) -> Direct | None:
    """The leading end asks the other to try, in a new round; None: not now. If nobody comes, the next invitation is a rest away."""
    if direct.place is not None or direct.trying_until is not None or now < direct.next_try_at:
        return None
    rest_s = min(LONGEST_REST_S, 2 * direct.rest_s)
    return replace(direct, round=direct.round + 1, next_try_at=now + direct.rest_s, rest_s=rest_s)


def accepts_round(direct: Direct, number: int, *, leads: bool, now: float) -> bool:
    """Whether to send probes now that the other end has told where it is: the end that follows in any new round, the leading one once in its own."""
    is_free = direct.place is None and direct.trying_until is None and now - direct.tried_at >= LEAST_PAUSE_S
    is_new = number == direct.round > direct.tried if leads else number > direct.round
    return is_free and is_new


def begin_try(direct: Direct, number: int, now: float) -> Direct:
    """Both ends have told where they are, for this round: send probes from now on."""
    return replace(direct, round=number, tried=number, tried_at=now, trying_until=now + TRY_S, answered={})


def end_try(direct: Direct, *, leads: bool, now: float) -> Direct:
    """Look at what the probes say: the leading end takes a place that answers, the other follows where it is called from."""
    if direct.trying_until is None:
        return direct
    found = [place for place, answered in direct.answered.items() if answered.count >= LEAST_ANSWERS]
    if found and leads:
        best = min(found, key=lambda place: direct.answered[place].rtt_ms)
        return take_place(direct, best, now)
    return replace(direct, trying_until=None, answered={}) if now >= direct.trying_until else direct


def take_place(direct: Direct, place: str, now: float) -> Direct:
    """Packets go directly from now on."""
    return replace(direct, place=place, since=now, trying_until=None, answered={})


def leave_place(direct: Direct, now: float) -> Direct:
    """Packets go through a hub again. A path that held for long is tried again soon, another after a growing rest."""
    rest_s = FIRST_REST_S if now - direct.since >= STEADY_S else direct.rest_s
    return replace(
        direct, place=None, since=0.0, next_try_at=now + rest_s, rest_s=min(LONGEST_REST_S, 2 * rest_s), answered={}
    )
