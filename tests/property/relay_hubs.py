"""Several hubs that know nothing of each other but their addresses, with what their kernels would do: where a message of a node ends."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from spokewire.relay.labels import Install, Label
from spokewire.relay.messages import Index, announce
from spokewire.relay.places import Endpoint
from spokewire.relay.switch import Decision, Forward, Switch
from tests.unit.relay.test_messages import initiation, response

A, B, C, D = 11, 12, 13, 14
NODES = (A, B, C, D)
MAX_HOPS = 2
"""A message passes two hubs at most."""


def key(number: int) -> bytes:
    return bytes([number]) * 32


def hub_place(number: int) -> Endpoint:
    return Endpoint(bytes([203, 0, 113, number]), 51820)


def node_place(number: int) -> Endpoint:
    return Endpoint(bytes([198, 51, 100, number]), 40000 + number)


@dataclass
class Hubs:
    """`here`: which nodes each hub hears."""

    here: Mapping[int, Iterable[int]]
    now: float = 1000.0
    away: dict[int, set[int]] = field(default_factory=dict)
    """By hub, who is silent there though it was heard once."""
    decisions: list[tuple[int, Decision]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.switches = {number: Switch(key(200 + number)) for number in self.here}
        self.kernels: dict[int, dict[Label, int]] = {number: {} for number in self.here}
        for number, switch in self.switches.items():
            switch.set_nodes({node: key(node) for node in NODES})
            switch.set_trunks({other: [hub_place(other)] for other in self.here if other != number})
            self.hear(number, self.here[number])

    def hear(self, hub: int, nodes: Iterable[int]) -> None:
        """A hub hears these nodes too."""
        self.switches[hub].set_endpoints({node: node_place(node) for node in nodes})
        self.away.get(hub, set()).difference_update(nodes)

    def lose(self, hub: int, node: int) -> None:
        """A node can no longer be reached from a hub, which has noticed."""
        self.away.setdefault(hub, set()).add(node)

    def greet(self, node: int, hub: int, target: int, index: int) -> set[int]:
        """Send an initiation to a hub; return the nodes that get it."""
        return self.send(initiation(index, key(target)), hub, node_place(node))

    def answer(self, node: int, hub: int, target: int, index: int, receiver: int) -> set[int]:
        return self.send(response(index, receiver, key(target)), hub, node_place(node))

    def announce_greeting(self, node: int, hub: int, target: int, index: int) -> None:
        assert self.send(announce(initiation(index, key(target))), hub, node_place(node)) == set()

    def announce_answer(self, node: int, hub: int, target: int, index: int, receiver: int) -> None:
        assert self.send(announce(response(index, receiver, key(target))), hub, node_place(node)) == set()

    def send(self, packet: bytes, hub: int, source: Endpoint, hops: int = 1) -> set[int]:
        assert hops <= MAX_HOPS, "a loop"
        decision = self.switches[hub].handle(packet, source, self.now, self.away.get(hub, ()))
        self.decisions.append((hub, decision))
        for install in decision.installs if isinstance(decision, Forward) else (decision,):
            if isinstance(install, Install):
                before = self.kernels[hub].get(install.label)
                assert install.instead_of == (None if before == install.target else before)
                self.kernels[hub][install.label] = install.target
        if not isinstance(decision, Forward):
            return set()
        assert len(set(decision.to)) == len(decision.to)
        return {node for place in decision.to for node in self._arrive(packet, hub, place, hops)}

    def pass_data(self, node: int, hub: int, index: int) -> int | None:
        """Send data to a hub, as the kernels would pass it; return the node where it ends."""
        source = node_place(node)
        for _ in range(MAX_HOPS + 1):
            switch = self.switches[hub]
            sender = switch.places.sources.get(source)
            target = None if sender is None else self.kernels[hub].get(Label(sender, Index(index)))
            places = dict(switch.places.destinations)
            if target is None or target not in places:
                return None
            if target in NODES:
                return None if target in self.away.get(hub, ()) else target
            source, hub = hub_place(hub), target
        raise AssertionError("a loop")

    def _arrive(self, packet: bytes, hub: int, place: Endpoint, hops: int) -> set[int]:
        other = next((number for number in self.here if hub_place(number) == place), None)
        if other is not None:
            return self.send(packet, other, hub_place(hub), hops + 1)
        node = next(node for node in NODES if node_place(node) == place)
        return set() if node in self.away.get(hub, ()) else {node}
