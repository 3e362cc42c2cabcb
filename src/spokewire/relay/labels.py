"""Labels: (sending node, receiver index) -> receiving node, each for a time. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import takewhile

from spokewire.relay.messages import Index
from spokewire.relay.places import NodeNumber

LABEL_LIFETIME_S = 240.0
"""A session is used for 180 s at most (REJECT_AFTER_TIME, paper section 6.1); a minute more covers what is still on its way."""


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
    instead_of: NodeNumber | None = None
    """Whom the live label led to until now, if that was another."""


class Labels:
    """The labels of one hub. Who a label leads to is its owner."""

    def __init__(self) -> None:
        self._labels: dict[Label, tuple[NodeNumber, float]] = {}
        """In the order of their expiry: a label that is renewed goes to the end."""
        self._owned: Counter[NodeNumber] = Counter()
        self._asking: dict[Label, NodeNumber] = {}

    def __len__(self) -> int:
        return len(self._labels)

    def owner(self, label: Label, now: float) -> NodeNumber | None:
        """Whom a label leads to; None if there is none, or its time is over."""
        found = self._labels.get(label)
        return None if found is None or found[1] <= now else found[0]

    def owned(self, owner: NodeNumber) -> int:
        """How many labels lead to a node, those included that nobody has expired yet."""
        return self._owned[owner]

    def install(self, label: Label, owner: NodeNumber, now: float) -> Install:
        """Install a label, or renew it, whoever had it before."""
        before, trunk = self.owner(label, now), self._asking.get(label)
        self._drop(label)
        self._labels[label] = (owner, now + LABEL_LIFETIME_S)
        self._owned[owner] += 1
        if before is not None and trunk is not None:
            self._asking[label] = trunk
        return Install(label, owner, instead_of=None if before == owner else before)

    def note_trunk(self, label: Label, trunk: NodeNumber) -> None:
        """Remember for a label's life that the message that claims it came by a trunk too, and is to be answered by it."""
        self._asking[label] = trunk

    def find_trunk(self, label: Label) -> NodeNumber | None:
        """The trunk by which the message that claims a node's label came too."""
        return self._asking.get(label)

    def remove(self, gone: Collection[NodeNumber]) -> list[Install]:
        """Remove the labels from these nodes and to them; return what was removed."""
        # Asked every few seconds, for hardly ever a change: then the labels, which may be very many, are not walked.
        removed = [
            Install(label, owner)
            for label, (owner, _) in (self._labels.items() if gone else ())
            if label.source in gone or owner in gone
        ]
        for install in removed:
            self._drop(install.label)
        if gone:
            self._asking = {label: trunk for label, trunk in self._asking.items() if trunk not in gone}
        return removed

    def restore(
        self, saved: Iterable[tuple[Label, NodeNumber, float]], members: Collection[NodeNumber], now: float
    ) -> list[Install]:
        """Take labels between members that were saved with their expiry; return those that are still good."""
        good = []
        for label, owner, expires_at in saved:
            if expires_at > now and label.source in members and owner in members and label not in self._labels:
                self._labels[label] = (owner, expires_at)
                self._owned[owner] += 1
                good.append(Install(label, owner))
        self._labels = dict(sorted(self._labels.items(), key=lambda item: item[1][1]))
        return good

    def expire(self, now: float) -> list[Label]:
        """Forget labels whose time is over; return them."""
        over = list(takewhile(lambda label: self._labels[label][1] <= now, self._labels))
        for label in over:
            self._drop(label)
        return over

    def list_all(self) -> list[tuple[Label, NodeNumber, float]]:
        """Every label with its owner and expiry."""
        return [(label, owner, expires_at) for label, (owner, expires_at) in self._labels.items()]

    def _drop(self, label: Label) -> None:
        found = self._labels.pop(label, None)
        self._asking.pop(label, None)
        if found is not None:
            self._owned[found[0]] -= 1
