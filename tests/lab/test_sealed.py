"""Sealed relays: what the hub forwards, it cannot read; and what happens to running sessions when the hub's daemon or the hub itself goes away."""

import time

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.stock import join_stock_client
from tests.lab.traffic import Traffic, connects
from tests.lab.world import HEAD, Network, measured, nodes, wait_until

pytestmark = pytest.mark.lab

MARKER = "a sentence that only the two ends may read"
WATCHER = """
import socket, sys, time
wanted, until = sys.argv[1].encode(), time.monotonic() + float(sys.argv[2])
line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
line.settimeout(0.2)
print("watching", flush=True)
packets = seen = 0
while time.monotonic() < until:
    try:
        data = line.recv(65535)
    except TimeoutError:
        continue
    packets += 1
    seen += wanted in data
print("packets", packets, "seen", seen, flush=True)
"""
SPEAKER = """
import socket, sys
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(50):
    line.sendto(sys.argv[3].encode(), (sys.argv[1], int(sys.argv[2])))
"""


def want_sealed(network: Network, count: int) -> None:
    network.spec.write_text(HEAD.replace('"routed"', '"sealed"') + nodes(count=count))


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    network = make_module_network(nodes(count=3))
    want_sealed(network, 3)
    network.deploy()
    return network


def watch_hub(network: Network) -> tuple[int, int]:
    """How many packets the hub saw on all its interfaces while node-1 told node-2 the marker, and how many showed it."""
    log = network.script("hub-1", WATCHER, MARKER, "3")
    network.python("node-1", SPEAKER, "10.88.0.12", "7010", MARKER)
    wait_until(lambda: "seen" in log.read_text(), 20, "the watcher ended")
    words = log.read_text().split()
    return int(words[words.index("packets") + 1]), int(words[words.index("seen") + 1])


def labels(network: Network) -> str:
    return network.exec("hub-1", "nft", "list", "table", "inet", "spokewire_relay_demo").out


def start_hub_daemon(network: Network) -> None:
    """What a service manager does: start the daemon again on a machine that runs."""
    network.background("hub-1", "sh", "/run/disk/boot")


def test_every_pair_proves_its_traffic_and_the_hub_is_no_end_of_it(network: Network) -> None:
    network.prove()
    peers = network.exec("node-1", "wg", "show", "wg-demo", "endpoints").out.splitlines()
    assert len(peers) == 3
    assert {line.split("\t")[1] for line in peers} == {"203.0.113.1:51820"}
    allowed = network.exec("node-1", "wg", "show", "wg-demo", "allowed-ips").out
    assert "10.88.0.0/24" not in allowed
    assert "10.88.0.1/32" in allowed


def test_the_hub_sees_only_ciphertext(network: Network) -> None:
    packets, seen = watch_hub(network)
    assert packets > 50
    assert seen == 0


def test_the_same_watch_finds_the_plaintext_in_a_routed_network(make_network: MakeNetwork) -> None:
    routed = make_network(nodes(count=2))
    routed.deploy()
    packets, seen = watch_hub(routed)
    assert packets > 50
    assert seen >= 50


def test_no_packet_is_lost_while_the_hubs_daemon_is_killed_and_started_again(network: Network) -> None:
    wait_until(lambda: labels(network).count("expires") >= 6, 20, "all pairs have labels")
    traffic = Traffic.begin(network, "node-1", "node-2", "10.88.0.12")
    traffic.wait_for_answers(20, 20)
    network.signal_daemon("hub-1", "KILL")
    traffic.wait_for_answers(50, 20)
    before = labels(network).count("expires")
    start_hub_daemon(network)
    wait_until(lambda: network.status()["hubs"][0]["state"] == "connected", 40, "the hub's API answers")
    traffic.wait_for_answers(50, 20)
    gap_s = traffic.longest_gap_s()
    measured("longest gap in traffic while the hub's daemon died and came back", gap_s)
    assert gap_s < 0.5
    assert labels(network).count("expires") >= before
    network.prove()


def test_running_sessions_go_on_after_the_hub_has_rebooted(network: Network) -> None:
    traffic = Traffic.begin(network, "node-1", "node-2", "10.88.0.12")
    traffic.wait_for_answers(20, 20)
    network.run("lab", "restart", "hub-1")
    wait_until(lambda: network.status()["hubs"][0]["state"] == "connected", 40, "the hub's API answers")
    begun = time.monotonic()
    traffic.wait_for_answers(5, 30)
    measured("hub rebooted: from its API to traffic", time.monotonic() - begun)
    wait_until(lambda: network.status()["state"] == "connected", 40, "everything is connected again")
    network.prove()


def test_a_removed_node_is_gone_from_the_hubs_kernel_tables_too(network: Network) -> None:
    want_sealed(network, 3)
    wait_until(lambda: "0x0000000d" in labels(network), 20, "node-3 is known to the relay")
    network.run("node", "remove", "node-3")
    wait_until(lambda: "0x0000000d" not in labels(network), 5, "node-3 is gone from the relay")
    assert len(network.exec("node-1", "wg", "show", "wg-demo", "peers").out.split()) == 2
    network.prove()


def test_a_stock_client_joins_with_nothing_but_wg_and_the_exported_file(network: Network) -> None:
    network.run("lab", "add", "bare-1")
    text = network.run("node", "export", "phone").out
    assert text.count("[Peer]") == text.count("Endpoint = 203.0.113.1:51820") >= 3
    join_stock_client(network, "bare-1", text)
    wait_until(
        lambda: connects(network, "bare-1", "10.88.0.11", 51821), 30, "the phone reaches node-1 through the relay"
    )
    status = network.status()
    assert next(node for node in status["nodes"] if node["name"] == "phone")["reason"].startswith(
        "a stock WireGuard client"
    )
