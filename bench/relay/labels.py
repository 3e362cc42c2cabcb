"""Nodes and labels for the capacity of the relay alone: what is installed in the hub, and the frames that find it. Pure but for the seed that is written here."""

import random
from dataclasses import dataclass
from ipaddress import IPv4Address

from bench.relay.frames import Way, build_head
from spokewire.relay.labels import Install, Label
from spokewire.relay.messages import Index
from spokewire.relay.places import Endpoint, NodeNumber
from spokewire.relay.rules import Outside

HUB_ADDRESS = IPv4Address("198.18.0.1")
"""Addresses are of the block for benchmarks (RFC 2544 appendix C.2.2)."""
HUB_PORT = 51820
OUTSIDE = Outside(str(HUB_ADDRESS), None, HUB_PORT)
FEW, MANY = 10, 100_000
NODES = 500
HEADS = 100_000
"""So many frame heads whatever the labels, so that the sender reads as much memory in each case."""
FIRST_SENDER, FIRST_RECEIVER = 11, 5011
_STEP = 7
"""Labels of one node lead to different nodes."""


@dataclass(frozen=True)
class Traffic:
    """Labels, and how the frames that use them begin."""

    labels: tuple[Install, ...]

    def heads(self, macs: tuple[bytes, bytes], message_bytes: int, *, plain: bool) -> bytes:
        """Frames in random order; `plain`: addressed to the receiver itself, for a hub that only forwards."""
        drawn = [*self.labels] * (HEADS // len(self.labels))
        random.Random(1).shuffle(drawn)
        built = {install: build_head(macs, _way(install, plain=plain), message_bytes) for install in self.labels}
        return b"".join(built[install] for install in drawn)


def make_traffic(labels: int) -> Traffic:
    """The first labels of always the same, of 500 senders to 500 receivers."""
    drawn = random.Random(7)
    return Traffic(
        tuple(
            Install(
                Label(FIRST_SENDER + number % NODES, Index(drawn.getrandbits(32))),
                FIRST_RECEIVER + number * _STEP % NODES,
            )
            for number in range(labels)
        )
    )


def sources() -> dict[Endpoint, NodeNumber]:
    """Where the senders are."""
    return {_endpoint(*_sender(number)): number for number in range(FIRST_SENDER, FIRST_SENDER + NODES)}


def endpoints() -> dict[NodeNumber, Endpoint]:
    """Where the receivers are."""
    return {number: _endpoint(*_receiver(number)) for number in range(FIRST_RECEIVER, FIRST_RECEIVER + NODES)}


def _way(install: Install, *, plain: bool) -> Way:
    target = _receiver(install.target) if plain else (HUB_ADDRESS, HUB_PORT)
    return Way(_sender(install.label.source), target, install.label.index)


def _sender(number: NodeNumber) -> tuple[IPv4Address, int]:
    return IPv4Address("198.18.1.0") + number, 20_000 + number


def _receiver(number: NodeNumber) -> tuple[IPv4Address, int]:
    return IPv4Address("198.19.1.0") + number, 30_000 + number


def _endpoint(address: IPv4Address, port: int) -> Endpoint:
    return Endpoint(address.packed, port)
