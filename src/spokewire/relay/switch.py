"""The switch: which labels a handshake installs, and where it goes. Pure: every input is an argument, `now` too.

A label (sending node, receiver index) -> receiving node is installed before the message that claims the index is forwarded, so that no answer
can outrun it. It lives LABEL_LIFETIME_S unless renewed. The first owner of a live label keeps it: indices are 32 random bits, so a second claim is
an accident of one in billions, or an attack.

A member can claim only labels that lead to itself: the owner of a label is whoever sent the message that claims the index, and that is known by
the endpoint that WireGuard itself authenticated.

An announcement claims what the announced message claims at the hub that it passes, and nothing is forwarded: so a session has its labels at every hub,
and a node may move a peer from one hub to another in the middle of it.

A trunk leads to another hub, and is to the labels what a node is. Through the trunks goes what is for a node that is away: not here, as far as is known.
What came by a trunk never leaves by one. A label that a node has claimed is out of a trunk's reach; one that a trunk has claimed yields to a node.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from spokewire.relay.labels import Install, Label, Labels
from spokewire.relay.members import Members
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
    """Forward the message to these endpoints, after `installs`."""

    to: tuple[Endpoint, ...]
    installs: tuple[Install, ...] = ()
    is_awaited: bool = False
    """Whether whom it is for is not here: it has gone through the trunks, and if the one comes here in the next moment it may be handled again."""


@dataclass(frozen=True)
class ForHub:
    """The message is the hub's own: WireGuard answers it, and the sender's endpoint may have changed."""


Decision = Forward | Install | ForHub | Refusal
"""Only `Install`: the message was an announcement."""


class Switch:
    """The labels and endpoints of one hub."""

    def __init__(self, hub_key: bytes) -> None:
        self._hub_mac1_key = derive_mac1_key(hub_key)
        self._members = Members()
        self._hubs: dict[NodeNumber, tuple[Endpoint, ...]] = {}
        self._labels = Labels()
        self.places = Places()
        self.refused: Counter[Refusal] = Counter()
        self.forwarded = 0
        self.announced = 0
        """Announcements whose label was installed, or renewed."""
        self.trunked: Counter[NodeNumber] = Counter()
        """Handshakes that left by a trunk or came by it, by the hub at its other end."""

    def set_nodes(self, keys: Mapping[NodeNumber, bytes]) -> list[Install]:
        """Know exactly these nodes by their WireGuard public keys; return the labels that are gone with those that are not among them.

        A node whose key changed is another node: its old labels lead nowhere.
        """
        gone = self._members.set_nodes(keys)
        for number in gone:
            self.places.leave(number)
        return self._labels.remove(gone)

    def set_trunks(self, hubs: Mapping[NodeNumber, Collection[Endpoint]]) -> list[Install]:
        """Know trunks to exactly these hubs, with their endpoints in the order of preference; return the labels that are gone with those not among them.

        They take their places with the next `set_endpoints`, after the nodes, because WireGuard has authenticated where those are.
        """
        self._hubs = {n: tuple(endpoints) for n, endpoints in hubs.items() if n not in self._members.nodes}
        return self._labels.remove(self._members.set_trunks(self._hubs))

    def set_endpoints(self, endpoints: Mapping[NodeNumber, Endpoint]) -> set[NodeNumber]:
        """Know where nodes are, by WireGuard's own authentication; return those that moved. Nodes not named stay where they were."""
        moved = self.places.move({n: place for n, place in endpoints.items() if n in self._members.nodes})
        self.places.set_trunks(self._hubs)
        return moved

    def restore(self, labels: Iterable[tuple[Label, NodeNumber, float]], now: float) -> list[Install]:
        """Take labels that were saved with their expiry; return those that are still good."""
        return self._labels.restore(labels, {*self._members.nodes, *self._members.trunks}, now)

    def handle(self, packet: bytes, source: Endpoint, now: float, away: Collection[NodeNumber] = ()) -> Decision:
        """Decide about one message of types 1 to 3, or one announcement, that arrived at the hub's port.

        `away`: the nodes that seem not to be where WireGuard heard them last. Nodes that were never heard are away without being named.
        """
        announced = restore(packet)
        message = parse_message(packet if announced is None else announced)
        decision: Decision
        if message is None or isinstance(message, Data):
            decision = Refusal.MALFORMED
        elif announced is None:
            decision = self._decide(message, source, now, away)
        else:
            decision = self._note(message, source, now)
        if isinstance(decision, Refusal):
            # The other hub asks all others for a node that it does not hear: not to be the one is nothing to worry about.
            is_asked_too = isinstance(message, Initiation) and self.places.sources.get(source) in self._members.trunks
            if not (is_asked_too and decision is Refusal.NO_TARGET):
                self.refused[decision] += 1
        elif isinstance(decision, Forward):
            self.forwarded += 1
            machines = {self.places.sources[place] for place in (source, *decision.to)}
            self.trunked.update(machines.intersection(self._members.trunks))
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

    def labels_behind(self, hub: NodeNumber) -> int:
        """How many labels lead through the trunk to a hub."""
        return self._labels.owned(hub)

    def labels(self) -> list[tuple[Label, NodeNumber, float]]:
        """Every label with its target and expiry, to be saved."""
        return self._labels.list_all()

    def _decide(self, message: Message, source: Endpoint, now: float, away: Collection[NodeNumber]) -> Decision:
        if isinstance(message, Initiation | Response) and is_for(message, self._hub_mac1_key):
            return ForHub()
        number = self._find_sender(source, now)
        if isinstance(number, Refusal):
            return number
        family = len(source.address)
        match message:
            case Initiation():
                return self._greet(message, number, family, now, away)
            case Response():
                return self._answer(message, number, family, now)
            case CookieReply() | Data():
                owner = self._labels.owner(Label(number, message.receiver), now)
                there = self._place(owner, family)
                return there if isinstance(there, Refusal) else Forward((there,))

    def _note(self, message: Message, source: Endpoint, now: float) -> Install | Refusal:
        """Install what an announced message claims. Its target need not be here (yet).

        The target of a response is told by its mac1 as that of an initiation is, because here it may come before the initiation that it answers.
        """
        assert isinstance(message, Initiation | Response)
        if self.places.sources.get(source) in self._members.trunks:
            return Refusal.UNKNOWN_SOURCE
        number = self._find_sender(source, now)
        if isinstance(number, Refusal):
            return number
        target = self._members.find_target(message, number)
        if target is None:
            return Refusal.NO_TARGET
        if self._place(target, len(source.address)) is Refusal.MIXED_FAMILY:
            return Refusal.MIXED_FAMILY
        claimed = self._claim([target], message, number, now)
        return claimed if isinstance(claimed, Refusal) else claimed[0]

    def _find_sender(self, source: Endpoint, now: float) -> NodeNumber | Refusal:
        number = self.places.sources.get(source)
        if number is None:
            return Refusal.UNKNOWN_SOURCE
        return number if self._members.admit(number, now) else Refusal.RATE

    def _greet(
        self, message: Initiation, number: NodeNumber, family: int, now: float, away: Collection[NodeNumber]
    ) -> Decision:
        """The sender claims its index towards the target, and towards each trunk behind which the target may be."""
        target = self._members.find_target(message, number)
        if target is None:
            return Refusal.NO_TARGET
        there = self._place(target, family)
        is_here = target in self.places.endpoints
        ways = [] if isinstance(there, Refusal) else [(target, there)]
        if (not is_here or target in away) and number not in self._members.trunks:
            ways += [(n, place) for n in self.places.trunks if isinstance(place := self._place(n, family), Endpoint)]
        if not ways:
            return there if isinstance(there, Refusal) else Refusal.NO_TARGET
        # Towards the target even if it is not here: it may come, and go on with the session.
        claimed = self._claim([target, *(n for n, _ in ways)], message, number, now)
        if isinstance(claimed, Refusal):
            return claimed
        self._members.remember(number, target)
        return Forward(tuple(place for _, place in ways), claimed, is_awaited=not is_here)

    def _answer(self, message: Response, number: NodeNumber, family: int, now: float) -> Decision:
        """The sender claims its index towards whoever greeted it with the index that it answers."""
        asker = self._labels.owner(Label(number, message.receiver), now)
        if asker is None or asker in self._members.trunks:
            target = None if asker is None else self._members.find_target(message, number)
        else:
            target = asker if self._members.is_for(message, asker) else None
        if asker is None or target is None:
            return Refusal.NO_TARGET
        trunk = self._labels.find_trunk(Label(number, message.receiver))
        askers = [asker] if trunk is None else [asker, trunk]
        ways = [(n, place) for n in askers if isinstance(place := self._place(n, family), Endpoint)]
        if not ways:
            return Refusal.MIXED_FAMILY if self._place(asker, family) is Refusal.MIXED_FAMILY else Refusal.NO_TARGET
        # Towards the node behind a trunk too: it may come here, and go on with the session.
        claimed = self._claim([*(n for n, _ in ways), target], message, number, now)
        if isinstance(claimed, Refusal):
            return claimed
        self._members.remember(number, target)
        return Forward(tuple(place for _, place in ways), claimed)

    def _claim(
        self, towards: Iterable[NodeNumber], message: Initiation | Response, number: NodeNumber, now: float
    ) -> tuple[Install, ...] | Refusal:
        """From now on what these send to the sender's index leads to the sender, `number`: all of it, or nothing and why.

        Where a node has that label already, the one behind a trunk goes without, but is answered too: it is most likely the same, by two ways.
        """
        self.expire(now)
        nodes, is_trunk = self._members.nodes, number in self._members.trunks
        owners = {label: self._labels.owner(label, now) for label in (Label(n, message.sender) for n in towards)}
        theirs = [label for label, owner in owners.items() if is_trunk and owner in nodes]
        mine = {label: owner for label, owner in owners.items() if label not in theirs}
        if any(owner not in (None, number) and (is_trunk or owner in nodes) for owner in mine.values()):
            return Refusal.LABEL_TAKEN
        new = sum(owner != number for owner in mine.values())
        if new and self._labels.owned(number) + new > self._members.limit(number):
            return Refusal.LABEL_LIMIT
        installs = tuple(self._labels.install(label, number, now) for label in mine)
        for label, owner in owners.items():
            if label in theirs:
                self._labels.note_trunk(label, number)
            elif owner is not None and owner != number:
                self._labels.note_trunk(label, owner)
        return installs

    def _place(self, number: NodeNumber | None, family: int) -> Endpoint | Refusal:
        """Where a machine is for a packet of that family."""
        there = None if number is None else self.places.find(number, family)
        if there is None:
            is_here = number in self.places.endpoints or number in self.places.trunks
            return Refusal.MIXED_FAMILY if is_here else Refusal.NO_TARGET
        return there
