"""Two agents that look for a direct path: who asks whom, who goes where, and when they leave it."""

import pytest

from spokewire.network.names import MachineName
from spokewire.network.punching import FIRST_REST_S, MAX_PLACES, PROBE_INTERVAL_S, TRY_S
from spokewire.network.relays import Relay
from spokewire.network.signal import DirectTold
from spokewire.node.direct import SEEN_S, SETTLE_S
from tests.unit.direct_ends import HUB, ONE, OTHER, PLACES, VICTIM, Clock, End, World

KEY = "00" * 16


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


def test_the_leading_end_goes_back_when_the_other_does_not_go_along() -> None:
    world = World()
    world.invite()
    world.run(1.0)
    found = []
    for after_s, observed in ((0.0, HUB), (SETTLE_S, PLACES[OTHER]), (SETTLE_S, HUB)):
        world.clock.now += after_s
        world.one.look(observed=observed)
        found.append(world.one.place)
    assert found == [PLACES[OTHER], PLACES[OTHER], None]


def test_the_leading_end_goes_back_as_soon_as_the_other_says_that_it_has_left() -> None:
    world = World()
    world.invite()
    world.run(1.0)
    found = []
    for after_s, is_silent in ((0.0, False), (SETTLE_S, False), (0.0, True)):
        world.clock.now += after_s
        world.other.look(silent=is_silent, observed=PLACES[ONE])
        world.one.hear(world.other.tell())
        found.append(world.places)
    assert found == [(PLACES[OTHER], PLACES[ONE]), (PLACES[OTHER], PLACES[ONE]), (None, None)]


def test_an_end_that_has_not_gone_along_yet_is_waited_for_a_moment() -> None:
    world = World()
    world.invite()
    before = world.other.tell()
    world.run(1.0)
    found = []
    for after_s in (0.0, SETTLE_S):
        world.clock.now += after_s
        world.one.hear(before)
        found.append(world.one.place)
    assert found == [PLACES[OTHER], None]


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
    world.other.line.carry = world.carrying(world.other, fresh)
    fresh.line.carry = world.carrying(fresh, world.other)
    world.invite()
    world.run(1.0)
    assert world.places == (PLACES[OTHER], PLACES[ONE])


def test_a_hub_that_lies_about_where_a_node_is_makes_the_try_fail_and_nothing_else() -> None:
    world = World()
    for end in (world.one, world.other):
        end.directs.located(HUB, VICTIM)
    world.invite()
    world.run(TRY_S)
    assert world.places == (None, None)
    assert {to for _, to in world.one.line.sent} == {VICTIM}
    assert len(world.one.line.sent) <= TRY_S / PROBE_INTERVAL_S + 1
