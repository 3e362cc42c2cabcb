"""All rivals, up at the same time: each a way from node-1 to node-2."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.relay import tunnels
from bench.relay.modules import python
from bench.relay.places import Place, Places, bare, deployed

SEALED, ROUTED, NESTED, DIRECT, NEBULA = (
    "sealed",
    "routed",
    "WireGuard in WireGuard",
    "direct WireGuard",
    "Nebula's relay",
)
OVERLAY = "10.88.0.12"
"""node-2 in every deployed network."""
_OVERLAYS = ("10.88.0.11", OVERLAY)
_LISTENING = (
    'for _ in $(seq 500); do [ "$(ss -H -ltn "sport = :5201" | wc -l)" = 1 ] && exit 0; sleep 0.02; done; exit 1'
)


@dataclass(frozen=True)
class Rival:
    """A way from node-1 to node-2: the machines, and node-2's address at the end of it."""

    name: str
    places: Places
    address: str
    has_hub: bool = True

    @property
    def sender(self) -> Place:
        """Where flows begin."""
        return self.places["node-1"]

    @property
    def receiver(self) -> Place:
        """Where flows end."""
        return self.places["node-2"]

    @property
    def hub(self) -> Place:
        """What is between."""
        return self.places["hub-1"]


@contextmanager
def all_rivals() -> Iterator[dict[str, Rival]]:
    """Sealed and routed networks as the product deploys them, a tunnel over the routed one, and bare machines with a direct tunnel and Nebula."""
    with ExitStack() as stack:
        sealed, routed = (stack.enter_context(deployed(relay)) for relay in (SEALED, ROUTED))
        plain = stack.enter_context(bare())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="spokewire-bench-")))
        ends = (plain["node-1"], plain["node-2"])
        outside = (ends[0].public_address, ends[1].public_address)
        tunnels.add_wireguard(ends, tunnels.DIRECT, outside, tunnels.DIRECT_PORT, tunnels.DIRECT_MTU)
        over = (routed["node-1"], routed["node-2"])
        tunnels.add_wireguard(over, tunnels.NESTED, _OVERLAYS, tunnels.NESTED_PORT, tunnels.NESTED_MTU)
        tunnels.add_nebula(plain, folder)
        listen(sealed["node-2"], routed["node-2"], plain["node-2"])
        found = (
            Rival(SEALED, sealed, OVERLAY),
            Rival(ROUTED, routed, OVERLAY),
            Rival(NESTED, routed, tunnels.NESTED[1]),
            Rival(DIRECT, plain, tunnels.DIRECT[1], has_hub=False),
            Rival(NEBULA, plain, tunnels.NEBULA["node-2"]),
        )
        yield {rival.name: rival for rival in found}


@contextmanager
def own_rivals() -> Iterator[dict[str, Rival]]:
    """Only the two networks that the product deploys."""
    with deployed(SEALED) as sealed, deployed(ROUTED) as routed:
        listen(sealed["node-2"], routed["node-2"])
        yield {SEALED: Rival(SEALED, sealed, OVERLAY), ROUTED: Rival(ROUTED, routed, OVERLAY)}


def listen(*receivers: Place) -> None:
    """Start what flows end in: iperf3, and the answerer of datagrams."""
    for receiver in receivers:
        receiver.start("iperf3", "iperf3", "-s")
        receiver.start("answerer", *python("answerer"))
        receiver.run("sh", "-c", _LISTENING)
