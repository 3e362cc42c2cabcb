"""Whose messages are switched: the nodes, by their keys, and the trunks to other hubs, with what each may do. Pure."""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from spokewire.relay.messages import Initiation, Response, derive_mac1_key, is_for
from spokewire.relay.places import NodeNumber

LABELS_PER_PAIR = 6
"""A pair holds two or three sessions at a time (previous, current, next), each with an index at either end."""
LABELS_SPARE = 64
LABELS_PER_TRUNK = 65536
"""For all pairs of which one is at the other hub: more than 10,000 with all their sessions."""
HANDSHAKE_RATE = 200.0
HANDSHAKE_BURST = 2000.0
"""Messages a second for one node: with a thousand peers it may greet each of them at once, twice."""
TRUNK_FACTOR = 5
"""A trunk carries the handshakes of many nodes."""
RECENT_PAIRS = 8
"""How many of a node's latest partners are tried first; an active pair shakes hands every two minutes."""


@dataclass
class _Sender:
    mac1_key: bytes | None
    """None: a trunk, which carries the messages of nodes with keys of their own."""
    rate: float = HANDSHAKE_RATE
    burst: float = HANDSHAKE_BURST
    tokens: float = HANDSHAKE_BURST
    refilled_at: float = 0.0
    recent: "OrderedDict[NodeNumber, None]" = field(default_factory=OrderedDict)


class Members:
    """The nodes and trunks of one hub, by host number."""

    def __init__(self) -> None:
        self._nodes: dict[NodeNumber, _Sender] = {}
        self._trunks: dict[NodeNumber, _Sender] = {}

    def set_nodes(self, keys: Mapping[NodeNumber, bytes]) -> set[NodeNumber]:
        """Know exactly these nodes by their WireGuard public keys; return those that are gone. With another key it is another node."""
        wanted = {number: derive_mac1_key(key) for number, key in keys.items()}
        gone = {number for number, node in self._nodes.items() if wanted.get(number) != node.mac1_key}
        for number in gone:
            del self._nodes[number]
        self._nodes |= {number: _Sender(key) for number, key in wanted.items() if number not in self._nodes}
        return gone

    def set_trunks(self, hubs: Collection[NodeNumber]) -> set[NodeNumber]:
        """Know trunks to exactly these hubs; return those that are gone."""
        gone = self._trunks.keys() - set(hubs)
        for number in gone:
            del self._trunks[number]
        rate, burst = TRUNK_FACTOR * HANDSHAKE_RATE, TRUNK_FACTOR * HANDSHAKE_BURST
        self._trunks |= {n: _Sender(None, rate, burst, burst) for n in hubs if n not in self._trunks}
        return gone

    @property
    def nodes(self) -> Collection[NodeNumber]:
        """The nodes."""
        return self._nodes.keys()

    @property
    def trunks(self) -> Collection[NodeNumber]:
        """The hubs that there are trunks to."""
        return self._trunks.keys()

    def limit(self, number: NodeNumber) -> int:
        """How many labels may lead to a node, or through a trunk. What a node claims towards one that is away it claims towards each trunk too."""
        if number in self._trunks:
            return LABELS_PER_TRUNK
        return LABELS_PER_PAIR * len(self._nodes) * (1 + len(self._trunks)) + LABELS_SPARE

    def admit(self, number: NodeNumber, now: float) -> bool:
        """Whether one more message of a sender's is within its rate."""
        sender = self._find(number)
        sender.tokens = min(sender.burst, sender.tokens + max(0.0, now - sender.refilled_at) * sender.rate)
        sender.refilled_at = now
        if sender.tokens < 1:
            return False
        sender.tokens -= 1
        return True

    def is_for(self, message: Initiation | Response, number: NodeNumber) -> bool:
        """Whether a message is for this node."""
        key = self._nodes[number].mac1_key
        return key is not None and is_for(message, key)

    def find_target(self, message: Initiation | Response, sender: NodeNumber) -> NodeNumber | None:
        """Whose key made mac1, if not the sender's own: those that spoke with the sender last are tried before all others."""
        recent = [number for number in reversed(self._find(sender).recent) if number in self._nodes]
        tried = {sender, *recent}
        others = (number for number in self._nodes if number not in tried)
        return next((number for order in (recent, others) for number in order if self.is_for(message, number)), None)

    def remember(self, one: NodeNumber, other: NodeNumber) -> None:
        """Two have spoken with each other."""
        for number, partner in ((one, other), (other, one)):
            recent = self._find(number).recent
            recent[partner] = None
            recent.move_to_end(partner)
            while len(recent) > RECENT_PAIRS:
                recent.popitem(last=False)

    def _find(self, number: NodeNumber) -> _Sender:
        return self._nodes.get(number) or self._trunks[number]
