"""Direct paths at work: invitations by signal, probes from WireGuard's own port, and the place that packets go to."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

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
    accepts_round,
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

CALM_S = 1.0
SETTLE_S = 5.0
"""For so long after a change packets of before may call an end to where they come from; later it is the other end that does not go along."""
LINGER_S = 30.0
"""How long after its last traffic a pair keeps its direct path."""
HEARD_S = 120.0
"""How long a place counts as the other node's after a probe that it signed came from there."""
SEEN_S = 60.0
"""How long what a hub told of us is believed."""
MAX_ASKS = 256
"""Probes whose answer is waited for, of one pair."""
MAX_HEARD = 8
"""Places from which one node has signed probes. It may forge where they come from, and each is sent probes."""
MAX_ANSWERS = 32
"""To one node, from one step to the next: more than both sides' places need, and all that it can have us send to an address that it forges."""


class Port(Protocol):
    """WireGuard's port, as far as probes leave by it: `relay/sharing.py`."""

    port: int | None
    """None while it is not known, or cannot be shared."""

    def send(self, message: bytes, to: Endpoint) -> None:
        """Send a message from it."""


@dataclass
class _Pair:
    """What is known of one other node. Instants are monotonic seconds."""

    number: int
    direct: Direct = field(default_factory=Direct)
    own_key: bytes = field(default_factory=lambda: keys.make_bytes(KEY_BYTES))
    told: DirectTold | None = None
    places: tuple[str, ...] = ()
    heard: dict[str, float] = field(default_factory=dict)
    asks: dict[int, tuple[str, float]] = field(default_factory=dict)
    """By nonce: to which place, and when."""
    answers: int = 0
    """Since the last step."""
    left_at: float = float("-inf")
    """When packets went back to a hub."""


class Directs:
    """The direct paths of a node. Call `step` every `wait_s`."""

    def __init__(
        self, me: Grant, port: Port, find_local: Callable[[], list[str]], now: Callable[[], float] = clock.monotonic
    ) -> None:
        """`find_local` tells our own addresses, as text; `now` monotonic seconds."""
        self.changed: Callable[[MachineName], None] = lambda _: None
        """Called with a node to which packets go directly from now on, or no longer."""
        self._me = me
        self._port = port
        self._find_local = find_local
        self._now = now
        self._local: list[str] = []
        self._seen: dict[str, tuple[str, float]] = {}
        """Where each hub sees us, by its overlay address."""
        self._pairs: dict[MachineName, _Pair] = {}
        self._names: dict[int, MachineName] = {}
        self._roster: Roster | None = None
        self.is_wanted = False
        """Whether the operator wants direct paths."""

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
        self._seen[hub] = endpoint, self._now()

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
        plan, now = self._roster.plan, self._now()
        if pair.told is not None and pair.told.key != told.key and not leads:
            # The other end has been started anew, and counts from one again.
            pair.direct = replace(pair.direct, round=0)
        pair.told, pair.places = told, choose_places(told.places, (plan.cidr, plan.ula))
        before = pair.direct
        pair.direct = _lead(before, told, now) if leads else _follow(before, told, now)
        self._tell_change(name, pair, before, now)
        if not accepts_round(pair.direct, told.round, leads=leads, now=now):
            return False
        pair.direct = begin_try(pair.direct, told.round, now)
        return not leads

    def look(self, name: MachineName, active_until: float, *, leads: bool, silent: bool, observed: str | None) -> bool:
        """Look at one pair. `observed`: where WireGuard has it. True if the other node is to be told, to begin a try."""
        pair, now = self._pairs.get(name), self._now()
        if pair is None:
            return False
        before = pair.direct
        pair.heard = {place: at for place, at in pair.heard.items() if now - at < HEARD_S or place == before.place}
        is_wanted = self.is_allowed and now < active_until + LINGER_S
        if silent or not is_wanted:
            pair.direct = before if before.place is None else leave_place(before, now)
        elif not leads and observed in pair.heard and now - pair.left_at >= SETTLE_S:
            pair.direct = before if before.place == observed else take_place(before, observed, now)
        elif before.place not in {None, observed} and observed not in pair.heard and now - before.since >= SETTLE_S:
            # The other end calls from elsewhere: it has left.
            pair.direct = leave_place(before, now)
        self._tell_change(name, pair, before, now)
        invited = invite(pair.direct, now) if leads and is_wanted and now < active_until else None
        if invited is not None:
            pair.direct = invited
        return invited is not None

    def _tell_change(self, name: MachineName, pair: _Pair, before: Direct, now: float) -> None:
        if pair.direct.place != before.place:
            pair.left_at = now if pair.direct.place is None else pair.left_at
            self.changed(name)

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
        now = self._now()
        for name, pair in self._pairs.items():
            pair.answers = 0
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
        pair, now = None if name is None else self._pairs.get(name), self._now()
        probe = None if pair is None else parse_probe(data, pair.own_key)
        if pair is None or probe is None or pair.told is None:
            return
        place = format_endpoint(source)
        _note_heard(pair, place, now)
        if probe.kind is ProbeKind.ASK:
            pair.answers += 1
            if pair.answers <= MAX_ANSWERS:
                self._send(pair, Probe(ProbeKind.ANSWER, self._me.number, probe.nonce), source)
            return
        asked, asked_at = pair.asks.pop(probe.nonce, ("", now))
        if asked == place and pair.direct.trying_until is not None:
            pair.direct = note_answer(pair.direct, place, (now - asked_at) * 1000)

    def _ask(self, pair: _Pair, place: str, now: float) -> None:
        if pair.told is None:
            return
        # Nobody can answer for a place who does not hear what is sent there.
        nonce = keys.make_number()
        pair.asks[nonce] = place, now
        while len(pair.asks) > MAX_ASKS:
            del pair.asks[next(iter(pair.asks))]
        self._send(pair, Probe(ProbeKind.ASK, self._me.number, nonce), parse_endpoint(place))

    def _send(self, pair: _Pair, probe: Probe, to: Endpoint) -> None:
        if pair.told is not None:
            self._port.send(format_probe(probe, bytes.fromhex(pair.told.key)), to)

    def _list_places(self) -> tuple[str, ...]:
        now, port = self._now(), self._port.port
        local = [f"[{a}]:{port}" if ":" in a else f"{a}:{port}" for a in self._local]
        seen = [endpoint for endpoint, at in self._seen.values() if now - at < SEEN_S]
        return tuple(dict.fromkeys([*seen, *local]))[:MAX_PLACES]


def _lead(direct: Direct, told: DirectTold, now: float) -> Direct:
    """Go back to the hub where the other end does not go along: it has left for a reason, or its host lets probes in and WireGuard's packets not."""
    is_alone = direct.place is not None and told.round == direct.round and not told.taken
    return leave_place(direct, now) if is_alone and now - direct.since >= SETTLE_S else direct


def _follow(direct: Direct, told: DirectTold, now: float) -> Direct:
    """Go where the leading end has gone: directly, to the place that answered best, or back to the hub."""
    if told.taken and direct.place is None and told.round == direct.round and direct.answered:
        # Never to a place that has not answered: its address may be forged. Where WireGuard has heard the other end, `look` follows.
        return take_place(direct, min(direct.answered, key=lambda place: direct.answered[place].rtt_ms), now)
    return leave_place(direct, now) if direct.place is not None and not told.taken else direct


def _note_heard(pair: _Pair, place: str, now: float) -> None:
    """A signed probe came from a place. Of many the oldest are forgotten, but not the one in use."""
    pair.heard[place] = now
    while len(pair.heard) > MAX_HEARD:
        del pair.heard[min((p for p in pair.heard if p != pair.direct.place), key=lambda p: pair.heard[p])]
