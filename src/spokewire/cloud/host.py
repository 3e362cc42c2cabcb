"""Hosts of the operator's own: nobody makes or removes them here; they join with a token."""

from collections.abc import Sequence

from spokewire.cloud.provider import Machine, Price, Say, say_nothing
from spokewire.errors import Code, InputError
from spokewire.network.names import MachineName, NetworkId
from spokewire.network.spec import MachineSpec


class HostProvider:
    """A provider of nothing: a plan invites such machines instead of making them."""

    def check(self, wanted: Sequence[MachineSpec]) -> None:
        """Nothing is made, so nothing can be missing."""

    def price(self, spec: MachineSpec, existing: Machine | None = None) -> Price | None:
        """None: whatever it costs, nobody here knows."""
        return None

    def observe(self) -> Sequence[Machine]:
        """None: a host of one's own is seen only by its record and its echoes."""
        return []

    def find_networks(self) -> frozenset[NetworkId]:
        """None: nobody else's machines can be here."""
        return frozenset()

    def create(self, spec: MachineSpec, token: str, say: Say = say_nothing) -> Machine:
        """Refuse."""
        raise InputError(Code.REQUEST_INVALID, f"{spec.name} is a host of yours: it cannot be made from here.")

    def start(self, name: MachineName) -> None:
        """Refuse."""
        raise InputError(Code.REQUEST_INVALID, f"{name} is a host of yours: it cannot be switched on from here.")

    def shape(self, spec: MachineSpec, existing: Machine | None = None) -> str:
        """Nothing of it depends on the spec."""
        return ""

    def destroy(self, name: MachineName, *, keep_address: bool = False) -> None:
        """Leave the host as it is: revoking its grant is all that can be done from here."""

    def sweep(self) -> list[str]:
        """Nothing was made, so nothing is left."""
        return []
