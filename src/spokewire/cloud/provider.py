"""What every provider of machines promises. The provider's own list is the inventory: our memory is only a cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from spokewire.network.names import MachineName
from spokewire.network.spec import MachineSpec


class MachineState(StrEnum):
    """What the provider says of a machine. Not whether it works: that is for echoes to say."""

    RUNNING = "running"
    STOPPED = "stopped"
    INCOMPLETE = "incomplete"
    """Its creation was interrupted: it is of no use and is made anew."""


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


class Provider(Protocol):
    """A maker of machines for one network. Every call may be repeated; none changes what is right already.

    All raise TemporaryError (wait and repeat), PermanentError (this machine cannot be) or InputError (change the spec).
    """

    def observe(self) -> Sequence[Machine]:
        """List every machine of this network that exists, whoever made it and whatever we remember."""
        ...

    def create(self, spec: MachineSpec, token: str) -> Machine:
        """Make a machine and start its daemon with this token; one that is INCOMPLETE is removed first."""
        ...

    def start(self, name: MachineName) -> None:
        """Switch a STOPPED machine on, with its disk as it was."""
        ...

    def shape(self, spec: MachineSpec) -> str:
        """What of a spec cannot be changed without making the machine anew."""
        ...

    def destroy(self, name: MachineName) -> None:
        """Remove a machine with all that belongs to it; nothing happens if there is none."""
        ...

    def sweep(self) -> list[str]:
        """Remove whatever else exists of this network; return what is left all the same (confirmed gone: an empty list)."""
        ...
