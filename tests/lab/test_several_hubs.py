"""Two hubs as an operator sees them: deployed together, one lost, one added while another goes."""

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.world import Network, measured, nodes, wait_until

pytestmark = pytest.mark.lab


def hub(name: str, *lines: str) -> str:
    """A [[hubs]] table beside the first one."""
    return "\n".join(["", "[[hubs]]", f'name = "{name}"', 'provider = "lab"', *lines, ""])


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    """Two hubs and two nodes, deployed once."""
    network = make_module_network(hub("hub-2"), nodes(count=2))
    outcome = network.deploy()
    measured("deploy of two hubs and two nodes", outcome.seconds)
    return network


def heard(network: Network) -> dict[str, list[str]]:
    """By node, the hubs whose echoes come back to it."""
    found = network.status()["nodes"]
    return {node["name"]: [hub["name"] for hub in node["hubs"] if hub["state"] == "connected"] for node in found}


def hears(network: Network, *hubs: str) -> bool:
    return heard(network) == {"node-1": list(hubs), "node-2": list(hubs)}


def test_both_hubs_know_everything_and_every_node_hears_both(network: Network) -> None:
    wait_until(lambda: hears(network, "hub-1", "hub-2"), 20, "both nodes hear both hubs")
    status = network.status()
    assert (status["state"], status["reason"]) == ("connected", "2 nodes and 2 hubs connected")
    assert len({hub["settings_version"] for hub in status["hubs"]}) == 1
    assert sum(hub["pairs"] for hub in status["hubs"]) >= 1
    assert {pair["path"] for pair in network.prove()["pairs"]} <= {"via hub-1", "via hub-2"}
    assert network.run("doctor", "--network", "--json").data["findings"] == []


def test_a_path_is_explained_from_both_ends(network: Network) -> None:
    wait_until(lambda: network.run("path", "node-1", "node-2", expect=None).status == 0, 20, "the pair is connected")
    found = network.run("path", "node-1", "node-2", "--json").data
    assert [side["node"] for side in found["sides"]] == ["node-1", "node-2"]
    assert [candidate["path"] for candidate in found["candidates"]] == ["via hub-1", "via hub-2", "direct"]
    assert all(leg["rtt_ms"] is not None for way in found["candidates"][:2] for leg in way["legs"])
    assert found["next"] in {"via hub-1", "via hub-2"}
    shown = network.run("path", "node-1", "node-2").out
    assert "the spec does not allow it: direct = false" in shown


def test_a_dead_hub_is_told_while_the_other_goes_on_and_a_deploy_brings_it_back(network: Network) -> None:
    network.run("lab", "kill", "hub-2")

    def degraded() -> bool:
        status = network.status()
        return (status["state"], status["reason"]) == (
            "degraded",
            "not connected: hub-2; the nodes go on through hub-1",
        )

    wait_until(degraded, 30, "the network is degraded, and its nodes are connected")
    network.prove()
    found = network.run("doctor", "--network", "--json", expect=3).data["findings"]
    assert [(finding["kind"], finding["severity"]) for finding in found] == [("hub-off", "warning")]
    assert "hub-2: ready" in network.deploy().err
    wait_until(lambda: hears(network, "hub-1", "hub-2"), 30, "both nodes hear hub-2 again")
    status = network.status()
    assert (status["state"], status["reason"]) == ("connected", "2 nodes and 2 hubs connected")


def test_a_hub_takes_the_place_of_another_and_the_nodes_learn_it_by_themselves(network: Network) -> None:
    network.want(hub("hub-3", "weight = 5"), nodes(count=2))
    identity = network.identity("node-1")
    outcome = network.deploy("--yes")
    measured("one hub added, one removed", outcome.seconds)
    told = outcome.err.splitlines()
    places = {
        words: next(n for n, line in enumerate(told) if words in line) for words in ("hub-3: ready", "hub-2: gone")
    }
    assert places["hub-3: ready"] < places["hub-2: gone"]
    assert {machine["name"] for machine in network.run("lab", "list", "--json").data} == {
        "hub-1",
        "hub-3",
        "node-1",
        "node-2",
    }
    wait_until(lambda: hears(network, "hub-1", "hub-3"), 20, "both nodes hear hub-3")
    addresses = {hub["name"]: hub["overlay_ip"] for hub in network.status()["hubs"]}
    assert addresses == {"hub-1": "10.88.0.1", "hub-3": "10.88.0.3"}
    assert network.identity("node-1") == identity
    network.prove()


def test_a_hub_is_set_to_drain_without_touching_a_machine(network: Network) -> None:
    network.want(hub("hub-3", "drain = true"), nodes(count=2))
    before = [network.identity(name) for name in ("hub-1", "hub-3", "node-1")]
    plan = network.deploy("--json").data["plan"]
    assert [(action["verb"], action["reason"]) for action in plan] == [
        ("sign", "changed: weights and drains of hubs"),
    ]
    assert [network.identity(name) for name in ("hub-1", "hub-3", "node-1")] == before

    def drained() -> bool:
        pairs = {hub["name"]: hub["pairs"] for hub in network.status()["hubs"]}
        return not pairs["hub-3"]

    wait_until(drained, 20, "nothing goes through hub-3 any more")
    network.prove()


def test_destroy_removes_every_hub(network: Network) -> None:
    assert network.run("destroy", "--force", "--json").data == {
        "destroyed": ["hub-1", "hub-3", "node-1", "node-2"],
        "left": [],
    }
    assert network.processes() == {}
