"""Why packets of two nodes go as they go, and how they would go next."""

from typing import Any

import pytest

from spokewire.network.evidence import Answer, Evidence, HubEvidence
from spokewire.network.explanation import Explanation, explain_path
from spokewire.network.names import MachineName
from spokewire.network.overview import judge_network
from spokewire.network.spec import NetworkSpec
from spokewire.network.status import NodeStatus, PeerStatus, State
from tests.builders import NOW, SPEC_TEXT, make_hub_status, make_node_status, make_peer, make_spec, make_view

SECOND = "[[hubs]]\nname = 'hub-2'\n"
DEAD = {"state": State.DISCONNECTED, "reason": "no echo for 9 s"}


def hubs(**changes: dict[str, Any]) -> list[PeerStatus]:
    """What a node says of its hubs: both near and well, but for the changes."""
    measured: dict[str, Any] = {"rtt_ms": 1.0, "loss_pct": 0.0}
    return [make_peer(name, **(measured | changes.get(name.replace("-", "_"), {}))) for name in ("hub-1", "hub-2")]


def words(name: str, other: str, seen: list[PeerStatus] | None = None, **peer: Any) -> NodeStatus:
    said: dict[str, Any] = {
        "path_reason": "chosen by both names",
        "path_since": NOW - 60,
        "rtt_ms": 2.5,
        "loss_pct": 0.0,
    }
    said |= peer
    return make_node_status(name, hubs=seen or hubs(), peers=[make_peer(other, **said)])


def explain(one: NodeStatus | None, other: NodeStatus | None, spec: NetworkSpec | None = None) -> Explanation:
    wanted = spec or make_spec(SPEC_TEXT + SECOND)
    told = {"node-1": one, "node-2": other}
    nodes = {
        MachineName(name): Evidence("running", make_view(name), said, Answer.OK, said)
        for name, said in told.items()
        if said is not None
    }
    seen = {MachineName(h.name): HubEvidence("running", None, make_hub_status(h.name)) for h in wanted.hubs}
    return explain_path(wanted, judge_network(wanted, seen, nodes), "node-1", "node-2")


def both(seen: list[PeerStatus] | None = None, spec: NetworkSpec | None = None, **peer: Any) -> Explanation:
    return explain(words("node-1", "node-2", seen, **peer), words("node-2", "node-1", seen, **peer), spec)


def test_the_path_is_told_with_since_when_and_why_by_both_sides() -> None:
    found = both()
    assert found.state is State.CONNECTED
    assert [(side.node, side.path, side.reason, side.since) for side in found.sides] == [
        ("node-1", "via hub-1", "chosen by both names", NOW - 60),
        ("node-2", "via hub-1", "chosen by both names", NOW - 60),
    ]
    assert [(item.path, item.in_use, item.usable) for item in found.candidates] == [
        ("via hub-1", True, True),
        ("via hub-2", False, True),
        ("direct", False, False),
    ]


def test_each_hub_is_told_with_both_legs_and_what_they_make_together() -> None:
    far = hubs(hub_2={"rtt_ms": 30.0, "loss_pct": 10.0})
    hub_2 = explain(words("node-1", "node-2", far), words("node-2", "node-1")).candidates[1]
    assert [(leg.node, leg.state, leg.rtt_ms, leg.loss_pct) for leg in hub_2.legs] == [
        ("node-1", State.CONNECTED, 30.0, 10.0),
        ("node-2", State.CONNECTED, 1.0, 0.0),
    ]
    assert (hub_2.rtt_ms, hub_2.loss_pct, hub_2.weight, hub_2.drain) == (31.0, 10.0, 10, False)
    lossy = both(hubs(hub_2={"loss_pct": 50.0})).candidates[1]
    assert lossy.loss_pct == 75.0


THREE = SPEC_TEXT + SECOND + "[[hubs]]\nname = 'hub-3'\n"


def three(**changes: dict[str, Any]) -> list[PeerStatus]:
    third = {"rtt_ms": 1.0, "loss_pct": 0.0} | changes.pop("hub_3", {})
    return [*hubs(**changes), make_peer("hub-3", **third)]


@pytest.mark.parametrize(
    ("spec", "seen", "following", "why"),
    [
        (SPEC_TEXT, hubs(), None, "if hub-1 failed, there is no other path that both reach"),
        (SPEC_TEXT + SECOND, hubs(), "via hub-2", "if hub-1 failed: via hub-2, the only other path"),
        (SPEC_TEXT + SECOND, hubs(hub_2=DEAD), None, "there is no other path that both reach"),
        (THREE, three(hub_2={"rtt_ms": 29.0}), "via hub-3", "via hub-3, before via hub-2"),
        (THREE, three(hub_3={"loss_pct": 20.0}, hub_2={"rtt_ms": 99.0}), "via hub-2", "before via hub-3"),
        (THREE, three(hub_3={"loss_pct": 1.0}, hub_2={"rtt_ms": 99.0}), "via hub-3", "before via hub-2"),
        (THREE + "weight = 0\n", three(hub_2={"rtt_ms": 99.0}), "via hub-2", "before via hub-3"),
        (THREE + "drain = true\n", three(hub_2={"rtt_ms": 99.0}), "via hub-2", "before via hub-3"),
        (THREE + "drain = true\n", three(hub_2=DEAD), "via hub-3", "it drains: nothing new goes through it"),
        (SPEC_TEXT + SECOND + "weight = 0\n", hubs(), "via hub-2", "it stands by: taken when no other hub works"),
    ],
)
def test_what_would_be_taken_next_is_named(spec: str, seen: list[PeerStatus], following: str | None, why: str) -> None:
    found = both(seen, make_spec(spec))
    assert found.next == following
    assert why in found.next_reason


def test_a_hub_that_one_side_does_not_reach_says_which() -> None:
    found = explain(words("node-1", "node-2", hubs(hub_2=DEAD)), words("node-2", "node-1"))
    assert (found.candidates[1].usable, found.candidates[1].reason) == (False, "node-1 does not reach it")
    assert both(hubs(hub_2=DEAD)).candidates[1].reason == "neither reaches it"


def test_sides_that_take_different_paths_are_both_told() -> None:
    found = explain(words("node-1", "node-2"), words("node-2", "node-1", path="via hub-2"))
    assert [side.path for side in found.sides] == ["via hub-1", "via hub-2"]
    assert (found.next, found.next_reason) == (
        None,
        "if hub-1 and hub-2 failed, there is no other path that both reach",
    )


@pytest.mark.parametrize(
    ("lines", "words"),
    [("", "direct = false"), ("direct = true\n", "the nodes have not found one")],
)
def test_why_there_is_no_direct_path_is_told(lines: str, words: str) -> None:
    spec = make_spec(SPEC_TEXT.replace('name = "demo"\n', f'name = "demo"\n{lines}'))
    direct = both(spec=spec).candidates[-1]
    assert (direct.path, direct.usable) == ("direct", False)
    assert words in direct.reason


def test_a_direct_path_in_use_is_told_with_its_own_figures() -> None:
    found = both(path="direct", rtt_ms=0.4)
    direct = found.candidates[-1]
    assert (direct.in_use, direct.usable, direct.rtt_ms) == (True, True, 0.4)
    assert found.next_reason.startswith("if the direct path failed: via hub-2")


def test_a_node_of_which_nothing_is_heard_is_told_as_that() -> None:
    found = explain(words("node-1", "node-2", state=State.DISCONNECTED, reason="no echo for 9 s"), None)
    assert found.state is State.DISCONNECTED
    assert [(side.path, side.state_reason) for side in found.sides] == [
        ("via hub-1", "no echo for 9 s"),
        (None, "nothing is heard of node-2"),
    ]
    assert found.candidates[0].legs[1].state is None
