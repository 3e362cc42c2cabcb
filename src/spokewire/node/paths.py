"""The path of every pair: what the echoes and the other ends say goes in, which hub each peer's packets go through comes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from spokewire.host import clock
from spokewire.host.logs import log
from spokewire.network.active import choose_active
from spokewire.network.documents import Grant, Member
from spokewire.network.events import EventCode
from spokewire.network.handshakes import calls_first, find_path_silence
from spokewire.network.names import MachineName, WireGuardKey
from spokewire.network.paths import (
    Leg,
    Pair,
    Path,
    Way,
    begin_path,
    choose_path,
    find_silence,
    follow,
    is_direct_silent,
    is_leg_alive,
)
from spokewire.network.relays import Relay
from spokewire.network.roster import Roster
from spokewire.network.shares import name_pair, rank_hub
from spokewire.network.signal import MAX_HUBS, LegTold, Signal, format_signal, parse_signal
from spokewire.network.status import State
from spokewire.network.topology import Choice
from spokewire.node.direct import LINGER_S, Directs
from spokewire.node.probe import Prober
from spokewire.node.watched import Watched

WHOLE_INTERVAL_S = 2.0
"""From one look at every pair to the next; one whose echoes are missing is looked at at once."""
PIN_S = 3.0
"""How long the end that does not lead insists on a move that it made because the path before had failed; then it follows the other end."""
SIGNAL_INTERVAL_S = 5.0
"""To a peer with traffic. To any peer when something has changed."""
TOLD_FRESH_S = 15.0
SIGNALS_AT_ONCE = 20
"""In one step: a crowd is told of a change little by little."""
LEAST_SPACING_S = 0.05
"""Signals of one peer that come closer are not read."""

NoteEvent = Callable[[float, str, str, str], None]


@dataclass
class _Pair:
    """One pair, or in routed mode ourselves. Instants are monotonic seconds."""

    other: Member
    path: Path
    told: dict[int, LegTold] = field(default_factory=dict)
    """By the hub's host number."""
    told_choice: int | None = None
    told_at: float = float("-inf")
    signalled_at: float = float("-inf")
    signalled: Signal | None = None
    strays_to: MachineName | None = None
    strays_since: float = 0.0


class Paths:
    """Chooses the paths. `choices` is what `plan_node` takes: empty while there is one hub, and so no choice."""

    def __init__(
        self, me: Grant, prober: Prober, directs: Directs, observe: Callable[[WireGuardKey], str | None]
    ) -> None:
        """`observe` tells a WireGuard peer's endpoint, as of the last look."""
        self._directs = directs
        directs.changed = self._direct_changed
        self.choices: dict[MachineName, Choice] = {}
        self.note_event: NoteEvent = lambda *_: None
        self.moved: Callable[[Member], None] = lambda _: None
        """Called with the other end of a pair, or ourselves in routed mode, that is to take another path now."""
        self._me = me
        self._prober = prober
        self._observe = observe
        self._roster: Roster | None = None
        self._hubs: dict[MachineName, Member] = {}
        self._pairs: dict[MachineName, _Pair] = {}
        self._addresses: dict[str, MachineName] = {}
        self._alive_since: dict[MachineName, float] = {}
        self._ranks: dict[tuple[str, MachineName, int], float] = {}
        self._looked_at = float("-inf")
        self._strays_at = float("-inf")
        self.alive: frozenset[MachineName] = frozenset()
        """The hubs whose echoes come back, where there are several."""
        prober.service.other = self._receive

    def know(self, roster: Roster, me: Member | None, wall: float) -> None:
        """Find paths through exactly these hubs, for exactly these nodes. `me`: ourselves, as the roster knows us."""
        if roster is self._roster or roster.plan is None:
            return
        self._roster = roster
        before, self._hubs = self._hubs, {hub.name: hub for hub in roster.hubs(wall)}
        is_sealed = roster.settings is not None and roster.settings.relay is Relay.SEALED
        others = [node for node in roster.nodes(wall) if node.grant.id != self._me.id] if is_sealed else []
        wanted = others if is_sealed or me is None else [me]
        self._directs.know(roster, wall)
        if len(self._hubs) < (1 if self._directs.is_wanted else 2):
            wanted = []
        self._addresses = {str(roster.plan.address(node.grant.number)): node.name for node in others}
        watched = self._by_name()
        if self._hubs.keys() != before.keys():
            # Whoever was not heard yet is met where its share is now: the other end begins there too.
            self._pairs = {name: pair for name, pair in self._pairs.items() if not _is_unheard(watched.get(name))}
        pairs = {node.name: self._pairs.get(node.name) or self._begin(node, watched) for node in wanted}
        for node in wanted:
            pairs[node.name].other = node
        self._pairs = pairs
        for seen in self._prober.watched.values():
            seen.is_direct = self._directs.find_place(MachineName(seen.name)) is not None
        self._ranks.clear()
        self._looked_at = float("-inf")
        self.step()

    def step(self) -> None:
        """Look at the hubs, and at those pairs that may need another path."""
        if self._pairs:
            self._look()
        else:
            self.choices = {}

    def _look(self) -> None:
        now = clock.monotonic()
        watched = self._by_name()
        legs = self._look_at_legs(watched, now)
        alive = frozenset(hub for hub, leg in legs.items() if leg.alive_since is not None)
        is_whole = alive != self.alive or now - self._looked_at >= WHOLE_INTERVAL_S
        if is_whole:
            self.alive, self._looked_at = alive, now
        for name, pair in self._pairs.items():
            seen = watched.get(name)
            if is_whole or (seen is not None and seen.is_suspect(now)):
                self._look_at_pair(pair, seen, legs, now)
        if is_whole:
            self._signal_all(watched, legs, now)

    def note_strays(self, strays: Mapping[WireGuardKey, str]) -> None:
        """Take where WireGuard had roamed to though it was set right before. Call it after each time that it is set right."""
        now, before = clock.monotonic(), self._strays_at
        self._strays_at = now
        for pair in self._pairs.values():
            hub = self._find_hub_at(strays.get(WireGuardKey(pair.other.record.wireguard_key)))
            if hub is None or hub == pair.path.hub:
                pair.strays_to = None
            elif hub != pair.strays_to:
                pair.strays_to, pair.strays_since = hub, max(before, pair.path.since)
        if strays:
            self._looked_at = float("-inf")
            self._prober.wake.set()

    def find_path(self, name: str, key: WireGuardKey) -> tuple[str, str, float | None]:
        """How packets get to a node: the path as WireGuard has it, why, and since when (wall time)."""
        pair = self._pairs.get(MachineName(name)) or self._pairs.get(MachineName(self._me.name))
        if pair is None:
            hub = next(iter(self._hubs), None)
            return ("none" if hub is None else f"via {hub}"), "", None
        place, observed = self._directs.find_place(pair.other.name), self._observe(key)
        if place is not None and observed in {place, *self._directs.list_heard(pair.other.name)}:
            return "direct", "probes pass both ways", _to_wall(self._directs.find_since(pair.other.name))
        hub = self._find_hub(key) or pair.path.hub
        reason = pair.path.reason if hub == pair.path.hub else "the other end sends through it"
        return f"via {hub}", reason, _to_wall(pair.path.since)

    def _begin(self, node: Member, watched: Mapping[MachineName, Watched]) -> _Pair:
        now = clock.monotonic()
        ways = self._list_ways(node, self._look_at_legs(watched, now), {})
        key = WireGuardKey(node.record.wireguard_key)
        observed = None if _is_unheard(watched.get(node.name)) else self._find_hub(key)
        return _Pair(node, begin_path(ways, observed, now))

    def _look_at_legs(self, watched: Mapping[MachineName, Watched], now: float) -> dict[MachineName, Leg]:
        seen = {hub: watched[hub] for hub in self._hubs if hub in watched}
        legs = {}
        for hub in self._hubs:
            one = seen.get(hub)
            answers = [other.trail.last_answer_at for name, other in seen.items() if name != hub]
            answered_at = max((at for at in answers if at is not None), default=None)
            if one is None:
                # It has just become known, and is not even asked yet.
                legs[hub] = Leg(now)
                continue
            if not is_leg_alive(one.trail, one.health.state, answered_at, now):
                self._alive_since.pop(hub, None)
                legs[hub] = Leg(None)
                continue
            since = self._alive_since.setdefault(hub, now)
            legs[hub] = Leg(since, one.trail.losses(now, 60.0).loss_pct or 0.0, one.trail.rtt_ms(now))
        return legs

    def _look_at_pair(self, pair: _Pair, seen: Watched | None, legs: Mapping[MachineName, Leg], now: float) -> None:
        name, leads = pair.other.name, self._leads(pair.other)
        if seen is not None:
            self._look_at_direct(pair, seen, now)
        place = self._directs.find_place(name)
        path = self._choose(pair, seen if place is None else None, legs, now)
        before, pair.path = pair.path, path
        since = path.since if place is None else self._directs.find_since(name)
        is_pinned = leads or now - since < PIN_S
        self.choices[name] = Choice(path.hub, is_pinned, place, self._directs.list_heard(name))
        if path.hub != before.hub:
            self._tell_move(pair, f"via {path.hub} instead of {before.hub}: {path.reason}")

    def _choose(self, pair: _Pair, seen: Watched | None, legs: Mapping[MachineName, Leg], now: float) -> Path:
        is_told, leads = now - pair.told_at < TOLD_FRESH_S, self._leads(pair.other)
        ways = self._list_ways(pair.other, legs, pair.told if is_told else {})
        told = next((hub for hub, m in self._hubs.items() if is_told and m.grant.number == pair.told_choice), None)
        silent_since = None if seen is None else find_silence(seen.trail, now, leads=leads)
        if seen is not None and silent_since is not None:
            # Where the path works it is kept: an agent that is away announces no handshakes to other hubs.
            silent_since = find_path_silence(seen.silence, silent_since, now)
        if self._is_own(pair.other):
            path = choose_active(ways, pair.path, now)
        else:
            facts = Pair(leads, silent_since, told, pair.strays_to if seen is not None else None, pair.strays_since)
            path = choose_path(ways, pair.path, facts, now)
        if path.hub == pair.path.hub and not leads and now - path.since >= PIN_S and told is None:
            path = follow(ways, path, self._find_hub(WireGuardKey(pair.other.record.wireguard_key)), now)
        return path

    def _look_at_direct(self, pair: _Pair, seen: Watched, now: float) -> None:
        silent = seen.is_direct and is_direct_silent(seen.trail, now)
        observed = self._observe(WireGuardKey(pair.other.record.wireguard_key))
        leads = self._leads(pair.other)
        if self._directs.look(pair.other.name, seen.active_until, leads=leads, silent=silent, observed=observed):
            # The other end is to be invited, with the next signals.
            pair.signalled, self._looked_at = None, float("-inf")
            self._prober.wake.set()

    def _direct_changed(self, name: MachineName) -> None:
        """Packets for a node go directly from now on, or no longer."""
        pair, now = self._pairs.get(name), clock.monotonic()
        seen = self._by_name().get(name)
        if pair is None or seen is None:
            return
        place = self._directs.find_place(name)
        seen.is_direct = place is not None
        if place is None:
            pair.path = replace(pair.path, since=now, reason="the direct path ended")
        pair.signalled, self._looked_at = None, float("-inf")
        self.choices[name] = Choice(pair.path.hub, True, place, self._directs.list_heard(name))
        via = f"via {pair.path.hub}"
        self._tell_move(
            pair, f"directly instead of {via}: probes pass both ways" if place else f"{via}: the direct path ended"
        )

    def _tell_move(self, pair: _Pair, how: str) -> None:
        name = pair.other.name
        what = "packets go" if self._is_own(pair.other) else f"packets for {name} go"
        log.info("path changed", machine=name, how=how)
        self.note_event(clock.wall(), EventCode.PATH_CHANGED, name, f"{what} {how}")
        self.moved(pair.other)

    def _leads(self, other: Member) -> bool:
        """Whether this end decides what is better: the one that calls first, and whoever speaks with a stock client."""
        return self._is_own(other) or not other.grant.agent or calls_first(self._me.number, other.grant.number)

    def _is_own(self, other: Member) -> bool:
        return other.grant.id == self._me.id

    def _list_ways(self, other: Member, legs: Mapping[MachineName, Leg], told: Mapping[int, LegTold]) -> list[Way]:
        assert self._roster is not None
        ways = []
        for hub, member in self._hubs.items():
            policy, word = self._roster.policy(hub), told.get(member.grant.number)
            theirs = None if word is None else Leg(0.0 if word.alive else None, word.loss_pct, word.rtt_ms)
            if self._is_own(other):
                theirs = Leg(0.0, 0.0, 0.0)
            ways.append(Way(hub, self._rank(other.name, hub, policy.weight), legs[hub], theirs, policy))
        return ways

    def _rank(self, other: MachineName, hub: MachineName, weight: int) -> float:
        key = (other, hub, weight)
        if key not in self._ranks:
            self._ranks[key] = rank_hub(name_pair(self._me.name, other), hub, weight)
        return self._ranks[key]

    def _find_hub(self, key: WireGuardKey) -> MachineName | None:
        """The hub at whose endpoint WireGuard has a peer."""
        return self._find_hub_at(self._observe(key))

    def _find_hub_at(self, endpoint: str | None) -> MachineName | None:
        if endpoint is None:
            return None
        keys = {hub: WireGuardKey(member.record.wireguard_key) for hub, member in self._hubs.items()}
        return next((hub for hub, hub_key in keys.items() if self._observe(hub_key) == endpoint), None)

    def _signal_all(self, watched: Mapping[MachineName, Watched], legs: Mapping[MachineName, Leg], now: float) -> None:
        told, left = _tell_legs(self._hubs, watched, legs), SIGNALS_AT_ONCE
        for name, pair in self._pairs.items():
            seen = watched.get(name)
            if seen is None or left == 0 or seen.trail.sequence == 0:
                # The first packet is an echo's: one that came sooner would call a peer that is to call us, and the two calls would cross.
                continue
            signal = self._make_signal(pair, seen, told, now)
            is_due = now < seen.active_until and now - pair.signalled_at >= SIGNAL_INTERVAL_S
            if is_due or pair.signalled is None or _is_news(signal, pair.signalled):
                self._send_signal(pair, seen, signal, now)
                left -= 1

    def _make_signal(self, pair: _Pair, seen: Watched, told: tuple[LegTold, ...], now: float) -> Signal:
        chosen = self._hubs[pair.path.hub].grant.number if self._leads(pair.other) else None
        is_active = now < seen.active_until + LINGER_S
        return Signal(legs=told, chosen=chosen, direct=self._directs.tell(pair.other.name) if is_active else None)

    def _send_signal(self, pair: _Pair, seen: Watched, signal: Signal, now: float) -> None:
        data = format_signal(signal)
        self._prober.service.send_other(seen.address, data)
        seen.note_sized(len(data))
        pair.signalled, pair.signalled_at = signal, now

    def _receive(self, data: bytes, address: str) -> None:
        name, signal = self._addresses.get(address), parse_signal(data)
        pair, now = None if name is None else self._pairs.get(name), clock.monotonic()
        seen = self._prober.watched.get(address)
        if pair is None or signal is None or seen is None or now - pair.told_at < LEAST_SPACING_S:
            return
        pair.told = {leg.hub: leg for leg in signal.legs}
        pair.told_choice, pair.told_at = signal.chosen, now
        seen.note_sized(len(data))
        watched = self._by_name()
        legs = self._look_at_legs(watched, now)
        if self._directs.hear(pair.other.name, signal.direct, leads=self._leads(pair.other)):
            self._send_signal(
                pair, seen, self._make_signal(pair, seen, _tell_legs(self._hubs, watched, legs), now), now
            )
        self._look_at_pair(pair, seen, legs, now)

    def _by_name(self) -> dict[MachineName, Watched]:
        return {MachineName(seen.name): seen for seen in self._prober.watched.values()}


def _is_unheard(seen: Watched | None) -> bool:
    return seen is not None and seen.trail.last_answer_at is None


def _tell_legs(
    hubs: Mapping[MachineName, Member], watched: Mapping[MachineName, Watched], legs: Mapping[MachineName, Leg]
) -> tuple[LegTold, ...]:
    """What a signal says of our legs. Of a hub that has not answered yet there is nothing to say."""
    return tuple(
        LegTold(
            hub=hubs[hub].grant.number,
            alive=leg.alive_since is not None,
            loss_pct=float(round(leg.loss_pct)),
            rtt_ms=None if leg.rtt_ms is None else round(leg.rtt_ms, 1),
        )
        for hub, leg in legs.items()
        if hub in watched and watched[hub].health.state is not State.STARTING
    )[:MAX_HUBS]


def _is_news(signal: Signal, before: Signal) -> bool:
    alive, alive_before = ({leg.hub: leg.alive for leg in told.legs} for told in (signal, before))
    rounds = [0 if told.direct is None else told.direct.round for told in (signal, before)]
    return alive != alive_before or signal.chosen != before.chosen or rounds[0] != rounds[1]


def _to_wall(instant: float) -> float:
    return round(clock.wall() - (clock.monotonic() - instant), 1)
