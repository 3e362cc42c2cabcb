"""When a deploy calls a node ready."""

import pytest

from spokewire.deploy.readiness import find_delay, find_delays, find_old_settings
from spokewire.deploy.rollout import find_unheard
from spokewire.network.names import MachineName
from spokewire.network.overview import HubOverview, Missing, NetworkOverview, NodeOverview
from spokewire.network.status import State
from tests.builders import make_hub_status, make_peer, make_view


def node(
    name: str, state: State = State.CONNECTED, *, agent: bool = True, version: int | None = 5, **peers: State
) -> NodeOverview:
    return NodeOverview(
        name=name,
        overlay_ip=None,
        state=state,
        reason=f"it is {state}",
        path="via hub-1",
        agent=agent,
        settings_version=version,
        peers=[make_peer(f"node-{key[1:]}", state=peer) for key, peer in peers.items()],
    )


def network(*nodes: NodeOverview) -> NetworkOverview:
    hub = HubOverview(
        name="hub-1", address=None, overlay_ip=None, state=State.CONNECTED, reason="relaying", settings_version=5
    )
    return NetworkOverview(network="demo", state=State.CONNECTED, reason="", hubs=[hub], nodes=list(nodes), missing=[])


OTHER = node("node-2")


@pytest.mark.parametrize(
    ("judged", "others", "delay"),
    [
        (node("node-1"), [], ""),
        (node("node-1", n2=State.CONNECTED), [OTHER], ""),
        (node("node-1", n2=State.DISCONNECTED), [OTHER], ""),
        (node("node-1", n2=State.STARTING), [OTHER], "no echo from node-2 yet"),
        (node("node-1"), [OTHER], "no echo from node-2 yet"),
        (node("node-1"), [OTHER, node("node-3")], "no echo from node-2, node-3 yet"),
        (node("node-1"), [node("node-2", State.STARTING)], ""),
        (node("node-1"), [node("node-2", State.DISCONNECTED)], ""),
        (node("node-1"), [node("node-2", State.DEGRADED)], "no echo from node-2 yet"),
        (node("node-1"), [node("node-2", agent=False)], ""),
        (node("node-1", State.DEGRADED), [], ""),
        (node("node-1", State.STARTING), [], "it is starting"),
        (node("node-1", State.DISCONNECTED), [], "it is disconnected"),
        (node("node-1", State.STARTING, agent=False), [OTHER], ""),
        (node("node-1", version=4), [], "the newest settings are not in force there yet"),
        (node("node-1", version=None), [], "the newest settings are not in force there yet"),
    ],
)
def test_a_node_is_ready_when_it_has_heard_everybody_who_is_alive(
    judged: NodeOverview, others: list[NodeOverview], delay: str
) -> None:
    assert find_delay(judged, network(judged, *others)) == delay


def test_a_node_that_was_ready_is_not_when_another_has_come_alive_that_it_has_not_heard() -> None:
    wanted = [MachineName("node-1"), MachineName("node-2")]
    early = [node("node-1"), node("node-2", State.STARTING)]
    assert find_delays(wanted, network(*early)) == {"node-2": "it is starting"}
    assert find_delays(wanted, network(node("node-1"), node("node-2", n1=State.CONNECTED))) == {
        "node-1": "no echo from node-2 yet"
    }
    met = [node("node-1", n2=State.CONNECTED), node("node-2", n1=State.CONNECTED)]
    assert find_delays(wanted, network(*met)) == {}


def test_a_node_that_is_missing_or_of_which_nothing_is_heard_is_not_ready() -> None:
    seen = network(node("node-1")).model_copy(update={"missing": [Missing(name="node-2", reason="it does not exist")]})
    assert find_delays([MachineName(f"node-{n}") for n in (1, 2, 3)], seen) == {
        "node-2": "it does not exist",
        "node-3": "nothing is heard of it",
    }


def test_a_hub_may_go_when_the_newest_settings_are_in_force_on_every_node_that_is_alive() -> None:
    old, dead = node("node-2", version=4), node("node-3", State.DISCONNECTED, version=1)
    assert find_old_settings(network(node("node-1"), old, dead, node("phone", agent=False, version=None))) == ["node-2"]
    assert find_old_settings(network(node("node-1"), dead)) == []


def test_a_hub_that_was_made_anew_is_used_when_it_hears_every_node_that_is_alive() -> None:
    overview = network(node("node-1"), node("node-2"), node("node-3", State.DISCONNECTED), node("phone", agent=False))
    quiet = make_view("node-2", last_echo_age_s=None)
    assert find_unheard(overview, None) == ["node-1", "node-2"]
    assert find_unheard(overview, make_hub_status(nodes=[make_view("node-1"), quiet])) == ["node-2"]
    assert find_unheard(overview, make_hub_status(nodes=[make_view("node-1"), make_view("node-2")])) == []
