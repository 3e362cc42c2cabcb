"""Which path a pair takes, and why: every rule with its dead band and its hold."""

from dataclasses import dataclass, field, replace

import pytest

from spokewire.network.documents import HubPolicy
from spokewire.network.names import MachineName
from spokewire.network.paths import (
    DOUBT_S,
    FOLLOW_SPACING_S,
    FORGIVEN_S,
    HOLD_S,
    LOSS_BETTER_PCT,
    NEXT_ROUND_S,
    RTT_BETTER_MS,
    SILENT_S,
    STRAYS_S,
    Doubt,
    Leg,
    Pair,
    Path,
    Way,
    begin_path,
    choose_path,
    follow,
)

ONE, TWO, THREE = MachineName("hub-1"), MachineName("hub-2"), MachineName("hub-3")
NOW = 1000.0
GOOD = Leg(0.0, 0.0, 10.0)
DEAD = Leg(None)
DRAIN, STANDBY = HubPolicy(drain=True), HubPolicy(weight=0)
LEADS, FOLLOWS = Pair(leads=True), Pair(leads=False)
HERE = Path(ONE, 0.0, "begun")


def way(hub: MachineName, mine: Leg = GOOD, theirs: Leg | None = GOOD, **changes: object) -> Way:
    """A candidate; hub-1 ranks before hub-2, which ranks before hub-3."""
    made = Way(hub, {ONE: 30.0, TWO: 20.0, THREE: 10.0}[hub], mine, theirs)
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Case:
    """What is known of the candidates, and where a pair on hub-1 goes at once."""

    what: str
    ways: tuple[Way, ...]
    goes: MachineName = ONE
    reason: str = "begun"
    pair: Pair = LEADS
    path: Path = field(default=HERE)


AT_ONCE = [
    Case("all is well", (way(ONE), way(TWO))),
    Case("there is only one hub", (way(ONE, DEAD),)),
    Case("there is no hub at all", ()),
    Case("our hub is gone from the network", (way(TWO), way(THREE)), TWO, "hub-1 is no hub of the network any more"),
    Case("gone, and the best of the rest is dead", (way(TWO, DEAD), way(THREE)), THREE, "hub-1 is no hub of the network any more"),
    Case("gone, and the rest is dead", (way(TWO, DEAD), way(THREE, DEAD)), TWO, "hub-1 is no hub of the network any more"),
    Case("gone, and we do not lead", (way(TWO), way(THREE)), TWO, "hub-1 is no hub of the network any more", FOLLOWS),
    Case("silent here", (way(ONE, DEAD), way(TWO)), TWO, "hub-1 is silent here"),
    Case("silent here, and we do not lead", (way(ONE, DEAD), way(TWO)), TWO, "hub-1 is silent here", FOLLOWS),
    Case("silent at the other end", (way(ONE, GOOD, DEAD), way(TWO)), TWO, "hub-1 is silent at the other end"),
    Case("silent at the other end, and we do not lead", (way(ONE, GOOD, DEAD), way(TWO)), TWO, "hub-1 is silent at the other end", FOLLOWS),
    Case("every hub is silent here", (way(ONE, DEAD), way(TWO, DEAD))),
    Case("we hear only one, they only the other: trunks", (way(ONE, GOOD, DEAD), way(TWO, DEAD, GOOD))),
    Case("our hub is dead here, the other is dead there", (way(ONE, DEAD, GOOD), way(TWO, GOOD, DEAD)), TWO, "hub-1 is silent here"),
    Case("both are dead there", (way(ONE, GOOD, DEAD), way(TWO, GOOD, DEAD))),
    Case("the other end has not told of the other hub", (way(ONE, DEAD), way(TWO, GOOD, None)), TWO, "hub-1 is silent here"),
    Case("a drained hub is better than none", (way(ONE, DEAD), way(TWO, policy=DRAIN)), TWO, "hub-1 is silent here"),
    Case("a standby is better than a drained one", (way(ONE, DEAD), way(TWO, policy=DRAIN), way(THREE, policy=STANDBY)), THREE, "hub-1 is silent here"),
    Case("an ordinary one is better than a standby", (way(ONE, DEAD), way(TWO, policy=STANDBY), way(THREE)), THREE, "hub-1 is silent here"),
    Case("a clean one is better than a lossy one", (way(ONE, DEAD), way(TWO, Leg(0.0, 40.0, 10.0)), way(THREE)), THREE, "hub-1 is silent here"),
    Case("the drained hub is left", (way(ONE, policy=DRAIN), way(TWO)), TWO, "hub-1 drains"),
    Case("by the end that does not lead as well", (way(ONE, policy=DRAIN), way(TWO)), TWO, "hub-1 drains", FOLLOWS),
    Case("all drain", (way(ONE, policy=DRAIN), way(TWO, policy=DRAIN))),
    Case("the only other is dead", (way(ONE, policy=DRAIN), way(TWO, DEAD))),
    Case("to a standby if need be", (way(ONE, policy=DRAIN), way(TWO, policy=STANDBY)), TWO, "hub-1 drains"),
    Case("told, and we do not lead", (way(ONE), way(TWO)), TWO, "the other end chose it", Pair(leads=False, told=TWO)),
    Case("told, and we lead", (way(ONE), way(TWO)), pair=Pair(leads=True, told=TWO)),
    Case("told a dead one", (way(ONE), way(TWO, DEAD)), pair=Pair(leads=False, told=TWO)),
    Case("told one that drains", (way(ONE), way(TWO, policy=DRAIN)), pair=Pair(leads=False, told=TWO)),
    Case("told one that drains, as all do", (way(ONE, policy=DRAIN), way(TWO, policy=DRAIN)), TWO, "the other end chose it", Pair(leads=False, told=TWO)),
    Case("told one that does not exist", (way(ONE), way(TWO)), pair=Pair(leads=False, told=THREE)),
]  # fmt: skip


@pytest.mark.parametrize("case", AT_ONCE, ids=lambda case: case.what)
def test_a_pair_leaves_at_once_what_fails_and_nothing_else(case: Case) -> None:
    chosen = choose_path(case.ways, case.path, case.pair, NOW)
    assert (chosen.hub, chosen.reason) == (case.goes, case.reason)
    assert chosen.since == (NOW if case.goes != ONE else 0.0)


WORSE_BY_LOSS = Leg(0.0, LOSS_BETTER_PCT, 10.0)
BETTER = [
    ("the pair's share", way(TWO), way(ONE), "hub-1 is the pair's share of equal hubs"),
    ("less loss", way(ONE, WORSE_BY_LOSS), way(TWO), "hub-1 loses 20 % of the echoes, hub-2 0 %"),
    ("less loss at the other end", way(ONE, GOOD, WORSE_BY_LOSS), way(TWO), "hub-1 loses 20 % of the echoes, hub-2 0 %"),
    ("a shorter round trip", way(ONE, Leg(0.0, 0.0, 40.0)), way(TWO), "the round trip is 20 ms, 50 ms via hub-1"),
    ("an ordinary hub instead of a standby", way(ONE, policy=STANDBY), way(TWO), "hub-1 is a standby"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "here", "better", "reason"), BETTER, ids=[row[0] for row in BETTER])
def test_what_is_better_is_taken_when_it_has_been_for_long_enough_and_by_the_end_that_leads(
    what: str, here: Way, better: Way, reason: str
) -> None:
    ways, path = [here, better], Path(here.hub, 0.0, "begun")
    noticed = choose_path(ways, path, LEADS, NOW)
    assert (noticed.hub, noticed.better, noticed.better_since) == (here.hub, better.hub, NOW)
    assert choose_path(ways, noticed, LEADS, NOW + HOLD_S - 0.1).hub == here.hub
    moved = choose_path(ways, noticed, LEADS, NOW + HOLD_S)
    assert (moved.hub, moved.reason, moved.since, moved.better) == (better.hub, reason, NOW + HOLD_S, None)
    assert choose_path(ways, noticed, FOLLOWS, NOW + HOLD_S).hub == here.hub


SAME = [
    ("a little less loss", way(ONE, Leg(0.0, LOSS_BETTER_PCT - 0.1, 10.0)), way(TWO)),
    ("a little shorter", way(ONE, Leg(0.0, 0.0, 10.0 + RTT_BETTER_MS - 0.1)), way(TWO)),
    ("ten milliseconds of a hundred", way(ONE, Leg(0.0, 0.0, 90.0)), way(TWO, Leg(0.0, 0.0, 79.0))),
    ("shorter, as far as known, but they have not told", way(ONE, Leg(0.0, 0.0, 90.0), None), way(TWO, GOOD, None)),
    ("it has come back lately", way(TWO), way(ONE, Leg(NOW - HOLD_S + 0.1, 0.0, 10.0))),
    ("it drains", way(TWO), way(ONE, policy=DRAIN)),
    ("it is a standby", way(TWO), way(ONE, policy=STANDBY)),
    ("it is dead at the other end", way(TWO), way(ONE, GOOD, DEAD)),
]


@pytest.mark.parametrize(("what", "here", "other"), SAME, ids=[row[0] for row in SAME])
def test_within_the_dead_bands_nothing_is_even_considered(what: str, here: Way, other: Way) -> None:
    path = Path(here.hub, 0.0, "begun")
    assert choose_path([here, other], path, LEADS, NOW) is path


def test_what_is_better_only_now_and_then_is_never_taken() -> None:
    good, bad = [way(ONE, Leg(0.0, 40.0, 10.0)), way(TWO)], [way(ONE), way(TWO)]
    path, moves = HERE, 0
    for second in range(600):
        chosen = choose_path(bad if second % 10 == 9 else good, path, LEADS, NOW + second)
        moves, path = moves + (chosen.hub != path.hub), chosen
    assert moves == 0


def test_the_hold_counts_anew_when_another_hub_is_the_better_one() -> None:
    lossy = way(ONE, Leg(0.0, 40.0, 10.0))
    path = choose_path([lossy, way(TWO), way(THREE, DEAD)], HERE, LEADS, NOW)
    assert path.better == TWO
    path = choose_path([lossy, way(TWO, DEAD), way(THREE)], path, LEADS, NOW + 10)
    assert (path.better, path.better_since) == (THREE, NOW + 10)
    assert choose_path([lossy, way(TWO, DEAD), way(THREE)], path, LEADS, NOW + HOLD_S).hub == ONE


def test_a_pair_whose_echoes_do_not_come_back_tries_each_hub_in_turn_and_then_waits_for_the_next_round() -> None:
    ways, path, now, seen = [way(ONE), way(TWO), way(THREE)], HERE, NOW, [ONE]
    silent = Pair(leads=True, silent_since=NOW - SILENT_S)
    while now < NOW + NEXT_ROUND_S - 0.2:
        chosen = choose_path(ways, path, silent, now)
        if chosen.hub != path.hub:
            assert chosen.reason == f"no echo came back via {path.hub}"
            assert not path.since or now - path.since >= SILENT_S, "each gets its time"
            seen.append(chosen.hub)
        path, now = chosen, now + 0.1
    assert seen == [ONE, TWO, THREE]
    later = choose_path(ways, path, silent, NOW + NEXT_ROUND_S + 0.1)
    assert later.hub == ONE


STRAYED = Pair(leads=True, strays_to=TWO, strays_since=NOW - STRAYS_S)


def test_the_end_that_leads_goes_where_the_other_end_sends_if_that_never_roams_to_the_path() -> None:
    ways = (way(ONE), way(TWO))
    early = replace(STRAYED, strays_since=NOW - STRAYS_S + 0.1)
    assert choose_path(ways, HERE, early, NOW) is HERE
    moved = choose_path(ways, HERE, STRAYED, NOW)
    assert moved.reason == "the other end does not receive what goes via hub-1, and sends via hub-2"
    assert (moved.hub, moved.since, moved.doubts) == (TWO, NOW, {ONE: Doubt(NOW)})
    again = replace(HERE, doubts={ONE: Doubt(NOW - 500.0, 2)})
    assert choose_path(ways, again, STRAYED, NOW).doubts == {ONE: Doubt(NOW, 3)}


def test_who_sends_to_and_fro_is_not_followed_to_a_hub_that_is_doubted_or_silent_nor_by_the_end_that_does_not_lead() -> (
    None
):
    ways = (way(ONE), way(TWO))
    assert choose_path(ways, HERE, replace(STRAYED, leads=False), NOW) is HERE
    assert choose_path((way(ONE), way(TWO, DEAD)), HERE, STRAYED, NOW) is HERE


def test_that_the_other_end_sends_by_a_hub_ends_the_doubt_about_it() -> None:
    doubting = replace(HERE, doubts={TWO: Doubt(NOW - DOUBT_S + 1)})
    moved = choose_path((way(ONE), way(TWO)), doubting, STRAYED, NOW)
    assert (moved.hub, moved.doubts) == (TWO, {ONE: Doubt(NOW)})


def test_an_echo_that_comes_back_ends_the_search() -> None:
    path = replace(HERE, tried={TWO: NOW, THREE: NOW})
    assert choose_path([way(ONE), way(TWO), way(THREE)], path, LEADS, NOW).tried == {}


def test_a_hub_that_did_not_carry_the_echoes_is_not_gone_back_to_until_the_doubt_is_over_or_it_was_away() -> None:
    ways = [way(ONE), way(TWO)]
    silent = Pair(leads=True, silent_since=NOW - SILENT_S)
    left = choose_path(ways, HERE, silent, NOW)
    found = choose_path(ways, left, LEADS, NOW + 0.1)
    assert (found.hub, found.better, found.doubts) == (TWO, None, {ONE: Doubt(NOW + 0.1)})
    assert choose_path(ways, found, LEADS, NOW + DOUBT_S).better is None
    assert choose_path(ways, found, LEADS, NOW + DOUBT_S + 0.2).better == ONE
    begun_anew = [way(ONE, Leg(NOW + 1, 0.0, 10.0)), way(TWO)]
    assert choose_path(begun_anew, found, LEADS, NOW + 1 + HOLD_S).better == ONE
    again = choose_path(ways, replace(found, tried={ONE: NOW + 90}), LEADS, NOW + 100)
    assert again.doubts == {ONE: Doubt(NOW + 100, 2)}
    assert choose_path(ways, again, LEADS, NOW + 100 + 2 * DOUBT_S - 0.1).better is None
    drained = [way(ONE), way(TWO, policy=DRAIN)]
    assert choose_path(drained, found, LEADS, NOW + 1).hub == TWO, (
        "better a hub that drains than one that does not relay"
    )


def test_a_doubt_that_has_been_over_for_long_does_not_count_any_more() -> None:
    old = Doubt(NOW, 4)
    assert old.ends_at == NOW + 8 * DOUBT_S
    assert old.again(old.ends_at + FORGIVEN_S - 1) == Doubt(old.ends_at + FORGIVEN_S - 1, 5)
    assert old.again(old.ends_at + FORGIVEN_S) == Doubt(old.ends_at + FORGIVEN_S, 1)


def test_a_pair_that_is_silent_is_not_moved_to_a_hub_that_does_not_answer() -> None:
    silent = Pair(leads=True, silent_since=NOW - SILENT_S)
    assert choose_path([way(ONE), way(TWO, DEAD), way(THREE, GOOD, DEAD)], HERE, silent, NOW) == HERE


@pytest.mark.parametrize(
    ("what", "ways", "observed", "hub", "reason"),
    [
        ("its own place", [way(ONE), way(TWO)], TWO, TWO, "it was there before other hubs were known"),
        ("no place", [way(ONE), way(TWO)], None, ONE, "hub-1 is the pair's share of equal hubs"),
        ("a dead place", [way(ONE), way(TWO, DEAD)], TWO, ONE, "hub-1 is the pair's share of equal hubs"),
        ("a place that is no hub", [way(ONE), way(TWO)], THREE, ONE, "hub-1 is the pair's share of equal hubs"),
        ("its share drains", [way(ONE, policy=DRAIN), way(TWO)], None, TWO, "hub-2 is the pair's share of equal hubs"),
        ("its share is a standby", [way(ONE, policy=STANDBY), way(TWO)], None, TWO, "hub-2 is the pair's share of equal hubs"),
        ("all are dead", [way(ONE, DEAD), way(TWO, DEAD)], None, ONE, "no hub answers yet"),
    ],
)  # fmt: skip
def test_a_pair_begins_where_its_packets_go_already_or_at_its_share(
    what: str, ways: list[Way], observed: MachineName | None, hub: MachineName, reason: str
) -> None:
    begun = begin_path(ways, observed, NOW)
    assert (begun.hub, begun.reason, begun.since) == (hub, reason, NOW)


@pytest.mark.parametrize(
    ("what", "ways", "observed", "goes"),
    [
        ("it has not roamed", [way(ONE), way(TWO)], ONE, ONE),
        ("nothing is known of where it is", [way(ONE), way(TWO)], None, ONE),
        ("it has roamed to a hub that works", [way(ONE), way(TWO)], TWO, TWO),
        ("it has roamed to one that is dead here", [way(ONE), way(TWO, DEAD)], TWO, ONE),
        ("it has roamed to one that is dead there", [way(ONE), way(TWO, GOOD, DEAD)], TWO, ONE),
        ("it has roamed to something that is no hub", [way(ONE), way(TWO)], THREE, ONE),
    ],
)
def test_the_end_that_does_not_lead_follows_to_a_hub_that_works(
    what: str, ways: list[Way], observed: MachineName | None, goes: MachineName
) -> None:
    path = follow(ways, HERE, observed, NOW)
    assert (path.hub, path.reason) == (goes, "begun" if goes == ONE else "the other end chose it")


def test_an_end_that_chooses_to_and_fro_is_followed_once_in_a_while_only() -> None:
    ways, moves, path = [way(ONE), way(TWO)], 0, HERE
    for step in range(200):
        now, before = NOW + step * 0.05, path
        told = TWO if path.hub == ONE else ONE
        path = choose_path(ways, path, Pair(leads=False, told=told), now)
        path = follow(ways, path, told, now) if path is before else path
        moves += path is not before
    assert moves == 1 + int(199 * 0.05 / FOLLOW_SPACING_S)


def test_who_has_just_followed_leaves_what_fails_at_once_all_the_same() -> None:
    followed = follow([way(ONE), way(TWO)], HERE, TWO, NOW)
    assert choose_path([way(ONE), way(TWO, DEAD)], followed, FOLLOWS, NOW + 0.1).hub == ONE
