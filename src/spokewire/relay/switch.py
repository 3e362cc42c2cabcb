"""The switch: which label a handshake installs, and where it goes. Pure: every input is an argument, `now` too.

A label (sending node, receiver index) -> receiving node is installed before the message that announces the index is forwarded, so that no answer
can outrun it. It lives LABEL_LIFETIME_S unless renewed. The first owner of a live label keeps it: indices are 32 random bits, so a second claim is
an accident of one in billions, or an attack.

A member can claim only labels that lead to itself: the owner of a label is whoever sent the message that announced the index, and that is known by
the endpoint that WireGuard itself authenticated.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import takewhile

from spokewire.relay.messages import (
    CookieReply,
    Data,
    Index,
    Initiation,
    Message,
    Response,
    derive_mac1_key,
    is_for,
    parse_message,
)

LABEL_LIFETIME_S = 240.0
"""A session is used for 180 s at most (REJECT_AFTER_TIME, paper section 6.1); a minute more covers what is still on its way."""
LABELS_PER_PAIR = 6
"""A pair holds two or three sessions at a time (previous, current, next), each with an index at either end."""
LABELS_SPARE = 64
HANDSHAKE_RATE = 200.0
HANDSHAKE_BURST = 2000.0
"""Messages a second for one node: with a thousand peers it may greet each of them at once, twice."""
RECENT_PAIRS = 8
"""How many of a node's latest partners are tried first; an active pair shakes hands every two minutes."""

NodeNumber = int
"""A node's host number in the address plan: 1 to 2^20."""


class Refusal(StrEnum):
    """Why a message was not forwarded."""

    UNKNOWN_SOURCE = "unknown-source"
    NO_TARGET = "no-target"
    LABEL_LIMIT = "label-limit"
    LABEL_TAKEN = "label-taken"
    MALFORMED = "malformed"
    RATE = "rate"
    MIXED_FAMILY = "mixed-family"


@dataclass(frozen=True, order=True)
class Endpoint:
    """An IP address, packed (4 or 16 bytes), and a UDP port."""

    address: bytes
    port: int


@dataclass(frozen=True, order=True)
class Label:
    """What the kernel looks up: who sends, and the receiver index in the message."""

    source: NodeNumber
    index: Index


@dataclass(frozen=True)
class Install:
    """Install a label, or renew it, for LABEL_LIFETIME_S."""

    label: Label
    target: NodeNumber


@dataclass(frozen=True)
class Forward:
    """Forward the message to this endpoint, after `install` (None: nothing to install)."""

    to: Endpoint
    install: Install | None


@dataclass(frozen=True)
class ForHub:
    """The message is the hub's own: WireGuard answers it, and the sender's endpoint may have changed."""


Decision = Forward | ForHub | Refusal


@dataclass
class _Node:
    mac1_key: bytes
    endpoint: Endpoint | None = None
    recent: "OrderedDict[NodeNumber, None]" = field(default_factory=OrderedDict)
    owned: int = 0
    """Live labels that lead to this node."""
    tokens: float = HANDSHAKE_BURST
    refilled_at: float = 0.0


class Switch:
    """The labels and endpoints of one hub."""

    def __init__(self, hub_key: bytes) -> None:
        self._hub_mac1_key = derive_mac1_key(hub_key)
        self._nodes: dict[NodeNumber, _Node] = {}
        self._sources: dict[Endpoint, NodeNumber] = {}
        self._labels: dict[Label, tuple[NodeNumber, float]] = {}
        """In the order of their expiry: a label that is renewed goes to the end."""
        self.refused: Counter[Refusal] = Counter()
        self.forwarded = 0

    def set_nodes(self, keys: Mapping[NodeNumber, bytes]) -> list[Install]:
        """Know exactly these nodes by their WireGuard public keys; return the labels that are gone with those that are not among them.

        A node whose key changed is another node: its old labels lead nowhere.
        """
        wanted = {number: derive_mac1_key(key) for number, key in keys.items()}
        gone = {number for number, node in self._nodes.items() if wanted.get(number) != node.mac1_key}
        # Asked every few seconds, for hardly ever a change: then the labels, which may be very many, are not walked.
        dropped = [
            Install(label, target)
            for label, (target, _) in (self._labels.items() if gone else ())
            if label.source in gone or target in gone
        ]
        for install in dropped:
            self._drop(install.label)
        for number in gone:
            self._leave(self._nodes.pop(number))
        self._nodes |= {number: _Node(key) for number, key in wanted.items() if number not in self._nodes}
        return dropped

    def set_endpoints(self, endpoints: Mapping[NodeNumber, Endpoint]) -> set[NodeNumber]:
        """Know where nodes are, by WireGuard's own authentication; return those that moved.

        An endpoint is one node's. A node that is still at an endpoint keeps it: WireGuard takes the sender's address of any valid packet, and a member
        may forge that address, so that another's appears to be its own. Nodes not named stay where they were, unless a named one is there now.
        """
        moved = set()
        for number, endpoint in endpoints.items():
            node, holder = self._nodes.get(number), self._sources.get(endpoint)
            if node is None or holder == number or (holder is not None and endpoints.get(holder) == endpoint):
                continue
            if holder is not None:
                self._leave(self._nodes[holder])
            self._leave(node)
            node.endpoint = endpoint
            self._sources[endpoint] = number
            moved.add(number)
        return moved

    def restore(self, labels: Iterable[tuple[Label, NodeNumber, float]], now: float) -> list[Install]:
        """Take labels that were saved with their expiry; return those that are still good."""
        good = []
        for label, target, expires_at in labels:
            if expires_at > now and label.source in self._nodes and target in self._nodes and label not in self._labels:
                self._labels[label] = (target, expires_at)
                self._nodes[target].owned += 1
                good.append(Install(label, target))
        self._labels = dict(sorted(self._labels.items(), key=lambda item: item[1][1]))
        return good

    def handle(self, packet: bytes, source: Endpoint, now: float) -> Decision:
        """Decide about one message of types 1 to 3 that arrived at the hub's port."""
        message = parse_message(packet)
        decision = (
            Refusal.MALFORMED if message is None or isinstance(message, Data) else self._decide(message, source, now)
        )
        if isinstance(decision, Refusal):
            self.refused[decision] += 1
        elif isinstance(decision, Forward):
            self.forwarded += 1
        return decision

    def expire(self, now: float) -> list[Label]:
        """Forget labels whose time is over (the kernel forgets them by itself); return them."""
        over = list(takewhile(lambda label: self._labels[label][1] <= now, self._labels))
        for label in over:
            self._drop(label)
        return over

    @property
    def label_count(self) -> int:
        """How many labels there are, those included whose time has just passed."""
        return len(self._labels)

    def labels(self) -> list[tuple[Label, NodeNumber, float]]:
        """Every label with its target and expiry, to be saved."""
        return [(label, target, expires_at) for label, (target, expires_at) in self._labels.items()]

    @property
    def sources(self) -> Mapping[Endpoint, NodeNumber]:
        """Whose packets come from where."""
        return self._sources

    @property
    def endpoints(self) -> dict[NodeNumber, Endpoint]:
        """Where each node is, as far as known."""
        return {number: node.endpoint for number, node in self._nodes.items() if node.endpoint is not None}

    def _decide(self, message: Message, source: Endpoint, now: float) -> Decision:
        if isinstance(message, Initiation | Response) and is_for(message, self._hub_mac1_key):
            return ForHub()
        number = self._sources.get(source)
        if number is None:
            return Refusal.UNKNOWN_SOURCE
        if not self._admit(self._nodes[number], now):
            return Refusal.RATE
        match message:
            case Initiation():
                return self._announce(message, number, self._find_target(message, number), now)
            case Response():
                target = self._owner(Label(number, message.receiver), now)
                known = target is not None and is_for(message, self._nodes[target].mac1_key)
                return self._announce(message, number, target if known else None, now)
            case CookieReply() | Data():
                return self._pass_on(self._owner(Label(number, message.receiver), now), source)

    def _announce(
        self, message: Initiation | Response, number: NodeNumber, target: NodeNumber | None, now: float
    ) -> Decision:
        """The sender announces its index to the target: from now on what the target sends to that index leads to the sender."""
        if target is None or target == number:
            return Refusal.NO_TARGET
        here, there = self._nodes[number].endpoint, self._nodes[target].endpoint
        if here is None or there is None:
            return Refusal.NO_TARGET
        if len(here.address) != len(there.address):
            return Refusal.MIXED_FAMILY
        label = Label(target, message.sender)
        owner = self._owner(label, now)
        if owner is not None and owner != number:
            return Refusal.LABEL_TAKEN
        node = self._nodes[number]
        if owner is None:
            self.expire(now)
            if node.owned >= LABELS_PER_PAIR * len(self._nodes) + LABELS_SPARE:
                return Refusal.LABEL_LIMIT
            node.owned += 1
        self._labels.pop(label, None)
        self._labels[label] = (number, now + LABEL_LIFETIME_S)
        self._remember(number, target)
        self._remember(target, number)
        return Forward(there, Install(label, number))

    def _pass_on(self, target: NodeNumber | None, source: Endpoint) -> Decision:
        there = None if target is None else self._nodes[target].endpoint
        if there is None:
            return Refusal.NO_TARGET
        return Forward(there, None) if len(there.address) == len(source.address) else Refusal.MIXED_FAMILY

    def _find_target(self, message: Initiation, number: NodeNumber) -> NodeNumber | None:
        """Whose key made mac1: those that spoke with this node last are tried before all others."""
        recent = list(reversed(self._nodes[number].recent))
        for candidate in recent:
            if candidate in self._nodes and is_for(message, self._nodes[candidate].mac1_key):
                return candidate
        tried = {number, *recent}
        return next((n for n, node in self._nodes.items() if n not in tried and is_for(message, node.mac1_key)), None)

    def _owner(self, label: Label, now: float) -> NodeNumber | None:
        found = self._labels.get(label)
        return None if found is None or found[1] <= now else found[0]

    def _admit(self, node: _Node, now: float) -> bool:
        node.tokens = min(HANDSHAKE_BURST, node.tokens + max(0.0, now - node.refilled_at) * HANDSHAKE_RATE)
        node.refilled_at = now
        if node.tokens < 1:
            return False
        node.tokens -= 1
        return True

    def _remember(self, number: NodeNumber, partner: NodeNumber) -> None:
        recent = self._nodes[number].recent
        recent[partner] = None
        recent.move_to_end(partner)
        while len(recent) > RECENT_PAIRS:
            recent.popitem(last=False)

    def _drop(self, label: Label) -> None:
        target, _ = self._labels.pop(label)
        if target in self._nodes:
            self._nodes[target].owned -= 1

    def _leave(self, node: _Node) -> None:
        """A node is no longer where it was."""
        if node.endpoint is not None:
            del self._sources[node.endpoint]
            node.endpoint = None
