"""When a deploy calls a node ready."""

import pytest

from spokewire.deploy.readiness import find_delay
from spokewire.network.overview import HubOverview, NetworkOverview, NodeOverview
from spokewire.network.status import State
from tests.builders import make_peer


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
