"""What every provider of machines promises. The provider's own list is the inventory: our memory is only a cache."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from spokewire.network.names import MachineName, NetworkId
from spokewire.network.spec import MachineSpec

Say = Callable[[str], None]
"""Called with what a machine waits for, in a few words."""


def say_nothing(words: str) -> None:
    """For those who need no progress."""


class MachineState(StrEnum):
    """What the provider says of a machine. Not whether it works: that is for echoes to say."""

    RUNNING = "running"
    STOPPED = "stopped"
    INCOMPLETE = "incomplete"
    """Its creation was interrupted: it is of no use and is made anew."""
    PENDING = "pending"
    """Its creation is under way, or was interrupted where it can go on: `create` carries it on."""


@dataclass(frozen=True)
class Machine:
    """An observed machine."""

    name: MachineName
    role: str
    state: MachineState
    shape: str = ""
    """What of the spec the machine was built from, as `Provider.shape` tells it: another shape means another machine."""
    public_address: str | None = None
    public_address6: str | None = None
    """The IPv6 address of a machine that has both."""
    status_url: str | None = None
    """Where a node's public status server is reached; None where nobody can."""


@dataclass(frozen=True)
class Price:
    """What a machine costs, in US dollars by the vendor's own list. Traffic and taxes are not in it."""

    what: str
    """What costs that: a size, say."""
    hourly: Decimal
    monthly: Decimal


class Provider(Protocol):
    """A maker of machines for one network. Every call may be repeated; none changes what is right already.

    All raise TemporaryError (wait and repeat), PermanentError (this machine cannot be) or InputError (change the spec).
    Different threads call at once, for different machines.
    """

    def check(self, wanted: Sequence[MachineSpec]) -> None:
        """Look whether these machines can be made, or made anew: credentials, their rights, limits, names in the spec.

        Makes nothing. What only some of the machines lack is no error here: `create` tells it for each.
        """
        ...

    def price(self, spec: MachineSpec, existing: Machine | None = None) -> Price | None:
        """What a machine will cost that is made as the spec says first, or what the one that exists costs; None where nobody asks for money."""
        ...

    def observe(self) -> Sequence[Machine]:
        """List every machine of this network that exists, whoever made it and whatever we remember.

        A network is its root key; where that is not known (the operator's folder was lost), its name decides.
        """
        ...

    def find_networks(self) -> frozenset[NetworkId]:
        """The ids of all networks of this name that have machines here, ours or not; empty where there can be only ours."""
        ...

    def create(self, spec: MachineSpec, token: str, say: Say = say_nothing) -> Machine:
        """Make a machine and start its daemon with this token.

        One that is INCOMPLETE is removed first, one that is PENDING is carried on. The cloud is asked for a new machine at most once, however the answer is lost: after that it is looked for.
        """
        ...

    def start(self, name: MachineName) -> None:
        """Switch a STOPPED machine on, with its disk as it was."""
        ...

    def shape(self, spec: MachineSpec, existing: Machine | None = None) -> str:
        """What of a spec cannot be changed without making the machine anew; of several that it allows, the one that exists."""
        ...

    def destroy(self, name: MachineName, *, keep_address: bool = False) -> None:
        """Remove a machine with all that belongs to it; nothing happens if there is none.

        With `keep_address` a public address that can be kept is left for the machine of that name that is made next.
        """
        ...

    def sweep(self) -> list[str]:
        """Remove whatever else exists of this network; return what is left all the same (confirmed gone: an empty list)."""
        ...
