"""The hub's outages: what goes on without it, and what comes back with it."""

import json
import time
from pathlib import Path

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.traffic import Traffic
from tests.lab.world import Network, measured, nodes, wait_until

pytestmark = pytest.mark.lab

BLOCK_API = "table inet outage { chain i { type filter hook input priority -10; tcp dport 443 drop; }; }"


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    network = make_module_network(nodes(count=3))
    network.deploy()
    return network


def grants(network: Network) -> dict[str, str]:
    loaded: dict[str, str] = json.loads(Path(network.folder / ".spokewire/state.json").read_text())["grants"]
    return loaded


def test_traffic_flows_and_a_rebooted_node_comes_back_while_the_hubs_api_is_away(network: Network) -> None:
    traffic = Traffic.begin(network, "node-1", "node-2", "10.88.0.12")
    network.exec("hub-1", "nft", BLOCK_API)
    begun = time.monotonic()
    network.run("lab", "restart", "node-3")
    rebooted = Traffic.begin(network, "node-2", "node-3", "10.88.0.13")
    rebooted.wait_for_answers(20, 40)
    measured("reboot to traffic without the hub's API", time.monotonic() - begun)

    def is_connected() -> bool:
        told: bool = (
            json.loads(network.exec("node-3", "curl", "-s", "http://127.0.0.1:8000/status").out)["state"] == "connected"
        )
        return told

    wait_until(is_connected, 10, "the rebooted node says that it is connected")
    status = network.run("status", "--json", expect=None).data
    assert status["hubs"][0]["state"] == "disconnected"
    assert "API does not answer" in status["hubs"][0]["reason"]
    assert traffic.longest_gap_s() < 1.0
    network.exec("hub-1", "nft", "delete table inet outage")
    wait_until(lambda: network.status()["state"] == "connected", 40, "the API is found again")
    network.prove()


def test_traffic_flows_while_the_hubs_daemon_is_frozen_and_after_it_is_killed(network: Network) -> None:
    traffic = Traffic.begin(network, "node-1", "node-2", "10.88.0.12")
    network.signal_daemon("hub-1", "STOP")
    assert "API does not answer" in network.status()["hubs"][0]["reason"]
    network.signal_daemon("hub-1", "CONT")
    key = network.public_key("hub-1")
    network.signal_daemon("hub-1", "KILL")
    traffic.wait_for_answers(100, 20)
    gap_s = traffic.longest_gap_s()
    measured("longest gap in traffic while the daemon froze and died", gap_s)
    assert gap_s < 1.0
    network.run("lab", "restart", "hub-1")
    wait_until(lambda: network.status()["state"] == "connected", 40, "the hub is back")
    network.prove()
    assert network.public_key("hub-1") == key


def test_restarts_keep_every_key_and_mint_no_new_grant(network: Network) -> None:
    machines = ("hub-1", "node-1", "node-2", "node-3")
    before, minted = {name: network.public_key(name) for name in machines}, grants(network)
    for name in machines:
        network.run("lab", "restart", name)
    wait_until(lambda: network.status()["state"] == "connected", 60, "every machine is back")
    network.prove()
    assert {name: network.public_key(name) for name in machines} == before
    assert grants(network) == minted
    assert "Nothing to change" in network.deploy().out


def test_a_node_whose_wireguard_device_or_daemon_was_killed_comes_back_with_the_same_key(network: Network) -> None:
    key = network.public_key("node-1")
    if network.exec("node-1", "pgrep", "-x", "wireguard-go", expect=None).status == 0:
        network.exec("node-1", "pkill", "-KILL", "-x", "wireguard-go")
        begun = time.monotonic()
        Traffic.begin(network, "node-2", "node-1", "10.88.0.11").wait_for_answers(20, 40)
        measured("wireguard-go killed to traffic", time.monotonic() - begun)
        assert network.public_key("node-1") == key
    network.signal_daemon("node-1", "KILL")
    network.run("lab", "restart", "node-1")
    network.wait_for_node("node-1", "connected", 40)
    assert network.public_key("node-1") == key
    network.prove()
