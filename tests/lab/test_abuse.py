"""Those who do not mean well: a stranger who floods the hub with all that one core can send, and members who want what is another's.

Of two cores the flood takes one; the hub and all nodes share the other.
"""

import os
import time

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.flood import FORGER, HUB, PORT, Flood, Flow, in_world, labels, relay_counters, resident_kb, send_flow
from tests.lab.traffic import UDP_LISTENER, Traffic
from tests.lab.world import HEAD, Network, measured, nodes, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.alone]

RATE, SECONDS = 500.0, 2.0
FLOOD_S = 5.0
MEMORY_BOUND_KB = 8 * 1024
"""For the hub's daemon, through all floods: it keeps no more than a few hundred of a stranger's messages at a time."""
OWN_HANDSHAKES = 4
"""Nodes may happen to renew a session while a stranger floods."""


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    network = make_module_network()
    network.spec.write_text(HEAD.replace('"routed"', '"sealed"') + nodes(count=3))
    network.deploy()
    network.run("lab", "add", "stranger-1", "--nat", "none")
    network.prove()
    return network


@pytest.fixture(scope="module")
def quiet(network: Network) -> Flow:
    """The flow while nobody floods."""
    flow = send_flow(network, 7020, RATE, SECONDS)
    assert flow.share > 0.95
    return flow


@pytest.mark.parametrize(("kind", "port"), [("initiations", 7021), ("data", 7022), ("garbage", 7023)])
def test_a_flood_moves_nothing_and_does_not_stop_the_nodes_traffic(
    network: Network, quiet: Flow, kind: str, port: int
) -> None:
    keys = [network.public_key("hub-1"), network.public_key("node-2")]
    known, counted, memory_kb = labels(network), relay_counters(network), resident_kb(network)
    assert len(known) >= 6
    flood = Flood.begin(network, "stranger-1", kind, FLOOD_S, keys)
    flow = send_flow(network, port, RATE, SECONDS)
    begun = time.monotonic()
    assert "record" in network.exec("node-2", "curl", "-sk", f"https://{HUB}/v1/hub", limit_s=5).out
    answered_s = time.monotonic() - begun
    assert flood.is_running()
    sent = flood.wait()
    measured(f"{kind}: flood", sent.messages / sent.seconds, "messages/s")
    measured(f"{kind}: flood's share of a core", sent.core, "")
    measured(f"{kind}: flow delivered", flow.share, f"of it; without flood {quiet.share:.2f}")
    measured(f"{kind}: API's answer", answered_s)
    measured(f"{kind}: memory of the hub's daemon", resident_kb(network) - memory_kb, "kB more")
    if os.geteuid() == 0:
        assert sent.core > 0.8
    assert flow.share >= 0.8 * quiet.share
    for now, before in ((flow.switched, quiet.switched), (flow.arrived, quiet.arrived)):
        assert now < 1.5 * before + 200 < sent.messages / 100
    assert resident_kb(network) - memory_kb < MEMORY_BOUND_KB
    assert relay_counters(network)["forwarded"] - counted["forwarded"] <= OWN_HANDSHAKES
    after = labels(network)
    assert known.items() <= after.items()
    assert len(after) - len(known) <= OWN_HANDSHAKES


def test_members_shake_hands_while_a_stranger_floods_with_handshakes(network: Network) -> None:
    peer = network.public_key("node-2")
    endpoint = f"{HUB}:{PORT}"
    flood = Flood.begin(network, "stranger-1", "initiations", FLOOD_S, [network.public_key("hub-1"), peer])
    before = relay_counters(network)
    again = (
        f"wg set wg-demo peer {peer} remove && wg set wg-demo peer {peer} endpoint {endpoint} allowed-ips 10.88.0.12/32"
    )
    network.exec("node-1", "sh", "-c", again)
    begun = time.monotonic()
    Traffic.begin(network, "node-1", "node-2", "10.88.0.12").wait_for_answers(5, 4)
    measured("new session during the flood", time.monotonic() - begun)
    assert relay_counters(network)["forwarded"] >= before["forwarded"] + 2
    assert flood.is_running()
    flood.wait()
    assert relay_counters(network)["flood"] > before.get("flood", 0)
    assert relay_counters(network)["unknown-source"] > before.get("unknown-source", 0)


def forge_initiation(network: Network, index: int, *options: str) -> None:
    """node-3 claims an index towards node-2 with a message of its own making, from where its WireGuard is."""
    port = network.exec("node-3", "wg", "show", "wg-demo", "listen-port").out.strip()
    network.python("node-3", FORGER, port, network.public_key("node-2"), str(index), HUB, *options)


def test_a_member_cannot_take_over_another_members_label(network: Network) -> None:
    known = labels(network)
    index = next(index for (source, index), target in known.items() if (source, target) == (12, 11))
    fresh = 0x5A5A5A5A
    forge_initiation(network, fresh)
    wait_until(lambda: labels(network).get((12, fresh)) == 13, 5, "an index that nobody has may be claimed so")
    taken = relay_counters(network).get("label-taken", 0)
    forge_initiation(network, index)
    wait_until(lambda: relay_counters(network).get("label-taken", 0) == taken + 1, 5, "the claim was refused")
    assert labels(network)[12, index] == 11
    Traffic.begin(network, "node-1", "node-2", "10.88.0.12").wait_for_answers(5, 5)


def test_an_announcement_becomes_a_label_and_goes_no_further_and_a_strangers_is_refused(network: Network) -> None:
    before, index = relay_counters(network), 0x6B6B6B6B
    forge_initiation(network, index, "announced")
    wait_until(lambda: labels(network).get((12, index)) == 13, 5, "the label is there")
    assert relay_counters(network)["forwarded"] - before["forwarded"] <= OWN_HANDSHAKES
    network.python("stranger-1", FORGER, "40000", network.public_key("node-2"), str(index + 1), HUB, "announced")
    refused = before.get("unknown-source", 0)
    wait_until(lambda: relay_counters(network).get("unknown-source", 0) > refused, 5, "the refusal is counted")
    assert (12, index + 1) not in labels(network)


SEND_AS = """
import socket, sys
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.bind((sys.argv[1], 0))
line.sendto(sys.argv[1].encode(), ("10.88.0.12", 7030))
"""


def test_a_member_cannot_send_as_another_nodes_overlay_address(network: Network) -> None:
    log = network.script("node-2", UDP_LISTENER, "0.0.0.0", "7030")
    network.exec("node-3", "ip", "address", "add", "10.88.0.11/32", "dev", "lo")
    network.python("node-3", SEND_AS, "10.88.0.11")
    network.python("node-3", SEND_AS, "10.88.0.13")
    network.exec("node-3", "ip", "address", "del", "10.88.0.11/32", "dev", "lo")
    wait_until(lambda: "received 10.88.0.13" in log.read_text(), 5, "what it sends as itself arrives")
    assert "received 10.88.0.11" not in log.read_text()


def test_a_member_who_forges_anothers_endpoint_does_not_become_the_other(network: Network) -> None:
    """node-3 owns its router, and lets its packets to the hub seem to come from node-1's."""
    victim, forger = network.public_key("node-1"), network.public_key("node-3")

    def endpoints() -> dict[str, str]:
        lines = network.exec("hub-1", "wg", "show", "wg-demo", "endpoints").out.splitlines()
        return {key: endpoint for key, _, endpoint in (line.partition("\t") for line in lines)}

    traffic = Traffic.begin(network, "node-1", "node-2", "10.88.0.12")
    traffic.wait_for_answers(10, 5)
    address, _, port = endpoints()[victim].partition(":")
    rule = f"ip daddr {HUB} udp dport {PORT} ip saddr set {address} udp sport set {port}"
    table = f"table ip forge {{ chain out {{ type filter hook postrouting priority 300; {rule}; }}; }}"
    in_world(network, "nsenter", "--net=/run/netns/nat-13", "nft", table)
    wait_until(lambda: endpoints()[forger] == endpoints()[victim], 10, "the hub's WireGuard believes it")
    traffic.wait_for_answers(100, 10)
    assert endpoints()[forger] == endpoints()[victim]
    gap_s = traffic.longest_gap_s()
    measured("longest gap in the victim's traffic", gap_s)
    assert gap_s < 0.5
