"""Two hubs that are not equal to every node, with the real agents: each loses another one, or all must have the same one."""

import time

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.traffic import Traffic
from tests.lab.world import HEAD, Network, hub, measured, nodes, wait_until

pytestmark = pytest.mark.lab

PLACES = {"hub-1": "203.0.113.1", "hub-2": "203.0.113.2"}
LIMIT_S = 15.0


def cut(network: Network, machine: str, hub_name: str) -> None:
    """Nothing passes between a machine and a hub, and nobody is told."""
    place = PLACES[hub_name]
    chains = (
        f"chain heard {{ type filter hook prerouting priority -400; ip saddr {place} drop; }}",
        f"chain said {{ type filter hook output priority 0; ip daddr {place} drop; }}",
    )
    network.exec(machine, "nft", "table ip cut {\n" + "\n".join(chains) + "\n}")


def test_two_nodes_that_have_no_hub_in_common_any_more_find_the_way_through_both(make_network: MakeNetwork) -> None:
    network = make_network(hub("hub-2"), nodes(count=2))
    network.deploy()
    traffic = Traffic.begin(network, "node-1", "node-2", "10.88.0.12")
    traffic.wait_for_answers(10, 5)
    cut(network, "node-1", "hub-2")
    cut(network, "node-2", "hub-1")
    since = time.time()
    wait_until(lambda: switched(network, "hub-1") and switched(network, "hub-2"), LIMIT_S, "a trunk carries labels")
    traffic.wait_for_answers(50, LIMIT_S)
    measured("from the cut to a flow through both hubs", time.time() - since)
    measured("longest time without an answer", traffic.longest_gap_s())
    network.prove()


def test_in_a_routed_network_all_nodes_go_to_the_other_hub_together(make_network: MakeNetwork) -> None:
    network = make_network()
    network.spec.write_text(HEAD.replace('"sealed"', '"routed"') + hub("hub-2") + nodes(count=3))
    network.deploy()
    network.prove()

    def paths() -> set[str]:
        return {str(node["path"]) for node in network.status()["nodes"]}

    # A node that heard one hub a moment before the other is told by its next report.
    wait_until(lambda: len(paths()) == 1, LIMIT_S, "all nodes use one hub")
    (active,) = paths()
    traffic = Traffic.begin(network, "node-1", "node-2", "10.88.0.12")
    traffic.wait_for_answers(20, 5)
    network.run("lab", "kill", active.removeprefix("via "))
    wait_until(lambda: active not in {node["path"] for node in network.status()["nodes"]}, LIMIT_S, "all leave it")
    traffic.wait_for_answers(20, LIMIT_S)
    measured("routed, active hub switched off: longest time without an answer", traffic.longest_gap_s())
    wait_until(lambda: network.run("test", "--json", expect=None).data["ok"], LIMIT_S, "all pairs go through it")


def switched(network: Network, name: str) -> bool:
    """Whether labels lead through a hub's trunk."""
    page = network.exec(name, "curl", "-sk", "https://127.0.0.1/metrics", limit_s=5).out
    lines = [line for line in page.splitlines() if line.startswith("spokewire_relay_trunk_labels{")]
    return any(float(line.split()[-1]) > 0 for line in lines)
