"""Every kind of NAT: that nodes prove their traffic from behind it, and that it is what RFC 4787 calls by that name."""

import json
from typing import Any

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.world import Network, measured, nodes

pytestmark = pytest.mark.lab

KINDS = ("none", "full-cone", "port-restricted", "symmetric")
MIRROR = """
import json, socket
# What a STUN server does (RFC 5780): say where a packet came from, answer from another port, or have somebody else's address answer.
near, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
near.bind(("0.0.0.0", 3478)); far.bind(("0.0.0.0", 3479))
print("listening", flush=True)
import selectors
both = selectors.DefaultSelector(); both.register(near, 1); both.register(far, 1)
while True:
    for key, _ in both.select():
        data, source = key.fileobj.recvfrom(512)
        words = data.decode().split()
        if words[0] == "where": key.fileobj.sendto(json.dumps(source).encode(), source)
        if words[0] == "other-port": far.sendto(b"from another port", source)
        if words[0] == "send": near.sendto(b"from another address", (words[1], int(words[2])))
        if words[0] == "other-address": near.sendto(f"send {source[0]} {source[1]}".encode(), (words[1], 3478))
"""
ASK = """
import json, socket, sys
a, b = sys.argv[1:3]
def ask(line, question, address, port=3478):
    for _ in range(3):
        line.sendto(question.encode(), (address, port))
        try:
            return line.recvfrom(512)[0].decode()
        except OSError:
            continue
    return None
def line():
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); made.bind(("0.0.0.0", 0)); made.settimeout(0.3)
    return made
first, second, third = line(), line(), line()
seen = [ask(first, "where", a), ask(first, "where", a, 3479), ask(first, "where", b)]
opened = ask(second, "where", a) and ask(third, "where", a)
print(json.dumps({
    "seen": [json.loads(text) if text else None for text in seen],
    "port": first.getsockname()[1],
    "other_port": opened and ask(second, "other-port", a),
    "other_address": opened and ask(third, f"other-address {b}", a),
}))
"""


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    return make_module_network(*(nodes(kind, nat=kind) for kind in (*KINDS, "udp-blocked")))


def test_every_kind_of_nat_but_blocked_udp_proves_its_traffic_and_the_blocked_node_is_told_why(
    network: Network,
) -> None:
    outcome = network.deploy("--timeout", "12", expect=3)
    measured("deploy with a node that cannot connect", outcome.seconds)
    assert "5 of 6 machines are ready." in outcome.out
    status = {node["name"]: node for node in network.status()["nodes"]}
    assert {name: status[name]["state"] for name in KINDS} == dict.fromkeys(KINDS, "connected")
    blocked = status["udp-blocked"]
    assert blocked["state"] == "disconnected"
    assert "UDP seems to be blocked on the way" in blocked["reason"]
    proof = network.run("test", "--json", expect=None).data
    assert proof["ok"] is False
    good = {
        (pair["from"], pair["to"])
        for pair in proof["pairs"]
        if pair["tcp_ok"] and pair["checksum_ok"] and pair["udp_loss_pct"] <= 20
    }
    assert good == {(a, b) for a in KINDS for b in KINDS if a != b}


def test_each_nat_maps_and_filters_as_rfc_4787_says(network: Network) -> None:
    for probe in ("probe-1", "probe-2"):
        network.run("lab", "add", probe, "--nat", "none")
        network.script(probe, MIRROR)
    listed = {machine["name"]: machine["public_address"] for machine in network.run("lab", "list", "--json").data}
    found: dict[str, Any] = {}
    for kind in (*KINDS, "udp-blocked"):
        found[kind] = json.loads(network.python(kind, ASK, listed["probe-1"], listed["probe-2"]).out)
        print(f"measured: {kind}: {found[kind]}")
    for kind in KINDS:
        assert {address for address, _ in found[kind]["seen"]} == {listed[kind]}, kind
    assert [port for _, port in found["none"]["seen"]] == [found["none"]["port"]] * 3
    for kind in ("full-cone", "port-restricted"):
        assert len({port for _, port in found[kind]["seen"]}) == 1, f"{kind} maps independently of the endpoint"
    assert len({port for _, port in found["symmetric"]["seen"]}) == 3, "symmetric maps by address and port"
    for kind in ("none", "full-cone"):
        assert (found[kind]["other_port"], found[kind]["other_address"]) == (
            "from another port",
            "from another address",
        )
    for kind in ("port-restricted", "symmetric"):
        assert (found[kind]["other_port"], found[kind]["other_address"]) == (None, None), kind
    assert found["udp-blocked"]["seen"] == [None, None, None]
