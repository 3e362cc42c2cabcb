"""Two agents that look for a direct path, over an internet of a few lines: who asks whom, who goes where, and what a hostile one can make of it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from spokewire.network.names import MachineName
from spokewire.network.punching import (
    FIRST_REST_S,
    LEAST_ANSWERS,
    LEAST_PAUSE_S,
    MAX_PLACES,
    PROBE_BYTES,
    PROBE_INTERVAL_S,
    TRY_S,
    Probe,
    ProbeKind,
    format_probe,
    parse_probe,
)
from spokewire.network.signal import DirectTold
from spokewire.network.spec import Relay
from spokewire.node.direct import LINGER_S, MAX_ANSWERS, MAX_HEARD, SEEN_S, SETTLE_S, Directs
from spokewire.relay.places import Endpoint, format_endpoint, parse_endpoint
from tests.builders import NOW, make_grant, make_roster

ONE, OTHER = MachineName("node-1"), MachineName("node-2")
PLACES = {ONE: "203.0.113.11:4001", OTHER: "203.0.113.12:4002"}
HUB = "203.0.113.1:51820"
VICTIM = "198.51.100.7:53"
KEY = "00" * 16


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
            end.line.carry = self._carrying(end, target)

    def _carrying(self, end: End, target: End) -> Callable[[bytes, Endpoint], None]:
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


def test_two_ends_that_reach_each_other_go_direct_both_and_each_is_told_once() -> None:
    world = World()
    assert world.invite()
    world.run(1.0)
    assert world.places == (PLACES[OTHER], PLACES[ONE])
    assert world.one.changes == [PLACES[OTHER]]
    assert world.other.changes == [PLACES[ONE]]
    assert world.one.tell().taken
    assert world.one.directs.find_since(OTHER) == pytest.approx(1000.0 + 2 * PROBE_INTERVAL_S, abs=PROBE_INTERVAL_S)


@pytest.mark.parametrize("deaf", [ONE, OTHER])
def test_where_probes_pass_one_way_only_nobody_goes_direct_and_the_next_try_is_a_rest_away(deaf: MachineName) -> None:
    world = World()
    world.passes = lambda source, _to: source == deaf
    assert world.invite()
    world.run(TRY_S + 1)
    assert world.places == (None, None)
    assert not world.invite()
    world.clock.now = 1000.0 + FIRST_REST_S
    assert world.invite()


def test_an_end_behind_a_symmetric_nat_is_called_where_its_probes_come_from() -> None:
    world = World()
    world.seen_as = {**PLACES, OTHER: "203.0.113.12:60606"}
    world.passes = lambda _source, to: to != PLACES[OTHER]
    world.invite()
    world.run(1.0)
    assert world.places == ("203.0.113.12:60606", PLACES[ONE])


def test_two_symmetric_nats_let_nothing_through() -> None:
    world = World()
    world.seen_as = {ONE: "203.0.113.11:50505", OTHER: "203.0.113.12:60606"}
    world.passes = lambda _source, to: to not in PLACES.values()
    world.invite()
    world.run(TRY_S)
    assert world.places == (None, None)


def test_places_are_what_hubs_tell_and_our_own_addresses_while_they_are_fresh() -> None:
    world = World()
    world.one.local = ["192.168.1.2", "2001:db8::11"]
    world.one.directs.look_around()
    assert world.one.tell().places == (PLACES[ONE], "192.168.1.2:4000", "[2001:db8::11]:4000")
    world.clock.now += SEEN_S
    assert world.one.tell().places == ("192.168.1.2:4000", "[2001:db8::11]:4000")
    world.one.local = [f"192.168.1.{number}" for number in range(1, 30)]
    world.one.directs.look_around()
    assert len(world.one.tell().places) == MAX_PLACES


@pytest.mark.parametrize(
    "end",
    [
        End(ONE, Clock(), direct=False),
        End(ONE, Clock(), relay=Relay.ROUTED),
    ],
    ids=["not wanted", "routed"],
)
def test_where_direct_paths_are_not_wanted_nothing_is_told_nor_heard_nor_asked(end: End) -> None:
    assert end.directs.tell(OTHER) is None
    assert not end.hear(DirectTold(places=(PLACES[OTHER],), key=KEY, round=1))
    assert not end.look()
    end.step()
    assert end.line.sent == []


def test_a_node_that_cannot_share_its_port_tells_nothing_and_tries_nothing() -> None:
    end = End(OTHER, Clock())
    end.line.port = None
    assert end.directs.is_wanted
    assert not end.directs.is_allowed
    assert end.directs.tell(ONE) is None
    assert not end.hear(DirectTold(places=(PLACES[ONE],), key=KEY, round=1))


def test_a_pair_without_traffic_is_not_tried_and_a_direct_one_goes_back_to_its_hub() -> None:
    world = World()
    assert not world.one.look(active=False)
    world.invite()
    world.run(1.0)
    assert not world.one.look(active=False)
    assert world.one.place is None
    world.other.hear(world.one.tell())
    assert world.places == (None, None)


def test_silence_ends_a_direct_path_at_once_and_the_other_end_follows() -> None:
    world = World()
    world.invite()
    world.run(1.0)
    assert not world.one.look(silent=True, observed=PLACES[OTHER]), "nor is it invited at once"
    assert world.one.place is None
    world.other.hear(world.one.tell())
    assert world.places == (None, None)


def test_the_end_that_follows_goes_where_wireguard_hears_the_other_from() -> None:
    world = World()
    world.invite()
    world.run(1.0)
    found = []
    for after_s, observed in ((0.0, HUB), (SETTLE_S, HUB), (1.0, PLACES[ONE]), (SETTLE_S, PLACES[ONE])):
        world.clock.now += after_s
        world.other.look(observed=observed)
        found.append(world.other.place)
    assert found == [PLACES[ONE], None, None, PLACES[ONE]], "for a moment packets of before may still come"


def test_a_pair_without_traffic_is_not_called_back_to_its_direct_path_by_an_echo() -> None:
    world = World()
    world.invite()
    world.run(1.0)
    world.other.look(active=False, observed=PLACES[ONE])
    world.clock.now += SETTLE_S
    world.other.look(active=False, observed=PLACES[ONE])
    assert world.other.changes == [PLACES[ONE], None]


def test_an_end_that_was_started_anew_is_tried_with_again_whichever_it_is() -> None:
    world = World()
    world.passes = lambda _source, _to: False
    for _ in range(4):
        world.invite()
        world.run(TRY_S)
        world.clock.now += 100.0
    world.passes = lambda _source, _to: True
    fresh = End(ONE, world.clock)
    fresh.line.carry, world.one.line.carry = world.one.line.carry, lambda _data, _to: None
    world.one = fresh
    world.other.line.carry = world._carrying(world.other, fresh)
    fresh.line.carry = world._carrying(fresh, world.other)
    world.invite()
    world.run(1.0)
    assert world.places == (PLACES[OTHER], PLACES[ONE])


class Hostile:
    """A member that knows the protocol and keeps to no rule of it; its signals reach an honest end."""

    def __init__(self, *, leads: bool) -> None:
        self.clock = Clock()
        self.end = End(OTHER if leads else ONE, self.clock)
        self.name, self.number = (ONE, 11) if leads else (OTHER, 12)

    def tell(self, number: int, *places: str, taken: bool = False, key: str = KEY) -> None:
        self.end.hear(DirectTold(places=places, key=key, round=number, taken=taken))

    def send(self, kind: ProbeKind, nonce: int, source: str) -> None:
        """A probe that is signed as it should be, from wherever it claims to come."""
        key = bytes.fromhex(self.end.tell().key)
        self.end.directs.probed(format_probe(Probe(kind, self.number, nonce), key), parse_endpoint(source))

    def asks_at(self, place: str) -> list[int]:
        """The numbers of the questions that were sent to a place."""
        probes = [parse_probe(data, bytes.fromhex(KEY)) for data, to in self.end.line.sent if to == place]
        return [probe.nonce for probe in probes if probe is not None and probe.kind is ProbeKind.ASK]


@pytest.mark.parametrize("leads", [True, False])
def test_who_tells_the_places_of_others_has_them_sent_a_trickle_of_small_probes_and_no_more(leads: bool) -> None:
    hostile, span_s = Hostile(leads=leads), 600.0
    victims = [f"198.51.100.{number}:53" for number in range(1, MAX_PLACES + 1)]
    for at in range(round(span_s / PROBE_INTERVAL_S)):
        hostile.end.look()
        number = at + 1 if leads else hostile.end.tell().round
        hostile.tell(number, *victims, key=f"{at:032x}")
        hostile.end.step()
        hostile.clock.now += PROBE_INTERVAL_S
    tries = span_s / LEAST_PAUSE_S + 1
    assert 0 < len(hostile.end.line.sent) <= tries * MAX_PLACES * (TRY_S / PROBE_INTERVAL_S + 1)
    assert {len(data) for data, _ in hostile.end.line.sent} == {PROBE_BYTES}
    if not leads:
        assert len(hostile.end.line.sent) <= 7 * MAX_PLACES * (TRY_S / PROBE_INTERVAL_S + 1), "the rests are ours"


def test_who_forges_where_its_probes_come_from_has_few_places_probed_and_few_answers_sent() -> None:
    hostile = Hostile(leads=True)
    hostile.tell(1)
    for number in range(1000):
        hostile.send(ProbeKind.ASK, number, f"198.51.{number // 250}.{number % 250 + 1}:53")
    assert len(hostile.end.line.sent) == MAX_ANSWERS
    assert len(hostile.end.directs.list_heard(ONE)) == MAX_HEARD
    hostile.end.line.sent.clear()
    hostile.end.step()
    assert len(hostile.end.line.sent) == MAX_HEARD


@pytest.mark.parametrize("leads", [True, False])
def test_packets_never_go_to_a_place_that_has_not_answered_what_was_asked_there(leads: bool) -> None:
    hostile = Hostile(leads=leads)
    own = PLACES[hostile.name]
    hostile.end.look()
    number = 1 if leads else hostile.end.tell().round
    hostile.tell(number, own, VICTIM)
    for guess in range(2 * LEAST_ANSWERS):
        hostile.end.step()
        hostile.send(ProbeKind.ASK, guess, VICTIM)
        for nonce in hostile.asks_at(own):
            hostile.send(ProbeKind.ANSWER, nonce, VICTIM)
        hostile.send(ProbeKind.ANSWER, guess, VICTIM)
        hostile.tell(number, own, VICTIM, taken=True)
        hostile.clock.now += PROBE_INTERVAL_S
    assert hostile.asks_at(VICTIM), "it was asked"
    assert hostile.end.place is None


def test_an_answer_counts_once() -> None:
    hostile = Hostile(leads=False)
    own = PLACES[hostile.name]
    hostile.end.look()
    hostile.tell(hostile.end.tell().round, own)
    hostile.end.step()
    (nonce,) = hostile.asks_at(own)
    for _ in range(10 * LEAST_ANSWERS):
        hostile.send(ProbeKind.ANSWER, nonce, own)
    hostile.end.step()
    assert hostile.end.place is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SPWD",
        format_probe(Probe(ProbeKind.ASK, 11, 1), bytes(16)),
        format_probe(Probe(ProbeKind.ASK, 99, 1), bytes(16)),
        format_probe(Probe(ProbeKind.ASK, 12, 1), bytes(16)),
    ],
    ids=["nothing", "magic", "a stranger's key", "a stranger's number", "our own number"],
)
def test_a_strangers_probe_is_neither_answered_nor_remembered(data: bytes) -> None:
    hostile = Hostile(leads=True)
    hostile.tell(1, PLACES[ONE])
    hostile.end.directs.probed(data, parse_endpoint(VICTIM))
    assert hostile.end.line.sent == []
    assert hostile.end.directs.list_heard(ONE) == frozenset()


def test_a_hub_that_lies_about_where_a_node_is_makes_the_try_fail_and_nothing_else() -> None:
    world = World()
    for end in (world.one, world.other):
        end.directs.located(HUB, VICTIM)
    world.invite()
    world.run(TRY_S)
    assert world.places == (None, None)
    assert {to for _, to in world.one.line.sent} == {VICTIM}
    assert len(world.one.line.sent) <= TRY_S / PROBE_INTERVAL_S + 1
