"""Direct paths that come, die, and outlive the hubs: what is lost, and for how long. Four nodes behind port-restricted NATs, two hubs."""

import time
from collections import defaultdict

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.promises.failover import HUBS, find_paths, switch_off, switch_on
from tests.lab.promises.passing import cut, mend_cut, plan_cut, wait_for_pairs
from tests.lab.promises.promise import Promise, Record, keep, keep_word
from tests.lab.promises.pulse import Pulse, answer
from tests.lab.traffic import Flow
from tests.lab.world import Network, hub, measured, nodes, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.promise]

ADDRESS = {f"node-{number}": f"10.88.0.{10 + number}" for number in range(1, 5)}
FLOWING, QUIET, BRIEF = ("node-1", "node-2"), ("node-3", "node-4"), ("node-1", "node-3")
"""Pairs: one whose every datagram is counted, one more in use, and one that soon falls silent."""
DIRECT, ENDED = "go directly", "the direct path ended"
"""Words of the history."""
LIMIT_S = 2.0
FIRST_TRIES_S = 45.0
BRIEF_S = 20.0
HUBS_AWAY_S = 6.0
STEADY_S = 12.0
"""After a direct path has ended, the next try is at least ten seconds away."""
RETURN_S = 60.0
IDLE_S = 60.0
"""A pair counts as idle some seconds after its last datagram, and lingers for thirty."""


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    made = make_module_network(hub("hub-2"), nodes(count=4))
    made.spec.write_text(made.spec.read_text().replace("[network]\n", "[network]\ndirect = true\n"))
    made.deploy()
    answer(made, *ADDRESS)
    wait_until(lambda: made.status()["state"] == "connected", 30, "all is connected")
    return made


@pytest.fixture(scope="module")
def flow(network: Network) -> Flow:
    """A hundred datagrams a second from before the pair is direct until the end."""
    return Flow(network, *FLOWING, ADDRESS[FLOWING[1]])


def test_no_datagram_is_lost_when_pairs_with_traffic_go_direct(
    network: Network, flow: Flow, record_property: Record
) -> None:
    Pulse(network, BRIEF[0], {BRIEF[1]: ADDRESS[BRIEF[1]]}, for_s=BRIEF_S).wait_for_flow()
    begun = time.time()
    Pulse(network, QUIET[0], {QUIET[1]: ADDRESS[QUIET[1]]}).wait_for_flow()
    wait_for_pairs(network, {FLOWING: True, QUIET: True}, FIRST_TRIES_S)
    flow.wait_for(300, 30)
    measured("from its first datagram until a pair goes direct", list_moves(network, begun)[QUIET][0][0] - begun)
    lost = len(flow.lost())
    keep_word(
        record_property, "a pair goes direct", "no packet lost", f"{lost} lost of {flow.sent()}", is_kept=not lost
    )


@pytest.mark.long
def test_a_direct_pair_does_not_notice_that_all_hubs_are_dead_nor_that_they_are_back(
    network: Network, flow: Flow, record_property: Record
) -> None:
    wait_for_pairs(network, {FLOWING: True}, FIRST_TRIES_S)
    since = time.time()
    for name in HUBS:
        switch_off(network, name)
    time.sleep(HUBS_AWAY_S)
    for name in HUBS:
        switch_on(network, name)
    wait_until(lambda: network.status()["state"] == "connected", 60, "all is connected")
    flow.wait_for(300, 30)
    lost = flow.lost_since(since)
    what = "both hubs killed and started again, pair direct"
    keep_word(record_property, what, "no packet lost", f"{lost} lost of a hundred a second", is_kept=not lost)
    assert find_paths(network)[FLOWING] == "direct"


def test_a_direct_path_that_dies_one_way_or_both_gives_way_to_a_hub_and_comes_back_later_without_a_loss(
    network: Network, flow: Flow, record_property: Record
) -> None:
    wait_for_pairs(network, {FLOWING: True, QUIET: True}, FIRST_TRIES_S)
    pulses = {pair: Pulse(network, pair[0], {pair[1]: ADDRESS[pair[1]]}) for pair in (FLOWING, QUIET)}
    for pulse in pulses.values():
        pulse.wait_for_flow()
    rules = plan_cut(network, [FLOWING, QUIET, QUIET[::-1]])
    since = time.time()
    cut(network, rules)
    figures = {pair: pulse.measure(pair[1], since, 4.0) for pair, pulse in pulses.items()}
    wait_for_pairs(network, {FLOWING: False, QUIET: False}, 20)
    time.sleep(max(0.0, since + STEADY_S - time.time()))
    moves = list_moves(network, since)
    mend_cut(network)
    back_at = time.time()
    wait_for_pairs(network, {FLOWING: True, QUIET: True}, RETURN_S)
    flow.wait_for(300, 30)
    keep(record_property, Promise("direct path dies one way", LIMIT_S), [figures[FLOWING]])
    keep(record_property, Promise("direct path dies both ways", LIMIT_S), [figures[QUIET]])
    ways = [way for pair in (FLOWING, QUIET) for way in (pair, pair[::-1])]
    found = {way: [text for _, text in moves[way] if DIRECT in text or ENDED in text] for way in ways}
    assert all(len(texts) == 1 and ENDED in texts[0] for texts in found.values()), f"each end leaves once: {found}"
    lost = flow.lost_since(back_at)
    what = f"{lost} lost of a hundred a second"
    keep_word(record_property, "a direct path is back", "no packet lost", what, is_kept=not lost)


@pytest.mark.long
def test_a_pair_without_traffic_goes_back_to_its_hub(network: Network) -> None:
    wait_for_pairs(network, {BRIEF: False}, IDLE_S)
    found = [text for _, text in list_moves(network, 0.0)[BRIEF] if DIRECT in text or ENDED in text]
    assert [DIRECT in text for text in found] == [True, False], found


@pytest.mark.long
def test_direct_paths_end_without_a_loss_when_the_operator_does_not_want_them_any_more(
    network: Network, flow: Flow, record_property: Record
) -> None:
    wait_for_pairs(network, {FLOWING: True}, RETURN_S)
    since = time.time()
    network.spec.write_text(network.spec.read_text().replace("direct = true", "direct = false"))
    network.deploy()
    wait_for_pairs(network, {FLOWING: False, QUIET: False}, 20)
    flow.wait_for(300, 30)
    lost = flow.lost_since(since)
    what = f"{lost} lost of a hundred a second"
    keep_word(record_property, "direct paths are switched off", "no packet lost", what, is_kept=not lost)
    assert {path.split(" ")[0] for path in find_paths(network).values()} == {"via"}


def list_moves(network: Network, since: float) -> dict[tuple[str, str], list[tuple[float, str]]]:
    """What each node told since an instant of a change of its path to each other, and when that was."""
    told, found = network.run("history", "--since", "10m", "--json").data, defaultdict(list)
    for node in told["nodes"]:
        for event in node["events"]:
            if event["code"] == "path-changed" and event["at"] >= since:
                found[node["node"], event["subject"]].append((event["at"], event["text"]))
    return found
