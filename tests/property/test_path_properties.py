"""Whatever hubs do: no path leads to a hub that is not there, nothing moves without a reason, and both ends find each other again."""

from hypothesis import given, note, settings
from hypothesis import strategies as st

from spokewire.network.documents import HubPolicy
from spokewire.network.names import MachineName
from spokewire.network.paths import (
    LOSS_BETTER_PCT,
    NEXT_ROUND_S,
    RTT_BETTER_MS,
    Leg,
    Pair,
    Path,
    Way,
    begin_path,
    choose_path,
    follow,
)
from tests.property.pair_of_ends import STEP_S, HubNow, PairOfEnds

HUBS = [MachineName(f"hub-{number}") for number in range(1, 5)]
ELSEWHERE = MachineName("hub-9")
NOW = 1000.0
SETTLES_S = 2 * NEXT_ROUND_S
"""Every hub is tried once in less than a round; who leads may be one round behind."""

instants = st.floats(0.0, NOW)
legs = st.builds(Leg, st.none() | instants, st.floats(0.0, 100.0), st.none() | st.floats(0.1, 5000.0))
policies = st.builds(HubPolicy, weight=st.sampled_from([0, 1, 10, 100]), drain=st.booleans())
hub_names = st.sampled_from([*HUBS, ELSEWHERE])


@st.composite
def way_lists(draw: st.DrawFn) -> list[Way]:
    hubs = draw(st.lists(st.sampled_from(HUBS), unique=True))
    return [
        Way(hub, float(rank), draw(legs), draw(st.none() | legs), draw(policies)) for rank, hub in enumerate(hubs, 1)
    ]


paths = st.builds(
    Path,
    hub_names,
    instants,
    st.just("begun"),
    st.none() | hub_names,
    instants,
    st.dictionaries(hub_names, instants, max_size=4),
)
pairs = st.builds(Pair, st.booleans(), st.none() | instants, st.none() | hub_names)


@given(way_lists(), paths, pairs)
def test_no_path_leads_to_a_hub_that_is_not_there_and_none_changes_without_a_reason(
    ways: list[Way], path: Path, pair: Pair
) -> None:
    there = {way.hub: way for way in ways}
    chosen = choose_path(ways, path, pair, NOW)
    if chosen.hub == path.hub:
        assert (chosen.since, chosen.reason) == (path.since, path.reason)
        return
    assert chosen.since == NOW
    assert chosen.reason not in ("", path.reason)
    assert chosen.hub in there
    if path.hub in there and there[path.hub].works:
        assert there[chosen.hub].works, "what works is not left for what does not"
    if path.hub in there and not there[path.hub].works:
        assert there[chosen.hub].mine.alive_since is not None, "nor is anything for a hub that we do not hear"


@given(way_lists(), paths, st.none() | hub_names)
def test_following_and_beginning_lead_only_to_hubs_that_are_there(
    ways: list[Way], path: Path, observed: MachineName | None
) -> None:
    there = {way.hub: way for way in ways}
    followed = follow(ways, path, observed, NOW)
    assert followed == path or there[followed.hub].works
    if ways:
        begun = begin_path(ways, observed, NOW)
        assert there[begun.hub].works or not any(way.works for way in ways)


@given(st.data())
def test_noise_below_the_dead_bands_moves_a_pair_at_most_once_to_its_share(data: st.DataObject) -> None:
    noise = st.tuples(st.floats(0.0, (LOSS_BETTER_PCT - 1) / 2), st.floats(50.0, 50.0 + RTT_BETTER_MS / 2 - 0.1))
    path, moves = Path(data.draw(st.sampled_from(HUBS[:3])), 0.0, "begun"), 0
    for minute in range(12):
        ways = [
            Way(hub, float(rank), Leg(0.0, *data.draw(noise)), Leg(0.0, *data.draw(noise)))
            for rank, hub in enumerate(HUBS[:3], 1)
        ]
        for second in range(0, 60, 5):
            chosen = choose_path(ways, path, Pair(leads=True), NOW + 60 * minute + second)
            moves, path = moves + (chosen.hub != path.hub), chosen
    assert moves <= 1
    assert path.hub == HUBS[2] or moves == 0


hubs_now = st.builds(
    HubNow,
    hears=st.tuples(st.booleans(), st.booleans()),
    relays=st.booleans(),
    loss_pct=st.sampled_from([0.0, 10.0, 40.0]),
    policy=st.sampled_from([HubPolicy(), HubPolicy(), HubPolicy(drain=True), HubPolicy(weight=0)]),
)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.lists(hubs_now, min_size=3, max_size=3), st.floats(0.5, 30.0)), max_size=4), st.data())
def test_both_ends_are_on_one_hub_that_works_soon_after_there_is_one(
    troubles: list[tuple[list[HubNow], float]], data: st.DataObject
) -> None:
    """Whatever happened before, and whichever hub it is."""
    pair = PairOfEnds(dict(zip(HUBS, [HubNow(), HubNow(), HubNow()], strict=False)))
    for hubs, for_s in troubles:
        pair.hubs.update(zip(HUBS, hubs, strict=False))
        pair.run(for_s)
    ends = data.draw(st.lists(hubs_now, min_size=3, max_size=3))
    ends[data.draw(st.integers(0, 2))].hears = (True, True)
    for hub in ends:
        hub.relays = True
    pair.hubs.update(zip(HUBS, ends, strict=False))
    note(f"at the end {pair.hubs}")
    pair.run(SETTLES_S)
    for end in pair.ends:
        note(f"leads {end.leads}: {end.moves}, endpoint {end.endpoint}")
    assert pair.is_joined()
    before = [len(end.moves) for end in pair.ends]
    pair.run(60.0)
    assert pair.is_joined()
    assert sum(len(end.moves) for end in pair.ends) - sum(before) <= 2, "each may still move once to what is better"


def test_a_hub_that_does_not_relay_is_left_and_not_gone_back_to_every_quarter_of_a_minute() -> None:
    """Everybody hears it, so that nothing but the echoes of the pair tells."""
    pair = PairOfEnds(dict(zip(HUBS, [HubNow(), HubNow(), HubNow()], strict=False)))
    share = max(pair.ranks, key=lambda hub: pair.ranks[hub])
    pair.run(5.0)
    pair.hubs[share].relays = False
    pair.run(3.0)
    assert pair.is_joined()
    cut_s = 0.0
    while pair.now < 500.0:
        pair.step()
        cut_s += 0.0 if pair.is_joined() else STEP_S
    assert cut_s < 10.0, f"it is tried after twenty, forty, eighty seconds and so on: {pair.ends[0].moves}"
    pair.hubs[share].relays = True
    pair.run(500.0)
    assert pair.is_joined()
    assert pair.ends[0].path.hub == share, "at last it is trusted again"
