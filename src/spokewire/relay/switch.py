"""The switch: which label a handshake installs, and where it goes. Pure: every input is an argument, `now` too.

A label (sending node, receiver index) -> receiving node is installed before the message that claims the index is forwarded, so that no answer
can outrun it. It lives LABEL_LIFETIME_S unless renewed. The first owner of a live label keeps it: indices are 32 random bits, so a second claim is
an accident of one in billions, or an attack.

A member can claim only labels that lead to itself: the owner of a label is whoever sent the message that claims the index, and that is known by
the endpoint that WireGuard itself authenticated.

An announcement claims what the announced message claims at the hub that it passes, and nothing is forwarded: so a session has its labels at every hub,
and a node may move a peer from one hub to another in the middle of it.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from spokewire.relay.labels import Install, Label, Labels
from spokewire.relay.messages import (
    CookieReply,
    Data,
    Initiation,
    Message,
    Response,
    derive_mac1_key,
    is_for,
    parse_message,
    restore,
)
from spokewire.relay.places import Endpoint, NodeNumber, Places

LABELS_PER_PAIR = 6
"""A pair holds two or three sessions at a time (previous, current, next), each with an index at either end."""
LABELS_SPARE = 64
HANDSHAKE_RATE = 200.0
HANDSHAKE_BURST = 2000.0
"""Messages a second for one node: with a thousand peers it may greet each of them at once, twice."""
RECENT_PAIRS = 8
"""How many of a node's latest partners are tried first; an active pair shakes hands every two minutes."""


class Refusal(StrEnum):
    """Why a message was not forwarded."""

    UNKNOWN_SOURCE = "unknown-source"
    NO_TARGET = "no-target"
    LABEL_LIMIT = "label-limit"
    LABEL_TAKEN = "label-taken"
    MALFORMED = "malformed"
    RATE = "rate"
    MIXED_FAMILY = "mixed-family"


@dataclass(frozen=True)
class Forward:
    """Forward the message to this endpoint, after `install` (None: nothing to install)."""

    to: Endpoint
    install: Install | None


@dataclass(frozen=True)
class ForHub:
    """The message is the hub's own: WireGuard answers it, and the sender's endpoint may have changed."""


Decision = Forward | Install | ForHub | Refusal
"""Only `Install`: the message was an announcement."""


@dataclass
class _Node:
    mac1_key: bytes
    recent: "OrderedDict[NodeNumber, None]" = field(default_factory=OrderedDict)
    tokens: float = HANDSHAKE_BURST
    refilled_at: float = 0.0


class Switch:
    """The labels and endpoints of one hub."""

    def __init__(self, hub_key: bytes) -> None:
        self._hub_mac1_key = derive_mac1_key(hub_key)
        self._nodes: dict[NodeNumber, _Node] = {}
        self._places = Places()
        self._labels = Labels()
        self.refused: Counter[Refusal] = Counter()
        self.forwarded = 0
        self.announced = 0
        """Announcements whose label was installed, or renewed."""

    def set_nodes(self, keys: Mapping[NodeNumber, bytes]) -> list[Install]:
        """Know exactly these nodes by their WireGuard public keys; return the labels that are gone with those that are not among them.

        A node whose key changed is another node: its old labels lead nowhere.
        """
        wanted = {number: derive_mac1_key(key) for number, key in keys.items()}
        gone = {number for number, node in self._nodes.items() if wanted.get(number) != node.mac1_key}
        dropped = self._labels.remove(gone)
        for number in gone:
            self._places.leave(number)
            del self._nodes[number]
        self._nodes |= {number: _Node(key) for number, key in wanted.items() if number not in self._nodes}
        return dropped

    def set_endpoints(self, endpoints: Mapping[NodeNumber, Endpoint]) -> set[NodeNumber]:
        """Know where nodes are, by WireGuard's own authentication; return those that moved. Nodes not named stay where they were."""
        return self._places.move({number: place for number, place in endpoints.items() if number in self._nodes})

    def restore(self, labels: Iterable[tuple[Label, NodeNumber, float]], now: float) -> list[Install]:
        """Take labels that were saved with their expiry; return those that are still good."""
        return self._labels.restore(labels, self._nodes.keys(), now)

    def handle(self, packet: bytes, source: Endpoint, now: float) -> Decision:
        """Decide about one message of types 1 to 3, or one announcement, that arrived at the hub's port."""
        announced = restore(packet)
        message = parse_message(packet if announced is None else announced)
        decision: Decision
        if message is None or isinstance(message, Data):
            decision = Refusal.MALFORMED
        elif announced is None:
            decision = self._decide(message, source, now)
        else:
            decision = self._note(message, source, now)
        if isinstance(decision, Refusal):
            self.refused[decision] += 1
        elif isinstance(decision, Forward):
            self.forwarded += 1
        elif isinstance(decision, Install):
            self.announced += 1
        return decision

    def expire(self, now: float) -> list[Label]:
        """Forget labels whose time is over (the kernel forgets them by itself); return them."""
        return self._labels.expire(now)

    @property
    def label_count(self) -> int:
        """How many labels there are, those included whose time has just passed."""
        return len(self._labels)

    def labels(self) -> list[tuple[Label, NodeNumber, float]]:
        """Every label with its target and expiry, to be saved."""
        return self._labels.list_all()

    @property
    def sources(self) -> Mapping[Endpoint, NodeNumber]:
        """Whose packets come from where."""
        return self._places.sources

    @property
    def endpoints(self) -> Mapping[NodeNumber, Endpoint]:
        """Where each node is, as far as known."""
        return self._places.endpoints

    def _decide(self, message: Message, source: Endpoint, now: float) -> Decision:
        if isinstance(message, Initiation | Response) and is_for(message, self._hub_mac1_key):
            return ForHub()
        number = self._find_sender(source, now)
        if isinstance(number, Refusal):
            return number
        match message:
            case Initiation():
                return self._switch(message, number, self._find_target(message, number), now)
            case Response():
                target = self._labels.owner(Label(number, message.receiver), now)
                known = target is not None and is_for(message, self._nodes[target].mac1_key)
                return self._switch(message, number, target if known else None, now)
            case CookieReply() | Data():
                return self._pass_on(self._labels.owner(Label(number, message.receiver), now), source)

    def _note(self, message: Message, source: Endpoint, now: float) -> Install | Refusal:
        """Install what an announced message claims. Its target need not be here (yet).

        The target of a response is told by its mac1 as that of an initiation is, because here it may come before the initiation that it answers.
        """
        assert isinstance(message, Initiation | Response)
        number = self._find_sender(source, now)
        if isinstance(number, Refusal):
            return number
        target = self._find_target(message, number)
        return Refusal.NO_TARGET if target is None else self._claim(message, number, target, now)

    def _find_sender(self, source: Endpoint, now: float) -> NodeNumber | Refusal:
        number = self._places.sources.get(source)
        if number is None:
            return Refusal.UNKNOWN_SOURCE
        return number if self._admit(self._nodes[number], now) else Refusal.RATE

    def _switch(
        self, message: Initiation | Response, number: NodeNumber, target: NodeNumber | None, now: float
    ) -> Decision:
        there = None if target is None else self._places.find(target)
        if target is None or target == number or there is None:
            return Refusal.NO_TARGET
        install = self._claim(message, number, target, now)
        return install if isinstance(install, Refusal) else Forward(there, install)

    def _claim(
        self, message: Initiation | Response, number: NodeNumber, target: NodeNumber, now: float
    ) -> Install | Refusal:
        """The sender claims its index at the target: from now on what the target sends to that index leads to the sender."""
        here, there = self._places.find(number), self._places.find(target)
        if here is not None and there is not None and len(here.address) != len(there.address):
            return Refusal.MIXED_FAMILY
        label = Label(target, message.sender)
        owner = self._labels.owner(label, now)
        if owner is not None and owner != number:
            return Refusal.LABEL_TAKEN
        if owner is None:
            self.expire(now)
            if self._labels.owned(number) >= LABELS_PER_PAIR * len(self._nodes) + LABELS_SPARE:
                return Refusal.LABEL_LIMIT
        self._remember(number, target)
        self._remember(target, number)
        return self._labels.install(label, number, now)

    def _pass_on(self, target: NodeNumber | None, source: Endpoint) -> Decision:
        there = None if target is None else self._places.find(target)
        if there is None:
            return Refusal.NO_TARGET
        return Forward(there, None) if len(there.address) == len(source.address) else Refusal.MIXED_FAMILY

    def _find_target(self, message: Initiation | Response, number: NodeNumber) -> NodeNumber | None:
        """Whose key made mac1: those that spoke with this node last are tried before all others."""
        recent = list(reversed(self._nodes[number].recent))
        for candidate in recent:
            if candidate in self._nodes and is_for(message, self._nodes[candidate].mac1_key):
                return candidate
        tried = {number, *recent}
        return next((n for n, node in self._nodes.items() if n not in tried and is_for(message, node.mac1_key)), None)

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
