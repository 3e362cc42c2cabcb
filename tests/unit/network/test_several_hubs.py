"""What several hubs see of one network is one truth, and one dead hub of two is no outage."""

from typing import Any

import pytest

from spokewire.network.evidence import Answer, Evidence, HubEvidence
from spokewire.network.names import MachineName
from spokewire.network.overview import NetworkOverview, judge_network
from spokewire.network.status import NodeStatus, PeerStatus, State
from spokewire.network.views import Sighting, group_sightings, merge_sightings
from tests.builders import NOW, SPEC_TEXT, make_hub_status, make_node_status, make_peer, make_spec, make_view

TWO_HUBS = make_spec(SPEC_TEXT + "[[hubs]]\nname = 'hub-2'\n")
NAMES = ("node-1", "node-2", "node-3")


def sighting(report: NodeStatus | None = None, **changes: Any) -> Sighting:
    return Sighting(make_view(**changes), report)


def at(time: float, state: State = State.CONNECTED) -> NodeStatus:
    return make_node_status(state=state, time=time)


def test_the_freshest_echo_and_handshake_of_any_hub_count() -> None:
    seen = merge_sightings(
        [
            sighting(last_echo_age_s=60.0, last_handshake_age_s=5.0, endpoint="192.0.2.1:1", api_connected=True),
            sighting(last_echo_age_s=0.3, last_handshake_age_s=90.0, endpoint="192.0.2.1:2"),
            sighting(last_echo_age_s=None, last_handshake_age_s=None),
        ]
    )
    assert seen is not None
    view = seen.view
    assert (view.last_echo_age_s, view.last_handshake_age_s) == (0.3, 5.0)
    assert (view.endpoint, view.api_connected) == ("192.0.2.1:2", True)


@pytest.mark.parametrize(
    ("sightings", "time"),
    [
        ([sighting(at(NOW), report_age_s=1.0), sighting(at(NOW + 2), report_age_s=3.0)], NOW + 2),
        ([sighting(at(NOW), report_age_s=0.0), sighting(at(NOW + 9), report_age_s=2.0)], NOW + 9),
        ([sighting(at(NOW + 3600), report_age_s=60.0), sighting(at(NOW), report_age_s=1.0)], NOW),
        ([sighting(None, report_age_s=0.1), sighting(at(NOW), report_age_s=60.0)], NOW),
    ],
    ids=["the one made last", "a replayed one that claims to be new", "before a clock was set back", "one that holds"],
)
def test_of_several_reports_the_newest_valid_one_counts(sightings: list[Sighting], time: float) -> None:
    for order in (sightings, sightings[::-1]):
        seen = merge_sightings(order)
        assert seen is not None
        assert seen.report is not None
        assert seen.report.time == time


def test_a_node_that_no_hub_knows_is_seen_by_none() -> None:
    assert merge_sightings([]) is None
    assert group_sightings({"hub-1": [], "hub-2": []}) == {}
    both = {"hub-1": [sighting(name="node-1")], "hub-2": [sighting(name="node-2")]}
    assert list(group_sightings(both)) == ["node-1", "node-2"]


def words(name: str, hub_2: State = State.CONNECTED, peers: list[PeerStatus] | None = None) -> NodeStatus:
    """A node's words: it hears hub-1, and hub-2 as given."""
    hubs = [make_peer("hub-1", rtt_ms=1.0), make_peer("hub-2", hub_2, rtt_ms=9.0)]
    state = State.CONNECTED if hub_2 is State.CONNECTED else State.DEGRADED
    others = [make_peer(other) for other in NAMES if other != name]
    return make_node_status(name, state, hubs=hubs, peers=others if peers is None else peers)


def judge(hub_2: HubEvidence | None = None, **told: NodeStatus) -> NetworkOverview:
    hubs = {
        MachineName("hub-1"): HubEvidence("running", "203.0.113.1", make_hub_status()),
        MachineName("hub-2"): hub_2 or HubEvidence("running", "203.0.113.2", make_hub_status("hub-2")),
    }
    nodes = {}
    for name in NAMES:
        said = told.get(name.replace("-", "_"), words(name))
        nodes[MachineName(name)] = Evidence("running", make_view(name), said, Answer.OK, said)
    return judge_network(TWO_HUBS, hubs, nodes)


def all_say(hub_2: State) -> dict[str, NodeStatus]:
    return {name.replace("-", "_"): words(name, hub_2) for name in NAMES}


SILENT = HubEvidence("running", "203.0.113.2", None, "no route")


def test_two_hubs_that_work_are_counted() -> None:
    overview = judge()
    assert (overview.state, overview.reason) == (State.CONNECTED, "3 nodes and 2 hubs connected")
    assert [hub.name for hub in overview.nodes[0].hubs] == ["hub-1", "hub-2"]


@pytest.mark.parametrize(
    ("hub_2", "reason"),
    [
        (SILENT, "not connected: hub-2; the nodes go on through hub-1"),
        (
            HubEvidence("running", None, make_hub_status("hub-2", State.DEGRADED)),
            "not connected: hub-2; the nodes go on through hub-1",
        ),
        (HubEvidence("stopped", None, None), "not connected: hub-2; the nodes go on through hub-1"),
        (HubEvidence(None, None, None), "missing: hub-2"),
    ],
)
def test_one_dead_hub_of_two_degrades_the_network_while_its_nodes_stay_connected(
    hub_2: HubEvidence, reason: str
) -> None:
    overview = judge(hub_2, **all_say(State.DISCONNECTED))
    assert (overview.state, overview.reason) == (State.DEGRADED, reason)
    assert {node.state for node in overview.nodes} == {State.CONNECTED}
    assert "by its own word degraded" in overview.nodes[0].reason


def test_a_node_that_alone_does_not_hear_a_hub_is_degraded() -> None:
    overview = judge(node_2=words("node-2", State.DISCONNECTED))
    assert [node.state for node in overview.nodes] == [State.CONNECTED, State.DEGRADED, State.CONNECTED]
    assert overview.reason == "not connected: node-2"


def test_a_node_whose_peers_are_silent_too_is_not_excused_by_a_dead_hub() -> None:
    cut = [make_peer(other, State.DISCONNECTED) for other in ("node-2", "node-3")]
    told = all_say(State.DISCONNECTED) | {"node_1": words("node-1", State.DISCONNECTED, cut)}
    overview = judge(SILENT, **told)
    assert overview.nodes[0].state is State.DEGRADED
    assert overview.reason == "not connected: hub-2, node-1"


@pytest.mark.parametrize(
    ("paths", "path", "rtt_ms"),
    [
        (["via hub-1", "via hub-1"], "via hub-1", 1.0),
        (["via hub-2", "via hub-2"], "via hub-2", 9.0),
        (["via hub-2", "via hub-1", "via hub-2"], "via hub-2 +hub-1", 9.0),
        (["direct", "direct"], "direct", 1.0),
        (["via hub-2", "direct", "direct"], "direct +hub-2", 9.0),
        ([], "via hub-1", 1.0),
    ],
)
def test_a_nodes_path_tells_how_its_pairs_go(paths: list[str], path: str, rtt_ms: float) -> None:
    peers = [make_peer(f"node-{number}", path=path) for number, path in enumerate(paths, 2)]
    node = judge(node_1=words("node-1", peers=peers)).nodes[0]
    assert (node.path, node.rtt_ms) == (path, rtt_ms)


def test_a_hub_tells_how_many_pairs_go_through_it_and_whether_it_has_drained() -> None:
    spec = make_spec(SPEC_TEXT + "[[hubs]]\nname = 'hub-2'\ndrain = true\n")

    def told(path: str) -> dict[str, NodeStatus]:
        peers = {
            n: [make_peer(o, path=path if "node-3" in (n, o) else "via hub-1") for o in NAMES if o != n] for n in NAMES
        }
        return {name: words(name, peers=peers[name]) for name in NAMES}

    def look(path: str) -> list[tuple[int | None, bool, str]]:
        hubs = {
            MachineName(name): HubEvidence("running", None, make_hub_status(name, reason="relaying"))
            for name in ("hub-1", "hub-2")
        }
        nodes = {
            MachineName(name): Evidence("running", make_view(name), said, Answer.OK, said)
            for name, said in told(path).items()
        }
        return [(hub.pairs, hub.drain, hub.reason) for hub in judge_network(spec, hubs, nodes).hubs]

    assert look("via hub-2") == [
        (1, False, "relaying; carries 1 pair"),
        (2, True, "relaying; it drains: 2 pairs still to move"),
    ]
    assert look("via hub-1") == [
        (3, False, "relaying; carries 3 pairs"),
        (0, True, "relaying; it drains: nothing goes through it any more"),
    ]
