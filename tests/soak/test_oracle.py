"""The oracle and the plan themselves: an oracle that cannot find a lie would prove nothing."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.soak.chaos import MOST_AT_ONCE, Kind, plan_chaos
from tests.soak.oracle import Verdict, judge_node, judge_operator
from tests.soak.truth import Pair, Spans, Trace, Turn, World

NODES = {"node-1": "10.88.0.11", "node-2": "10.88.0.12"}
HUB = "hub-1"
BEGUN = 1000.0
CUT = 1100.0
"""From here on nothing passes between the nodes; both still reach the hub."""
END = 1200.0
MOVED, OTHER_HUB = 1150.0, "hub-2"
"""From here on WireGuard has the peer at another hub."""


def times(begin: float, end: float) -> list[float]:
    return [begin + number / 10 for number in range(round((end - begin) * 10))]


def world(*turns: Turn) -> World:
    ran = Spans.join((at, at + 0.5) for at in times(BEGUN, END)[::5])
    pairs = {(node, HUB): Pair(times(BEGUN, END), ran, None) for node in NODES}
    pairs |= {pair: Pair(times(BEGUN, CUT), ran, ran) for pair in (("node-1", "node-2"), ("node-2", "node-1"))}
    paths = {
        pair: Trace((at, HUB if at < MOVED else OTHER_HUB) for at in times(BEGUN, END))
        for pair in (("node-1", "node-2"), ("node-2", "node-1"))
    }
    return World(BEGUN, NODES, (HUB,), 7, pairs, {"node-2": turns}, paths)


def entry(name: str, state: str, age_s: float, path: str) -> dict[str, Any]:
    told = {"name": name, "state": state, "reason": "echoes come back", "since": BEGUN, "path": path}
    return told | {"rtt_ms": 2.0, "loss_1m_pct": 0.0, "last_echo_age_s": age_s}


def status(at: float, peer: str, age_s: float = 0.5, **changed: Any) -> dict[str, Any]:
    """What node-1 says: all is well, and its peer is in this state."""
    told: dict[str, Any] = {
        "node": "node-1",
        "overlay_ip": "10.88.0.11",
        "state": "connected",
        "reason": "echoes come back from hub-1",
        "wg": {"peer_count": 2},
        "hubs": [entry(HUB, "connected", 0.4, "direct")],
        "peers": [entry("node-2", peer, age_s, "via hub-1")],
        "issues": [],
        "settings_version": 7,
        "time": at,
    }
    return told | changed


def lies(at: float, told: dict[str, Any] | None, *turns: Turn) -> set[str]:
    verdict = Verdict()
    verdict.add(judge_node(world(*turns), "node-1", at, told, "no answer"))
    return {lie.rule for lie in verdict.lies}


@pytest.mark.parametrize(
    ("at", "told", "found"),
    [
        (CUT - 1, status(CUT - 1, "connected"), set()),
        (CUT + 5, status(CUT + 5, "connected", 5.1), set()),
        (CUT + 7, status(CUT + 7, "disconnected", 7.1), set()),
        (CUT + 7, status(CUT + 7, "connected", 7.1), {"state of a hub or peer"}),
        (CUT + 7, status(CUT + 7, "degraded", 7.1), {"state of a hub or peer"}),
        (CUT + 7, status(CUT + 7, "starting", 7.1), {"state of a hub or peer"}),
        (CUT + 7, status(CUT + 7, "disconnected", 0.3), {"last_echo_age_s"}),
        (CUT - 1, status(CUT - 1, "disconnected"), {"state of a hub or peer"}),
        (CUT - 1, status(CUT - 1, "connected", 9.0), {"last_echo_age_s"}),
        (CUT - 1, status(CUT - 1, "connected", state="disconnected", reason="none"), {"node state"}),
        (CUT - 1, status(CUT - 1, "connected", settings_version=6), {"settings_version"}),
        (CUT - 1, status(CUT - 1, "connected", peers=[]), {"hubs and peers are all there"}),
        (CUT - 1, status(CUT - 1, "connected", wg={"peer_count": 1}), {"wg.peer_count"}),
        (CUT - 1, status(CUT - 9, "connected"), {"time"}),
        (CUT - 1, status(CUT - 1, "connected", peers=[entry("node-2", "connected", 0.5, "direct")]), {"path"}),
        (CUT - 1, None, {"the status server answers"}),
        (
            CUT - 1,
            status(CUT - 1, "connected", state="degraded", reason="it does not reach node-2, although"),
            {"reason names the right machine"},
        ),
    ],
)
def test_the_oracle_finds_every_lie_and_nothing_else(at: float, told: dict[str, Any] | None, found: set[str]) -> None:
    assert lies(at, told) == found


@pytest.mark.parametrize(
    ("looks", "found"),
    [((1, 6), set()), ((1, 8), {"path"}), ((30,), set()), ((30, 37), {"path"}), ((-1, 30, 31), set())],
    ids=["told for five seconds", "told for seven", "told once", "told late, for seven", "told before it was wrong"],
)
def test_a_path_may_not_be_told_for_long_after_wireguard_has_left_it(looks: Sequence[float], found: set[str]) -> None:
    known, verdict = world(), Verdict()
    for at in (MOVED + after_s for after_s in looks):
        verdict.add(judge_node(known, "node-1", at, status(at, "disconnected", at - CUT + 0.1), "no answer"))
    assert {lie.rule for lie in verdict.lies} == found


def test_a_peer_whose_agent_is_stopped_may_not_be_called_connected_although_traffic_flows() -> None:
    stopped, at = Turn(CUT - 20, up=False), CUT - 10
    assert lies(at, status(at, "connected"), stopped) == {"state of a hub or peer"}
    assert lies(at, status(at, "disconnected", 9.5), stopped) == set()


def test_an_agent_that_has_just_been_started_is_given_time() -> None:
    turns = Turn(CUT - 20, up=False), Turn(CUT - 9, up=True, settles_s=3.0)
    assert lies(CUT - 1, status(CUT - 1, "disconnected", 18.0), *turns) == set()


def test_nothing_is_known_of_a_time_in_which_our_own_traffic_did_not_run() -> None:
    ran = Spans.join([(0.0, 0.5), (0.5, 1.0), (10.0, 10.5), (10.5, 11.0), (11.0, 13.0)])
    pair = Pair([0.9], ran, None)
    assert pair.look(9.0).silent_s == 0.0
    assert pair.look(10.9).silent_s == pytest.approx(0.9)
    assert pair.look(12.5).silent_s == 0.0


def test_the_operators_exit_status_and_summary_must_fit_what_is_listed() -> None:
    listed: dict[str, Any] = {"overlay_ip": "10.88.0.11", "state": "connected", "reason": "echoes come back from hub-1"}
    listed |= {"last_echo_age_s": 0.2, "settings_version": 7, "peers": [], "issues": []}
    nodes = [listed | {"name": name, "overlay_ip": address} for name, address in NODES.items()]
    hub: dict[str, Any] = {"name": HUB, "state": "connected", "reason": "relaying", "issues": []}
    overview: dict[str, Any] = {
        "state": "degraded",
        "reason": "not connected: node-2",
        "hubs": [hub],
        "nodes": nodes,
        "missing": [],
    }
    verdict = Verdict()
    verdict.add(judge_operator(world(), CUT - 1, CUT, 0, overview))
    assert {lie.rule for lie in verdict.lies} == {"exit status", "reason names the right machines", "network state"}


@pytest.mark.parametrize(
    ("hub_state", "node_state", "found"),
    [
        ("disconnected", "connected", set()),
        ("disconnected", "degraded", set()),
        (
            "connected",
            "connected",
            {"hub state", "node state as the operator sees it", "reason names the right machine"},
        ),
        ("connected", "degraded", {"hub state"}),
    ],
    ids=["told as dead", "told as dead, and its nodes blamed", "not told at all", "told of its nodes only"],
)
def test_a_dead_hub_must_be_told_and_its_nodes_are_well_only_if_it_is(
    hub_state: str, node_state: str, found: set[str]
) -> None:
    known = world()
    known.hubs = (HUB, OTHER_HUB)
    ran = Spans.join((at, at + 0.5) for at in times(BEGUN, END)[::5])
    known.pairs = {**known.pairs, **{(node, OTHER_HUB): Pair(times(BEGUN, CUT - 50), ran, None) for node in NODES}}
    known.turns = {OTHER_HUB: [Turn(CUT - 50, up=False)]}
    reason = f"{OTHER_HUB}: no echo for 9 s; echoes come back from {HUB}"
    listed: dict[str, Any] = {"state": node_state, "reason": reason, "last_echo_age_s": 0.2, "settings_version": 7}
    nodes = [{**listed, "name": n, "overlay_ip": a, "peers": [], "issues": []} for n, a in NODES.items()]
    hubs = [{"name": HUB, "state": "connected", "reason": "relaying", "issues": []}]
    hubs += [{"name": OTHER_HUB, "state": hub_state, "reason": "its API does not answer", "issues": []}]
    wrong = [one["name"] for one in [*hubs, *nodes] if one["state"] != "connected"]
    overview = {"state": "degraded", "reason": f"not connected: {', '.join(wrong)}", "hubs": hubs, "nodes": nodes}
    verdict = Verdict()
    verdict.add(judge_operator(known, CUT - 1, CUT, 3, overview | {"missing": []}))
    assert {lie.rule for lie in verdict.lies} == found


def test_a_seed_gives_the_same_faults_again_and_at_most_two_at_once() -> None:
    names = [f"node-{number}" for number in range(1, 6)]
    hubs = [HUB, OTHER_HUB]
    plan = plan_chaos(1, 600, names, hubs)
    assert plan == plan_chaos(1, 600, names, hubs) != plan_chaos(2, 600, names, hubs)
    assert len(plan) > 40
    assert {fault.kind for seed in range(20) for fault in plan_chaos(seed, 600, names, hubs)} == set(Kind)
    assert {fault.machine for seed in range(20) for fault in plan_chaos(seed, 600, names, hubs)} == {*names, *hubs}
    for fault in plan:
        others = [other for other in plan if other.at_s <= fault.at_s < max(other.ends_s, other.at_s + 0.1)]
        assert len(others) <= MOST_AT_ONCE
        assert len({other.machine for other in others}) == len(others)
