"""Two agents that look for a direct path, and an internet of a few lines between them."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from spokewire.network.names import MachineName
from spokewire.network.punching import PROBE_INTERVAL_S
from spokewire.network.relays import Relay
from spokewire.network.signal import DirectTold
from spokewire.node.direct import LINGER_S, Directs
from spokewire.relay.places import Endpoint, format_endpoint, parse_endpoint
from tests.builders import NOW, make_grant, make_roster

ONE, OTHER = MachineName("node-1"), MachineName("node-2")
PLACES = {ONE: "203.0.113.11:4001", OTHER: "203.0.113.12:4002"}
HUB = "203.0.113.1:51820"
VICTIM = "198.51.100.7:53"


@dataclass
class Line:
    """A node's port; what it sends goes to `carry`, and is kept."""

    carry: Callable[[bytes, Endpoint], None] = lambda _data, _to: None
    port: int | None = 4000
    sent: list[tuple[bytes, str]] = field(default_factory=list)

    def send(self, message: bytes, to: Endpoint) -> None:
        self.sent.append((message, format_endpoint(to)))
        self.carry(message, to)


@dataclass
class Clock:
    """Monotonic seconds, as told."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class End:
    """One agent's direct paths, and all around them."""

    def __init__(self, name: MachineName, clock: Clock, *, direct: bool = True, relay: Relay = Relay.SEALED) -> None:
        self.name, self.clock = name, clock
        self.line = Line()
        self.other = OTHER if name == ONE else ONE
        self.leads = name == ONE
        self.local: list[str] = []
        self.changes: list[str | None] = []
        self.directs = Directs(make_grant(name), self.line, lambda: self.local, clock)
        self.directs.changed = lambda other: self.changes.append(self.directs.find_place(other))
        self.directs.know(make_roster(direct=direct, relay=relay), NOW)
        self.directs.located(HUB, PLACES[name])

    def look(self, *, active: bool = True, silent: bool = False, observed: str | None = HUB) -> bool:
        until = self.clock.now + (5.0 if active else -LINGER_S - 0.1)
        return self.directs.look(self.other, until, leads=self.leads, silent=silent, observed=observed)

    def hear(self, told: DirectTold | None) -> bool:
        return self.directs.hear(self.other, told, leads=self.leads)

    def tell(self) -> DirectTold:
        told = self.directs.tell(self.other)
        assert told is not None
        return told

    def step(self) -> None:
        asyncio.run(self.directs.step())

    @property
    def place(self) -> str | None:
        return self.directs.find_place(self.other)


class World:
    """Two ends. Signals pass by the hub; probes pass where `passes` says so, and seem to come from `seen_as`."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.one, self.other = (End(name, self.clock) for name in (ONE, OTHER))
        self.passes: Callable[[MachineName, str], bool] = lambda _source, _to: True
        self.seen_as: Mapping[MachineName, str] = dict(PLACES)
        for end, target in ((self.one, self.other), (self.other, self.one)):
            end.line.carry = self.carrying(end, target)

    def carrying(self, end: End, target: End) -> Callable[[bytes, Endpoint], None]:
        def carry(data: bytes, to: Endpoint) -> None:
            place = format_endpoint(to)
            if place in (PLACES[target.name], self.seen_as[target.name]) and self.passes(end.name, place):
                target.directs.probed(data, parse_endpoint(self.seen_as[end.name]))

        return carry

    def invite(self) -> bool:
        """The leading end may invite; all that follows from it in signals happens at once. Whether it did."""
        invited = self.one.look()
        if invited and self.other.hear(self.one.tell()):
            self.one.hear(self.other.tell())
        return invited

    def run(self, for_s: float) -> None:
        """Let the ends send probes, and tell each other when one has gone direct."""
        for _ in range(round(for_s / PROBE_INTERVAL_S)):
            before = self.one.place
            self.one.step()
            self.other.step()
            if self.one.place != before:
                self.other.hear(self.one.tell())
            self.clock.now += PROBE_INTERVAL_S

    @property
    def places(self) -> tuple[str | None, str | None]:
        return self.one.place, self.other.place
