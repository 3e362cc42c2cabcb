"""Both ends of one pair among hubs, as a model: what each hears, what WireGuard does by itself, and what the product's own choice makes of it.

Nothing here knows how a path is chosen. Packets go where the sender's endpoint is; they arrive if both ends reach that hub and it relays; and the
receiver's endpoint roams to where they came from, as WireGuard's does.
"""

from dataclasses import dataclass, field

from spokewire.network.documents import HubPolicy
from spokewire.network.names import MachineName
from spokewire.network.paths import (
    Leg,
    Pair,
    Path,
    Way,
    begin_path,
    choose_path,
    find_silence,
    follow,
)
from spokewire.network.probing import Trail
from spokewire.network.shares import name_pair, rank_hub

STEP_S = 0.1
ASK_S = 0.2
"""Between two echoes of a pair in use whose answers are missing."""
SIGNAL_S = 5.0
TOLD_S = 15.0
PIN_S = 1.0
"""What node/paths.py says of these three."""


@dataclass
class HubNow:
    """What a hub does at this moment: whether each end and it hear each other, and whether it relays."""

    hears: tuple[bool, bool] = (True, True)
    relays: bool = True
    loss_pct: float = 0.0
    policy: HubPolicy = field(default_factory=HubPolicy)

    @property
    def carries(self) -> bool:
        """Whether a packet gets from one end to the other."""
        return all(self.hears) and self.relays


@dataclass
class End:
    """One end: its choice, where its WireGuard sends, its echoes, and what the other told."""

    leads: bool
    path: Path
    endpoint: MachineName
    trail: Trail
    alive_since: dict[MachineName, float] = field(default_factory=dict)
    told: dict[MachineName, Leg] = field(default_factory=dict)
    told_choice: MachineName | None = None
    told_at: float = float("-inf")
    asked_at: float = float("-inf")
    signalled_at: float = float("-inf")
    signalled: object = None
    moves: list[tuple[float, MachineName, str]] = field(default_factory=list)


class PairOfEnds:
    """The pair; `now` moves with each step."""

    def __init__(self, hubs: dict[MachineName, HubNow]) -> None:
        self.hubs, self.now = hubs, 100.0
        pair = name_pair("node-1", "node-2")
        self.ranks = {hub: rank_hub(pair, hub, 10) for hub in hubs}
        self.ends = [self._begin(0), self._begin(1)]

    def is_joined(self) -> bool:
        """Whether packets pass in both directions, by the hub that the end that leads has chosen."""
        one, other = self.ends
        hub = self.hubs.get(one.endpoint)
        return one.endpoint == other.endpoint == one.path.hub and hub is not None and hub.carries

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / STEP_S)):
            self.step()

    def step(self) -> None:
        """A tenth of a second."""
        self.now += STEP_S
        for side in (0, 1):
            self._ask(side)
            self._signal(side)
            self._choose(side)

    def _begin(self, side: int) -> End:
        ways = [Way(hub, self.ranks[hub], Leg(self.now)) for hub in self.hubs]
        path = begin_path(ways, None, self.now)
        end = End(side == 0, path, path.hub, Trail(self.now))
        end.trail.answer(end.trail.send(self.now), 1, self.now)
        return end

    def _send(self, side: int) -> bool:
        """One packet to the other end; if it arrives, that one's endpoint roams."""
        hub = self.ends[side].endpoint
        there = self.hubs.get(hub)
        if there is None or not there.carries:
            return False
        self.ends[1 - side].endpoint = hub
        return True

    def _ask(self, side: int) -> None:
        end = self.ends[side]
        if self.now - end.asked_at < ASK_S:
            return
        end.asked_at = self.now
        sequence = end.trail.send(self.now)
        if self._send(side) and self._send(1 - side):
            end.trail.answer(sequence, sequence, self.now)

    def _signal(self, side: int) -> None:
        end, other = self.ends[side], self.ends[1 - side]
        legs = self._legs(side)
        chosen = end.path.hub if end.leads else None
        news = ({hub: leg.alive_since is not None for hub, leg in legs.items()}, chosen)
        if news == end.signalled and self.now - end.signalled_at < SIGNAL_S:
            return
        end.signalled, end.signalled_at = news, self.now
        if self._send(side):
            other.told, other.told_choice, other.told_at = legs, chosen, self.now

    def _legs(self, side: int) -> dict[MachineName, Leg]:
        alive = self.ends[side].alive_since
        for name, hub in self.hubs.items():
            if hub.hears[side]:
                alive.setdefault(name, self.now)
            else:
                alive.pop(name, None)
        return {name: Leg(alive.get(name), hub.loss_pct, 10.0) for name, hub in self.hubs.items()}

    def _choose(self, side: int) -> None:
        end = self.ends[side]
        is_told = self.now - end.told_at < TOLD_S
        theirs = end.told if is_told else {}
        legs = self._legs(side)
        ways = [Way(hub, self.ranks[hub], legs[hub], theirs.get(hub), self.hubs[hub].policy) for hub in self.hubs]
        told = end.told_choice if is_told and end.told_choice in self.hubs else None
        pair = Pair(end.leads, find_silence(end.trail, self.now, leads=end.leads), told)
        path = choose_path(ways, end.path, pair, self.now)
        if path.hub == end.path.hub and not end.leads and self.now - path.since >= PIN_S and told is None:
            path = follow(ways, path, end.endpoint, self.now)
        if path.hub != end.path.hub:
            end.moves.append((self.now, path.hub, path.reason))
        end.path = path
        if end.leads or self.now - path.since < PIN_S:
            end.endpoint = path.hub
