"""What a path is judged by: whether a hub answers, since when a peer does not, and which hub is a pair's share."""

from collections import Counter

import pytest

from spokewire.network.documents import HubPolicy
from spokewire.network.names import MachineName
from spokewire.network.paths import (
    FOLLOWER_WAITS_S,
    GRACE_S,
    LEAST_MISSING,
    LEAST_SILENT,
    MISSING_S,
    NEVER_S,
    SILENT_S,
    Leg,
    Way,
    find_silence,
    is_leg_alive,
)
from spokewire.network.probing import Trail
from spokewire.network.shares import find_share, name_pair, rank_hub
from spokewire.network.status import State

HUBS = [MachineName(f"hub-{number}") for number in range(1, 5)]
PAIRS = [name_pair(f"node-{one}", f"node-{other}") for one in range(1, 61) for other in range(one + 1, 61)]


def asked(count: int, span_s: float, *, answered: bool = True) -> tuple[Trail, float]:
    """A machine that answered once (if `answered`), then left so many echoes unanswered, the first of them `span_s` ago; and now."""
    trail = Trail(begins_at=0.0)
    if answered:
        assert trail.answer(trail.send(1.0), 1, 1.01)
    now = 100.0
    for number in range(count):
        trail.send(now - span_s + number * span_s / max(1, count))
    return trail, now


@pytest.mark.parametrize(
    ("count", "span_s", "other_ago_s", "is_alive"),
    [
        (0, 0.0, 0.1, True),
        (LEAST_MISSING, MISSING_S, 0.1, False),
        (LEAST_MISSING - 1, MISSING_S, 0.1, True),
        (LEAST_MISSING, MISSING_S - 0.05, 0.1, True),
        (LEAST_MISSING, MISSING_S, MISSING_S + 0.5, True),
        (LEAST_MISSING, MISSING_S, None, True),
        (50, 1.9, None, True),
    ],
)
def test_a_hub_is_given_up_when_echoes_are_missing_while_another_hub_answers(
    count: int, span_s: float, other_ago_s: float | None, is_alive: bool
) -> None:
    trail, now = asked(count, span_s)
    other = None if other_ago_s is None else now - other_ago_s
    assert is_leg_alive(trail, State.CONNECTED, other, now) is is_alive
    assert is_leg_alive(trail, State.DEGRADED, other, now) is is_alive
    assert not is_leg_alive(trail, State.DISCONNECTED, other, now)


@pytest.mark.parametrize(
    ("age_s", "other_answered_at", "is_alive"),
    [(0.1, None, True), (GRACE_S, None, False), (0.1, 0.05, True)],
)
def test_a_hub_that_has_never_answered_counts_for_a_moment_whatever_others_do(
    age_s: float, other_answered_at: float | None, is_alive: bool
) -> None:
    assert is_leg_alive(Trail(begins_at=0.0), State.STARTING, other_answered_at, age_s) is is_alive


@pytest.mark.parametrize(
    ("count", "span_s", "answered", "leads", "is_silent"),
    [
        (LEAST_SILENT, SILENT_S, True, True, True),
        (LEAST_SILENT - 1, SILENT_S, True, True, False),
        (LEAST_SILENT, SILENT_S - 0.05, True, True, False),
        (LEAST_SILENT, SILENT_S + 0.5, True, False, False),
        (LEAST_SILENT, SILENT_S + FOLLOWER_WAITS_S, True, False, True),
        (LEAST_SILENT, SILENT_S + FOLLOWER_WAITS_S, False, True, False),
        (LEAST_SILENT, NEVER_S, False, True, True),
        (LEAST_SILENT, NEVER_S, False, False, True),
        (0, 0.0, True, True, False),
    ],
)
def test_a_peers_silence_means_something_after_a_while_and_later_to_the_end_that_does_not_lead(
    count: int, span_s: float, answered: bool, leads: bool, is_silent: bool
) -> None:
    trail, now = asked(count, span_s, answered=answered)
    assert find_silence(trail, now, leads=leads) == (now - span_s if is_silent else None)


@pytest.mark.parametrize(
    ("mine", "theirs", "loss_pct", "rtt_ms", "works"),
    [
        (Leg(0.0, 0.0, 5.0), Leg(0.0, 0.0, 7.0), 0.0, 12.0, True),
        (Leg(0.0, 50.0, 5.0), Leg(0.0, 50.0, 7.0), 75.0, 12.0, True),
        (Leg(0.0, 10.0, 5.0), None, 10.0, None, True),
        (Leg(0.0, 0.0, None), Leg(0.0, 0.0, 7.0), 0.0, None, True),
        (Leg(0.0, 100.0, 5.0), Leg(0.0, 30.0, None), 100.0, None, True),
        (Leg(None), Leg(0.0), 0.0, None, False),
        (Leg(0.0), Leg(None), 0.0, None, False),
    ],
)
def test_a_way_is_both_its_legs(
    mine: Leg, theirs: Leg | None, loss_pct: float, rtt_ms: float | None, works: bool
) -> None:
    way = Way(HUBS[0], 1.0, mine, theirs)
    assert (way.rtt_ms, way.works) == (rtt_ms, works)
    assert way.loss_pct == pytest.approx(loss_pct)


def shares(hubs: dict[MachineName, HubPolicy]) -> Counter[MachineName]:
    return Counter(find_share(pair, hubs) for pair in PAIRS)


def test_both_ends_of_a_pair_call_it_the_same() -> None:
    assert name_pair("node-1", "node-2") == name_pair("node-2", "node-1") != name_pair("node-1", "node-3")


def test_pairs_spread_over_equal_hubs_evenly_and_over_others_by_weight() -> None:
    equal = shares({hub: HubPolicy() for hub in HUBS})
    assert all(count == pytest.approx(len(PAIRS) / 4, rel=0.12) for count in equal.values())
    uneven = shares({HUBS[0]: HubPolicy(weight=30), HUBS[1]: HubPolicy(weight=10)})
    assert uneven[HUBS[0]] == pytest.approx(0.75 * len(PAIRS), rel=0.06)


def test_a_hub_that_comes_or_goes_moves_only_the_pairs_that_it_takes_or_leaves() -> None:
    before, after = {hub: HubPolicy() for hub in HUBS[:3]}, {hub: HubPolicy() for hub in HUBS}
    moved = [pair for pair in PAIRS if find_share(pair, before) != find_share(pair, after)]
    assert all(find_share(pair, after) == HUBS[3] for pair in moved)
    assert len(moved) == pytest.approx(len(PAIRS) / 4, rel=0.12)


def test_a_hub_that_drains_and_a_standby_get_nothing_while_there_is_another() -> None:
    drains, standby = HubPolicy(drain=True), HubPolicy(weight=0)
    assert set(shares({HUBS[0]: drains, HUBS[1]: standby, HUBS[2]: HubPolicy()})) == {HUBS[2]}
    assert set(shares({HUBS[0]: drains, HUBS[1]: standby})) == {HUBS[1]}
    assert set(shares({HUBS[0]: drains, HUBS[1]: drains})) == {HUBS[0], HUBS[1]}
    assert set(shares({HUBS[0]: standby, HUBS[1]: standby})) == {HUBS[1]}, "one of the standbys, the same for everybody"


def test_a_rank_is_the_same_at_both_ends_and_on_every_machine() -> None:
    assert rank_hub(name_pair("b", "a"), "hub-1", 10) == pytest.approx(18.73065213857257)
    assert rank_hub(name_pair("b", "a"), "hub-1", 0) == 0.0
