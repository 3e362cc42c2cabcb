"""Sealed relays: what the hub forwards, it cannot read; and what happens to running sessions when the hub's daemon or the hub itself goes away."""

import time

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.promises.promise import Promise, Record, keep
from tests.lab.stock import join_stock_client
from tests.lab.traffic import ApiWatch, Flow, Traffic, connects, listen
from tests.lab.world import Network, nodes, wait_until

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


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    network = make_module_network(nodes(count=3))
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
    routed.spec.write_text(routed.spec.read_text().replace('"sealed"', '"routed"'))
    routed.deploy()
    packets, seen = watch_hub(routed)
    assert packets > 50
    assert seen >= 50


def test_no_packet_is_lost_while_the_hubs_daemon_is_killed_or_restarted(network: Network) -> None:
    wait_until(lambda: labels(network).count("expires") >= 6, 20, "all pairs have labels")
    flow, watch = Flow(network, "node-1", "node-2", "10.88.0.12"), ApiWatch(network, "node-3")
    for number in ("KILL", "USR1"):
        flow.wait_for(50, 20)
        before, begun = labels(network).count("expires"), time.time()
        network.signal_daemon("hub-1", number)
        flow.wait_for(100, 20)
        start_hub_daemon(network)
        watch.wait_for_answer(begun, 40)
        wait_until(lambda: network.status()["hubs"][0]["state"] == "connected", 40, "the hub's daemon is at work")
        assert labels(network).count("expires") >= before
    flow.wait_for(250, 20)
    print(f"measured: datagrams sent, 100 a second, over two restarts: {flow.sent()}")
    assert flow.lost() == []


@pytest.mark.promise
@pytest.mark.parametrize(("saved", "limit_s"), [(True, 2.0), (False, 5.0)], ids=["with saved labels", "without"])
def test_sessions_go_on_soon_after_the_hub_has_rebooted_for_an_idle_pair_too(
    network: Network, record_property: Record, saved: bool, limit_s: float
) -> None:
    """The slack, as much as the limit, is for two cores that start a hub and everything else at once."""
    busy, watch = Traffic.begin(network, "node-1", "node-2", "10.88.0.12"), ApiWatch(network, "node-3")
    busy.wait_for_answers(20, 20)
    listen(network, "node-1")
    network.run("lab", "kill", "hub-1")
    begun = time.time()
    if not saved:
        network.forget_labels("hub-1")
    network.run("lab", "restart", "hub-1")
    answered_at = watch.wait_for_answer(begun, 40)
    idle = Traffic.begin(network, "node-3", "node-1", "10.88.0.11")
    for pair, traffic in (("in use", busy), ("idle", idle)):
        took_s = traffic.wait_for_answer(answered_at, 30) - answered_at
        what = f"hub rebooted, labels {'saved' if saved else 'lost'}, sealed, pair {pair}"
        keep(record_property, Promise(what, limit_s, slack_s=limit_s), [took_s])
    wait_until(lambda: network.status()["state"] == "connected", 40, "every pair has heard each other again")
    network.prove()


def test_a_removed_node_is_gone_from_the_hubs_kernel_tables_too(network: Network) -> None:
    wait_until(lambda: "0x0000000d" in labels(network), 20, "node-3 is known to the relay")
    network.run("node", "remove", "node-3")
    wait_until(lambda: "0x0000000d" not in labels(network), 5, "node-3 is gone from the relay")

    def peers() -> list[str]:
        return network.exec("node-1", "wg", "show", "wg-demo", "peers").out.split()

    wait_until(lambda: len(peers()) == 2, 5, "node-1 has dropped it too: the hub goes first, then tells the others")
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
