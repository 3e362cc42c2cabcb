"""Who may open what: nodes among themselves, the hub nothing, strangers nothing, and what the access rules say."""

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.traffic import LISTENER, UDP_LISTENER, connects
from tests.lab.world import Network, nodes, wait_until

pytestmark = pytest.mark.lab

ACCESS = """
[[access]]
from = "tag:web"
to = "tag:db"
ports = ["tcp/5432"]
"""
SCAN = """
import errno, json, socket, sys
# A port that is open connects, one that is closed refuses; a firewall that drops lets both time out.
found = {}
lines = []
for port in [22, 53, 80, 443, 8000, 8080, 51820, 51821, 5432, 9090]:
    line = socket.socket(); line.settimeout(0.6)
    try:
        line.connect((sys.argv[1], port)); found[port] = "open"
    except ConnectionRefusedError:
        found[port] = "refused"
    except OSError:
        found[port] = "silent"
print(json.dumps(found))
"""
UDP_ASK = """
import socket, sys
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); line.settimeout(0.5)
print("begun", flush=True)
for _ in range(3):
    line.sendto(b"hello", (sys.argv[1], int(sys.argv[2])))
    try:
        line.recv(64); print("answer", flush=True)
    except OSError:
        pass
print("done", flush=True)
"""
FORGE = """
import socket, sys
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.setsockopt(socket.SOL_IP, 15, 1)  # IP_FREEBIND of linux/in.h
line.bind((sys.argv[1], 0))
for _ in range(5):
    line.sendto(sys.argv[3].encode(), (sys.argv[2], 7007))
"""
"""Needs the source address on the machine: a forger gives it to itself first."""


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    """Three nodes; the second listens on TCP 5432 and 8022, and on UDP 7007."""
    network = make_module_network(nodes("web", tags=["web"]), nodes("db", tags=["db"]), nodes("other", tags=["x"]))
    network.deploy()
    for port in ("5432", "8022"):
        network.script("db", LISTENER, "0.0.0.0", port)
    return network


def ip(network: Network, name: str) -> str:
    return str(network.node(name)["overlay_ip"])


def test_a_node_can_open_connections_to_a_node_and_the_hub_cannot(network: Network) -> None:
    db = ip(network, "db")
    assert connects(network, "web", db, 5432)
    assert connects(network, "other", db, 8022)
    assert not connects(network, "hub-1", db, 5432)
    assert not connects(network, "hub-1", db, 51821)
    # A hub whose owner has frozen the daemon and taken its rules away still opens nothing: the node itself refuses.
    table = ("list", "table", "inet", "spokewire_demo")
    rules = network.exec("hub-1", "nft", *table).out
    network.signal_daemon("hub-1", "STOP")
    network.exec("hub-1", "nft", "flush chain inet spokewire_demo to_overlay")
    network.exec("hub-1", "nft", "add rule inet spokewire_demo to_overlay tcp dport 5432 counter accept")
    assert not connects(network, "hub-1", db, 5432)
    assert "counter packets 0 " not in network.exec("hub-1", "nft", *table).out
    network.signal_daemon("hub-1", "CONT")
    wait_until(lambda: network.exec("hub-1", "nft", *table).out == rules, 20, "the hub's rules are in force again")


def test_nothing_but_its_two_ports_is_open_on_the_hub_from_the_internet(network: Network) -> None:
    network.run("lab", "add", "stranger", "--nat", "none")
    network.script("hub-1", LISTENER, "0.0.0.0", "8080")
    network.script("hub-1", UDP_LISTENER, "0.0.0.0", "7007")
    found = network.python("stranger", SCAN, "203.0.113.1").out
    print(f"measured: TCP ports of the hub: {found}")
    assert '"443": "open"' in found
    assert found.count("silent") == 9
    inside = network.exec("hub-1", "ss", "-H", "-l", "-u", "-n", "sport = :51820").out
    assert ":51820" in inside
    log = network.script("stranger", UDP_ASK, "203.0.113.1", "7007")
    wait_until(lambda: "done" in log.read_text(), 20, "the question was asked")
    assert "answer" not in log.read_text()


def test_a_forged_overlay_source_never_arrives(network: Network) -> None:
    db, other = ip(network, "db"), ip(network, "other")
    log = network.script("db", UDP_LISTENER, "0.0.0.0", "7007")
    network.python("web", FORGE, ip(network, "web"), db, "honest")
    wait_until(lambda: "honest" in log.read_text(), 10, "an honest packet arrives")
    network.exec("web", "ip", "address", "add", f"{other}/32", "dev", "lo")
    network.python("web", FORGE, other, db, "forged-inside")
    network.exec("web", "ip", "address", "del", f"{other}/32", "dev", "lo")
    network.run("lab", "add", "forger", "--nat", "none")
    network.exec("forger", "ip", "route", "add", "10.88.0.0/24", "via", "203.0.113.1")
    network.exec("forger", "ip", "address", "add", f"{other}/32", "dev", "lo")
    network.python("forger", FORGE, other, db, "forged-outside")
    network.python("web", FORGE, ip(network, "web"), db, "honest-again")
    wait_until(lambda: "honest-again" in log.read_text(), 10, "the next honest packet arrives")
    assert "forged" not in log.read_text()


def test_access_rules_are_enforced_where_the_traffic_arrives(network: Network) -> None:
    db, other = ip(network, "db"), ip(network, "other")
    network.script("other", LISTENER, "0.0.0.0", "5432")
    assert connects(network, "web", other, 5432)
    network.spec.write_text(network.spec.read_text() + ACCESS)
    outcome = network.deploy()
    assert "access rules" in outcome.out
    wait_until(lambda: not connects(network, "web", db, 8022, 0.5), 15, "the rule is in force")
    assert connects(network, "web", db, 5432)
    assert not connects(network, "other", db, 5432)
    assert not connects(network, "web", other, 5432)
    assert not connects(network, "db", ip(network, "web"), 22)
    network.prove()
