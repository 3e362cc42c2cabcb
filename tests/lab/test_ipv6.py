"""IPv6 outside: a hub with both families, nodes with only one of them, sealed."""

from typing import Any

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.traffic import Traffic
from tests.lab.world import Network, measured, wait_until

pytestmark = pytest.mark.lab

SPEC = """\
[network]
name = "demo"
relay = "sealed"

[[hubs]]
name = "hub-1"
family = "both"

[[nodes]]
name = "six"
count = 2
nat = "none"
family = "ipv6"

[[nodes]]
name = "four"
"""
HUB = "[2001:db8::1]:51820"
SIX_2 = "10.88.0.13"
OFFLOAD_OFF = """
import ctypes, fcntl, socket, struct, sys
# ETHTOOL_STXCSUM, ETHTOOL_STSO and ETHTOOL_SGSO of linux/ethtool.h: between two ends of a cable in one kernel nobody computes a checksum otherwise.
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for command in (0x17, 0x1F, 0x24):
    value = ctypes.create_string_buffer(struct.pack("=II", command, 0))
    fcntl.ioctl(line, 0x8946, struct.pack("16sP", b"eth0", ctypes.addressof(value)) + bytes(16))
"""
CHECKER = """
import socket, struct, sys, time
# Adds up what RFC 8200 section 8.1 says: of a packet whose checksum is right, all sixteen bits are one.
def total(data):
    data += bytes(len(data) % 2)
    words = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while words >> 16:
        words = (words & 0xFFFF) + (words >> 16)
    return words
line = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x86DD))
line.settimeout(0.2)
hub = socket.inet_pton(socket.AF_INET6, "2001:db8::1")
print("watching", flush=True)
found = {"data": 0, "handshakes": 0, "wrong": 0, "redirects": 0}
until = time.monotonic() + float(sys.argv[1])
while time.monotonic() < until:
    try:
        packet, (_, _, kind, *_) = line.recvfrom(65535)
    except TimeoutError:
        continue
    size, following = struct.unpack_from("!HB", packet, 4)
    if kind != 0:
        continue
    if following == 58 and packet[40] == 137:
        found["redirects"] += 1
    if following == 17 and packet[8:24] == hub:
        pseudo = packet[8:40] + struct.pack("!II", size, following)
        right = total(pseudo + packet[40:40 + size]) == 0xFFFF
        found["wrong" if not right else "data" if packet[48] == 4 else "handshakes"] += 1
print("found", *found.values(), flush=True)
"""


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    network = make_module_network()
    network.spec.write_text(SPEC)
    measured("deploy with nodes of both families", network.deploy().seconds)
    return network


def count_switched(network: Network) -> int:
    """How many data packets the hub's kernel has switched by label."""
    words = network.exec("hub-1", "nft", "list", "counter", "inet", "spokewire_relay_demo", "switched").out.split()
    return int(words[words.index("packets") + 1])


def read_setting(network: Network, key: str) -> str:
    return network.exec("hub-1", "cat", f"/proc/sys/net/ipv6/conf/{key}").out.strip()


def test_nodes_with_nothing_but_ipv6_reach_each_other_through_the_labels_in_the_hubs_kernel(network: Network) -> None:
    assert "default" not in network.exec("six-1", "ip", "-4", "route").out
    endpoints = network.exec("six-1", "wg", "show", "wg-demo", "endpoints").out.split()[1::2]
    assert set(endpoints) == {HUB}
    before = count_switched(network)
    Traffic.begin(network, "six-1", "six-2", SIX_2).wait_for_answers(100, 20)
    assert count_switched(network) >= before + 200


def test_what_the_hub_sends_on_over_ipv6_has_right_checksums_and_tells_nobody_the_others_address(
    network: Network,
) -> None:
    for machine in ("hub-1", "six-1", "six-2"):
        network.python(machine, OFFLOAD_OFF)
    Traffic.begin(network, "six-1", "six-2", SIX_2).wait_for_answers(10, 20)
    log = network.script("six-2", CHECKER, "2")
    key = network.public_key("six-2")
    network.exec("six-1", "wg", "set", "wg-demo", "peer", key, "remove")
    wait_until(lambda: "found" in log.read_text(), 20, "the checker ended")
    data, handshakes, wrong, redirects = map(int, log.read_text().split()[-4:])
    assert data > 20
    assert handshakes > 0
    assert (wrong, redirects) == (0, 0)


def test_pairs_of_two_families_are_an_issue_that_names_them_and_says_what_to_do(network: Network) -> None:
    outcome = network.run("status", "--json", expect=3)
    issue = next(issue for issue in outcome.data["hubs"][0]["issues"] if issue["code"] == "mixed-family")
    assert "four (IPv4) and six-1, six-2 (IPv6) do not reach each other" in issue["text"]
    assert 'relay = "routed"' in issue["hint"]
    nodes: dict[str, Any] = {node["name"]: node for node in outcome.data["nodes"]}
    assert {name: node["state"] for name, node in nodes.items()} == dict.fromkeys(
        ("six-1", "six-2", "four"), "degraded"
    )
    assert all("mixed-family" in [issue["code"] for issue in node["issues"]] for node in nodes.values())
    assert "it is on IPv4 outside, and does not reach six-1, six-2" in nodes["four"]["reason"]
    shown = network.run("status", expect=3).out
    assert shown.count("mixed-family") == 1


def test_a_stopped_hub_forwards_no_ipv6_any_more_and_listens_to_routers_as_before(network: Network) -> None:
    keys = ("all/forwarding", "eth0/forwarding", "eth0/accept_ra")
    assert [read_setting(network, key) for key in keys] == ["1", "1", "2"]
    network.signal_daemon("hub-1", "TERM")
    wait_until(
        lambda: [read_setting(network, key) for key in keys] == ["0", "0", "1"], 20, "the settings are as before"
    )
