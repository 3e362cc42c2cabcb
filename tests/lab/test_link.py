"""`lab link` and `lab exec`: faults are what they say, measured, and an exit status is passed on."""

import json
import time
from pathlib import Path

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.traffic import UDP_LISTENER
from tests.lab.world import Network, measured, nodes, wait_until

pytestmark = pytest.mark.lab

COUNT = 2000
LOSS = """
import socket, sys, time
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(int(sys.argv[2])):
    line.sendto(b"%d" % number, (sys.argv[1], 7007)); time.sleep(0.0005)
"""
SINK = """
import json, socket, time
server = socket.create_server(("0.0.0.0", 7008)); print("listening", flush=True)
while True:
    peer = server.accept()[0]; begun = time.monotonic(); received = 0
    while data := peer.recv(65536): received += len(data)
    print(json.dumps(received * 8 / (time.monotonic() - begun) / 1e6), flush=True)
"""
SEND = """
import socket, sys, time
line = socket.create_connection((sys.argv[1], 7008), 5); deadline = time.monotonic() + 2
line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
while time.monotonic() < deadline: line.send(bytes(16384))
"""
PROBE_MTU = """
import socket, sys
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); line.settimeout(0.4)
line.setsockopt(socket.SOL_IP, 10, 2)  # IP_MTU_DISCOVER = IP_PMTUDISC_DO of linux/in.h: never fragment
def passes(size):
    for _ in range(2):
        try:
            line.sendto(bytes(b"x" * (size - 28)), (sys.argv[1], 7007)); line.recv(2048); return True
        except OSError:
            continue
    return False
print([size for size in (1200, 1280, 1300, 1500) if passes(size)])
"""


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    """The smallest lab, and two bare machines: the first behind a NAT, the second with a public address."""
    network = make_module_network(nodes(count=1))
    network.deploy()
    network.run("lab", "add", "behind")
    network.run("lab", "add", "public", "--nat", "none")
    return network


def address(network: Network) -> str:
    found = network.run("lab", "list", "--json").data
    return next(str(machine["public_address"]) for machine in found if machine["name"] == "public")


def settled(log: Path) -> int:
    """How many packets a listener received, once no more come."""
    counts = [-1, -2]

    def look() -> bool:
        counts[:] = [log.read_text().count("received"), counts[0]]
        return counts[0] == counts[1]

    wait_until(look, 20, "no more packets come")
    return counts[0]


def mbits(network: Network, log: Path) -> float:
    """What two seconds of TCP from the first machine to the second bring, in Mbit/s."""
    before = len(log.read_text().splitlines())
    network.python("behind", SEND, address(network))
    wait_until(lambda: len(log.read_text().splitlines()) > before, 20, "the transfer ends")
    return float(json.loads(log.read_text().splitlines()[-1]))


def test_the_exit_status_and_output_of_a_command_in_a_machine_are_ours(network: Network) -> None:
    outcome = network.run("lab", "exec", "node-1", "--", "sh", "-c", "hostname; echo trouble >&2; exit 42", expect=42)
    assert outcome.out.strip() == "node-1"
    assert "trouble" in outcome.err
    network.run("lab", "exec", "node-1", "--", "true", expect=0)
    shown = network.run("lab", "exec", "node-1", "--", "wg", "show", "wg-demo", "peers").out
    assert shown.strip() == network.public_key("hub-1")
    unknown = network.run("lab", "exec", "node-9", "--", "true", expect=2)
    assert "no machine called 'node-9'" in unknown.err
    network.run("lab", "exec", "node-1", "--", "kill-nothing-of-that-name", expect=127)


def test_loss_loses_the_share_that_it_says(network: Network) -> None:
    log = network.script("public", UDP_LISTENER, "0.0.0.0", "7007")
    for said in (0, 20):
        network.run("lab", "link", "behind", f"loss={said}%")
        before = settled(log)
        network.python("behind", LOSS, address(network), str(COUNT))
        lost_pct = 100 * (COUNT - (settled(log) - before)) / COUNT
        measured(f"loss={said}%", lost_pct, "%")
        assert abs(lost_pct - said) <= 5, (said, lost_pct)
    network.run("lab", "link", "behind", "up")


def test_a_rate_limits_throughput_in_the_direction_of_the_internet(network: Network) -> None:
    log = network.script("public", SINK)
    free = mbits(network, log)
    network.run("lab", "link", "behind", "rate=10mbit")
    limited = mbits(network, log)
    network.run("lab", "link", "behind", "up")
    again = mbits(network, log)
    for what, value in (("no limit", free), ("rate=10mbit", limited), ("up again", again)):
        measured(what, value, "Mbit/s")
    assert 5 <= limited <= 15
    assert min(free, again) > 50


def test_an_mtu_lets_pass_what_fits_and_down_lets_nothing_pass(network: Network) -> None:
    target = address(network)
    passed = {}
    for word in ("up", "mtu=1280", "down", "up"):
        network.run("lab", "link", "behind", word)
        passed[word] = network.python("behind", PROBE_MTU, target).out.strip()
    assert passed == {"up": "[1200, 1280, 1300, 1500]", "mtu=1280": "[1200, 1280]", "down": "[]"}
    listed = network.run("lab", "list", "--json").data
    assert next(m["link"]["mtu"] for m in listed if m["name"] == "behind") == 1500
    refused = network.run("lab", "link", "behind", "loss=lots", expect=2)
    assert "A link cannot be 'loss=lots'." in refused.err


def test_nobody_hears_of_a_machine_whose_uplink_is_down_until_it_is_up_again(network: Network) -> None:
    network.run("lab", "link", "node-1", "down")
    begun = time.monotonic()
    wait_until(lambda: "cannot be reached" in network.node("node-1")["reason"], 30, "nobody hears of it")
    measured("link down to told", time.monotonic() - begun)
    assert network.node("node-1")["state"] == "disconnected"
    network.run("lab", "link", "node-1", "up")
    network.wait_for_node("node-1", "connected", 40)
