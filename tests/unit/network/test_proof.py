from typing import Any

import pytest

from spokewire.network.proof import Pace, PairResult, all_pairs, collect, order_targets, plan_pace


def make_result(source: str = "a", target: str = "b", **changes: Any) -> PairResult:
    values: dict[str, Any] = {"udp_loss_pct": 0.0, "tcp_ok": True, "checksum_ok": True, "rtt_ms": 1.0}
    return PairResult(source=source, target=target, **(values | changes))


@pytest.mark.parametrize(
    ("changes", "ok"),
    [
        ({}, True),
        ({"udp_loss_pct": 20.0}, True),
        ({"udp_loss_pct": 20.1}, False),
        ({"udp_loss_pct": 100.0, "rtt_ms": None}, False),
        ({"tcp_ok": False}, False),
        ({"checksum_ok": False}, False),
        ({"mbits": 3.5}, True),
    ],
)
def test_a_pair_proved_its_traffic_only_with_echoes_a_connection_and_a_checksum(
    changes: dict[str, Any], ok: bool
) -> None:
    assert make_result(**changes).ok is ok


def test_a_pair_of_which_nothing_is_known_proved_nothing() -> None:
    assert not PairResult(source="a", target="b").ok


def test_every_direction_is_proved_by_itself() -> None:
    assert all_pairs(["a", "b", "c"]) == [("a", "b"), ("a", "c"), ("b", "a"), ("b", "c"), ("c", "a"), ("c", "b")]
    assert all_pairs(["a"]) == []
    assert len(all_pairs(map(str, range(20)))) == 380


def test_results_are_shown_in_the_order_asked_and_a_silent_node_says_why() -> None:
    pairs = [("a", "b"), ("b", "a"), ("c", "a")]
    found = [make_result("b", "a"), make_result("a", "b"), make_result("x", "y")]
    collected = collect(pairs, found, {"c": "c does not listen"})
    assert [(result.source, result.target) for result in collected] == pairs
    assert [result.ok for result in collected] == [True, True, False]
    assert collected[2].error == "c does not listen"


def test_a_result_that_never_came_says_so() -> None:
    assert collect([("a", "b")], [], {})[0].error == "no result arrived in time"


@pytest.mark.parametrize(
    ("nodes", "pace"),
    [
        (0, Pace(4, 262144)),
        (2, Pace(4, 262144)),
        (3, Pace(4, 262144)),
        (7, Pace(2, 262144)),
        (20, Pace(1, 44150)),
        (100, Pace(1, 16384)),
    ],
)
def test_the_more_nodes_the_gentler_each_so_that_the_proof_is_no_outage_itself(nodes: int, pace: Pace) -> None:
    assert plan_pace(all_pairs([f"node-{number}" for number in range(nodes)])) == pace


def test_each_node_begins_with_another_peer() -> None:
    names = ["node-1", "node-2", "node-3", "node-4"]
    orders = [order_targets(name, [other for other in names if other != name]) for name in names]
    assert orders[1] == ["node-3", "node-4", "node-1"]
    assert len({order[0] for order in orders}) == len(names)
