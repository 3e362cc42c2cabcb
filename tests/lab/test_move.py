"""A node that moves: its NAT forgets it and gives it another port, or it comes back from another address; running sessions go on."""

from dataclasses import dataclass

import pytest

from tests.lab.breakage import public_address, renew_router
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

[[nodes]]
name = "mover"
nat = "symmetric"

[[nodes]]
name = "still"
"""
STILL = "10.88.0.12"
LIMIT_S = 1.0
"""What is promised: from the node's first packet to the hub until it hears its peer again."""
PASSING = """
import socket, struct, time
line = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
line.bind(("eth0", 0x0003))
print("watching", flush=True)
while True:
    packet, (_, ethertype, kind, *_) = line.recvfrom(2048)
    at, head, arrives = time.time(), (packet[0] & 15) * 4, kind == 0
    if ethertype != 0x0800 or packet[9] != 17 or kind not in (0, 4):
        continue
    ports = struct.unpack_from("!HH", packet, head)
    if ports[arrives] == 51820:
        place = f"{socket.inet_ntoa(packet[12:16] if arrives else packet[16:20])}:{ports[not arrives]}"
        print("packet", at, "in" if arrives else "out", place, packet[head + 12:head + 16].hex(), flush=True)
"""


@dataclass(frozen=True)
class Packet:
    """A packet of WireGuard's that passed the hub: the node's place outside, and the receiver index."""

    at: float
    arrives: bool
    place: str
    index: str


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    network = make_module_network()
    network.spec.write_text(SPEC)
    network.deploy()
    return network


def find_label_indices(network: Network) -> set[str]:
    """The receiver indices that the hub switches, as they stand in packets; all others are the hub's own sessions."""
    text = network.exec("hub-1", "nft", "list", "map", "inet", "spokewire_relay_demo", "label").out
    words = text.replace("{", " ").replace(",", " ").split()
    return {words[place + 1].removeprefix("0x").zfill(8) for place, word in enumerate(words) if word == "."}


def measure_move(network: Network, before: str, after: str) -> float:
    """Move the node while it speaks to its peer; return the seconds from its first packet for the hub itself to its peer's next answer."""
    traffic = Traffic.begin(network, "mover", "still", STILL)
    traffic.wait_for_answers(20, 20)
    log = network.script("hub-1", PASSING)

    def passing() -> list[Packet]:
        lines = [
            line.split() for line in log.read_text().rpartition("\n")[0].splitlines() if line.startswith("packet ")
        ]
        return [Packet(float(at), way == "in", place, index) for _, at, way, place, index in lines]

    wait_until(lambda: any(packet.place.startswith(f"{before}:") for packet in passing()), 20, "the old place was seen")
    known, labels = {packet.place for packet in passing()}, find_label_indices(network)
    assert len(labels) >= 2
    renew_router(network, before, before, after)

    def at_new_place(*, arrives: bool, for_hub: bool) -> list[float]:
        return [
            packet.at
            for packet in passing()
            if packet.place not in known and packet.arrives is arrives and (packet.index not in labels) is for_hub
        ]

    sent_on_at = wait_until(
        lambda: at_new_place(arrives=False, for_hub=False), 20, "the peer's packets go to the new place"
    )[0]
    traffic.wait_for_answers(20, 20)
    again_at = next(at for at in traffic.answers() if at > sent_on_at)
    first = min(packet.at for packet in passing() if packet.place not in known)
    print(f"measured: {before} to {after}: from the first packet of any kind to an answer {again_at - first:.3f} s")
    return again_at - at_new_place(arrives=True, for_hub=True)[0]


def test_a_node_whose_nat_gives_it_another_port_hears_its_peer_again_within_a_second(network: Network) -> None:
    address = public_address(network, "mover")
    gap_s = measure_move(network, address, address)
    measured("new NAT port: from the first packet for the hub to a peer's answer", gap_s)
    assert 0 < gap_s < LIMIT_S


def test_a_node_that_comes_back_from_another_address_hears_its_peer_again_within_a_second(network: Network) -> None:
    gap_s = measure_move(network, public_address(network, "mover"), "203.0.113.200")
    measured("new address: from the first packet for the hub to a peer's answer", gap_s)
    assert 0 < gap_s < LIMIT_S
    endpoint = network.exec("hub-1", "wg", "show", "wg-demo", "endpoints").out
    assert "203.0.113.200:" in endpoint
