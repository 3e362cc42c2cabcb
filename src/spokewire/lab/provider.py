"""The lab as a provider of machines, like any cloud."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from spokewire.cloud.provider import Machine, MachineState, Price, Say, say_nothing
from spokewire.errors import Code, PermanentError
from spokewire.host import files
from spokewire.lab.machine import LabMachine, Machines, daemon_script
from spokewire.lab.plan import STATUS_PORT, Wiring
from spokewire.lab.world import World, find_world
from spokewire.network.names import MachineName, NetworkId
from spokewire.network.spec import Family, MachineSpec, Nat


class LabProvider:
    """Machines in the world that belongs to a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def check(self, wanted: Sequence[MachineSpec]) -> None:
        """A lab needs no credentials; whether there is room is told when a machine is made."""

    def price(self, spec: MachineSpec, existing: Machine | None = None) -> Price | None:
        """None: it costs nothing."""
        return None

    def observe(self) -> Sequence[Machine]:
        """Every machine of the lab; none without a world. Bare machines are the user's own, not the network's."""
        world = find_world(self._folder)
        if world is None:
            return []
        return [_describe(machine) for machine in Machines(world).observe() if machine.role != "bare"]

    def find_networks(self) -> frozenset[NetworkId]:
        """None: nobody else's machines can be here."""
        return frozenset()

    def create(self, spec: MachineSpec, token: str, say: Say = say_nothing) -> Machine:
        """Make a machine and start its daemon."""
        machines = Machines(self._world())
        for machine in machines.observe():
            if machine.name == spec.name:
                machines.destroy(machine)

        def boot(wiring: Wiring) -> str:
            environment = {"SPOKEWIRE_TOKEN": token}
            if spec.role == "hub":
                environment["SPOKEWIRE_PUBLIC_ADDRESS"] = str(wiring.public_address)
                environment["SPOKEWIRE_PUBLIC_ADDRESS6"] = str(wiring.public_address6 or "")
                environment["SPOKEWIRE_OPEN_PORTS"] = " ".join(spec.open_ports)
                environment["SPOKEWIRE_API_PORT"] = str(spec.api_port)
            return daemon_script(spec.role, environment)

        return _describe(machines.create(spec.name, spec.role, spec.nat, boot, spec.family))

    def start(self, name: MachineName) -> None:
        """Switch a machine on."""
        machines = Machines(self._world())
        machines.restart(machines.find(name))

    def shape(self, spec: MachineSpec, existing: Machine | None = None) -> str:
        """Its kind of NAT and its addresses."""
        return _shape(spec.nat, spec.family)

    def destroy(self, name: MachineName, *, keep_address: bool = False) -> None:
        """Remove a machine."""
        world = find_world(self._folder)
        if world is None:
            return
        machines = Machines(world)
        for machine in machines.observe():
            if machine.name == name:
                machines.destroy(machine)

    def sweep(self) -> list[str]:
        """End the world: the kernel removes whatever is left in it."""
        world = find_world(self._folder)
        if world is not None:
            world.stop()
        files.remove_folder(self._folder)
        return ["the lab's first process"] if find_world(self._folder) is not None else []

    def _world(self) -> World:
        world = find_world(self._folder)
        if world is None:
            raise PermanentError(Code.LAB_FAILED, "The lab is not running.", hint="Run: spokewire deploy.")
        return world


def _describe(machine: LabMachine) -> Machine:
    state = MachineState.RUNNING if machine.pid is not None else MachineState.STOPPED
    address, address6 = machine.wiring.public_address, machine.wiring.public_address6
    return Machine(
        name=machine.name,
        role=machine.role,
        state=state if machine.complete else MachineState.INCOMPLETE,
        shape=_shape(machine.wiring.nat, machine.wiring.family),
        public_address=str(address),
        public_address6=None if address6 is None else str(address6),
        status_url=_url(address) if machine.role == "node" else None,
    )


def _shape(nat: Nat, family: Family) -> str:
    return str(nat) if family is Family.IPV4 else f"{nat}, {family}"


def _url(address: IPv4Address | IPv6Address) -> str:
    return f"http://[{address}]:{STATUS_PORT}" if address.version == 6 else f"http://{address}:{STATUS_PORT}"  # noqa: PLR2004
