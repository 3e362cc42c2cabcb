"""Direct paths at work: invitations by signal, probes from WireGuard's own port, and the place that packets go to."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from spokewire.host import clock, keys
from spokewire.network.documents import Grant
from spokewire.network.names import MachineName
from spokewire.network.punching import (
    KEY_BYTES,
    MAX_PLACES,
    PROBE_INTERVAL_S,
    Direct,
    Probe,
    ProbeKind,
    begin_try,
    choose_places,
    end_try,
    format_probe,
    invite,
    leave_place,
    note_answer,
    parse_probe,
    read_sender,
    take_place,
)
from spokewire.network.relays import Relay
from spokewire.network.roster import Roster
from spokewire.network.signal import DirectTold
from spokewire.relay.places import Endpoint, format_endpoint, parse_endpoint
from spokewire.relay.sharing import SharedPort

CALM_S = 1.0
SETTLE_S = 5.0
"""When the end that follows has gone direct, packets of before may call it back to the hub for a moment; later it is the leading end that has left."""
LINGER_S = 30.0
"""How long after its last traffic a pair keeps its direct path."""
HEARD_S = 120.0
"""How long a place counts as the other node's after a probe that it signed came from there."""
SEEN_S = 60.0
"""How long what a hub told of us is believed."""
MAX_ASKS = 256
"""Probes whose answer is waited for, of one pair."""


@dataclass
class _Pair:
    """What is known of one other node. Instants are monotonic seconds."""

    number: int
    direct: Direct = field(default_factory=Direct)
    own_key: bytes = field(default_factory=lambda: keys.make_bytes(KEY_BYTES))
    told: DirectTold | None = None
    places: tuple[str, ...] = ()
    heard: dict[str, float] = field(default_factory=dict)
    asks: dict[int, float] = field(default_factory=dict)


class Directs:
    """The direct paths of a node. Call `step` every `wait_s`."""

    def __init__(self, me: Grant, port: SharedPort, find_local: Callable[[], list[str]]) -> None:
        """`find_local` tells our own addresses, as text."""
        self.changed: Callable[[MachineName], None] = lambda _: None
        """Called with a node to which packets go directly from now on, or no longer."""
        self._me = me
        self._port = port
        self._find_local = find_local
        self._local: list[str] = []
        self._seen: dict[str, tuple[str, float]] = {}
        """Where each hub sees us, by its overlay address."""
        self._pairs: dict[MachineName, _Pair] = {}
        self._names: dict[int, MachineName] = {}
        self._roster: Roster | None = None
        self.is_wanted = False
        """Whether the operator wants direct paths."""
        self._nonces = itertools.count(keys.make_number() % 2**62)

    @property
    def is_allowed(self) -> bool:
        """Whether they are wanted, and this machine can look for them."""
        return self.is_wanted and self._port.port is not None

    def know(self, roster: Roster, wall: float) -> None:
        """Look for direct paths to exactly these nodes, if the settings say so."""
        if roster is self._roster:
            return
        self._roster = roster
        settings = roster.settings
        self.is_wanted = settings is not None and settings.direct and settings.relay is Relay.SEALED
        nodes = [n for n in roster.nodes(wall) if n.grant.id != self._me.id and n.grant.agent and self.is_wanted]
        self._pairs = {node.name: self._pairs.get(node.name) or _Pair(node.grant.number) for node in nodes}
        self._names = {node.grant.number: node.name for node in nodes}

    def located(self, hub: str, endpoint: str) -> None:
        """A hub told from where it sees our WireGuard."""
        self._seen[hub] = endpoint, clock.monotonic()

    def look_around(self) -> None:
        """Read our own addresses again. Not in the event loop."""
        self._local = self._find_local() if self.is_allowed else []

    def tell(self, name: MachineName) -> DirectTold | None:
        """What a signal to a node says of direct paths; None where they are not wanted."""
        pair = self._pairs.get(name)
        if pair is None or not self.is_allowed:
            return None
        return DirectTold(
            places=self._list_places(),
            key=pair.own_key.hex(),
            round=pair.direct.round,
            taken=pair.direct.place is not None,
        )

    def hear(self, name: MachineName, told: DirectTold | None, *, leads: bool) -> bool:
        """Take what a node tells of itself; True if it is to be told of us at once."""
        pair = self._pairs.get(name)
        if pair is None or told is None or not self.is_allowed or self._roster is None or self._roster.plan is None:
            return False
        plan, now = self._roster.plan, clock.monotonic()
        pair.told, pair.places = told, choose_places(told.places, (plan.cidr, plan.ula))
        if not leads:
            self._follow(name, pair, told, now)
        is_free = pair.direct.place is None and pair.direct.trying_until is None
        is_invited = told.round > pair.direct.round if not leads else told.round == pair.direct.round > 0
        if not is_free or not is_invited:
            return False
        pair.direct = begin_try(pair.direct, told.round, now)
        return not leads

    def _follow(self, name: MachineName, pair: _Pair, told: DirectTold, now: float) -> None:
        """Go where the leading end has gone: directly, to the place that answered best, or to the one that it called from last."""
        before = pair.direct
        if told.taken and before.place is None and told.round == before.round and pair.heard:
            best = min(before.answered, key=lambda place: before.answered[place].rtt_ms, default=None)
            pair.direct = take_place(before, best or max(pair.heard, key=lambda place: pair.heard[place]), now)
        elif not told.taken and before.place is not None:
            pair.direct = leave_place(before, now)
        if pair.direct.place != before.place:
            self.changed(name)

    def look(self, name: MachineName, active_until: float, *, leads: bool, silent: bool, observed: str | None) -> bool:
        """Look at one pair. `observed`: where WireGuard has it. True if the other node is to be told, to begin a try."""
        pair, now = self._pairs.get(name), clock.monotonic()
        if pair is None:
            return False
        before = pair.direct
        pair.heard = {place: at for place, at in pair.heard.items() if now - at < HEARD_S or place == before.place}
        is_wanted = self.is_allowed and now < active_until + LINGER_S
        if before.place is not None and (silent or not is_wanted):
            pair.direct = leave_place(before, now)
        elif not leads and observed in pair.heard and before.place != observed and not silent:
            pair.direct = take_place(before, observed, now)
        elif not leads and before.place is not None and observed not in pair.heard and now - before.since >= SETTLE_S:
            pair.direct = leave_place(before, now)
        if pair.direct.place != before.place:
            self.changed(name)
        invited = invite(pair.direct, now) if leads and is_wanted and now < active_until else None
        if invited is not None:
            pair.direct = invited
        return invited is not None

    def find_place(self, name: MachineName) -> str | None:
        """Where packets for a node go directly; None: through a hub."""
        pair = self._pairs.get(name)
        return None if pair is None else pair.direct.place

    def find_since(self, name: MachineName) -> float:
        """Since when (monotonic seconds) they do."""
        return self._pairs[name].direct.since

    def list_heard(self, name: MachineName) -> frozenset[str]:
        """The places from which a node has signed probes: it may be called there."""
        pair = self._pairs.get(name)
        return frozenset() if pair is None else frozenset(pair.heard)

    async def step(self) -> None:
        """Send the probes that are due, and look at what came of those before."""
        now = clock.monotonic()
        for name, pair in self._pairs.items():
            if pair.direct.trying_until is None:
                continue
            for place in dict.fromkeys([*pair.places, *pair.heard]):
                self._ask(pair, place, now)
            leads = self._me.number < pair.number
            before, pair.direct = pair.direct, end_try(pair.direct, leads=leads, now=now)
            if pair.direct.place is not None and before.place is None:
                self.changed(name)

    def wait_s(self) -> float:
        """How long to wait after a `step`."""
        is_trying = any(pair.direct.trying_until is not None for pair in self._pairs.values())
        return PROBE_INTERVAL_S if is_trying else CALM_S

    def probed(self, data: bytes, source: Endpoint) -> None:
        """A datagram came to WireGuard's port that may be a probe."""
        sender = read_sender(data)
        name = None if sender is None else self._names.get(sender)
        pair, now = None if name is None else self._pairs.get(name), clock.monotonic()
        probe = None if pair is None else parse_probe(data, pair.own_key)
        if pair is None or probe is None or pair.told is None:
            return
        place = format_endpoint(source)
        pair.heard[place] = now
        if probe.kind is ProbeKind.ASK:
            self._send(pair, Probe(ProbeKind.ANSWER, self._me.number, probe.nonce), source)
            return
        asked_at = pair.asks.pop(probe.nonce, None)
        if asked_at is not None and pair.direct.trying_until is not None:
            pair.direct = note_answer(pair.direct, place, (now - asked_at) * 1000)

    def _ask(self, pair: _Pair, place: str, now: float) -> None:
        if pair.told is None:
            return
        nonce = next(self._nonces)
        pair.asks[nonce] = now
        while len(pair.asks) > MAX_ASKS:
            del pair.asks[next(iter(pair.asks))]
        self._send(pair, Probe(ProbeKind.ASK, self._me.number, nonce), parse_endpoint(place))

    def _send(self, pair: _Pair, probe: Probe, to: Endpoint) -> None:
        if pair.told is not None:
            self._port.send(format_probe(probe, bytes.fromhex(pair.told.key)), to)

    def _list_places(self) -> tuple[str, ...]:
        now, port = clock.monotonic(), self._port.port
        local = [f"[{a}]:{port}" if ":" in a else f"{a}:{port}" for a in self._local]
        seen = [endpoint for endpoint, at in self._seen.values() if now - at < SEEN_S]
        return tuple(dict.fromkeys([*seen, *local]))[:MAX_PLACES]
