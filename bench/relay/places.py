"""Machines of a lab as a benchmark uses them: where a command runs, and what is started there."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.network import Network, network
from spokewire.deploy.folder import lab_folder
from spokewire.lab.machine import LabMachine, Machines
from spokewire.lab.world import World, find_world, start_world
from spokewire.network.names import MachineName
from spokewire.network.spec import Nat

NAMES = ("hub-1", "node-1", "node-2")
RUN_TIMEOUT_S = 300
DEPLOY_TIMEOUT_S = 600
"""It takes seconds, but minutes in an emulated machine."""


@dataclass(frozen=True)
class Place:
    """One machine: a hub or a node, its processes and its cable."""

    world: World
    machine: LabMachine

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.machine.name

    @property
    def public_address(self) -> str:
        """Its address in the lab's internet; none of the machines is behind NAT."""
        return str(self.machine.wiring.public_address)

    def enter(self, *command: str) -> list[str]:
        """The command line that runs a command inside."""
        return Machines(self.world).enter(self.machine, list(command))

    def run(self, *command: str, stdin: str = "") -> str:
        """Run a command inside that must succeed."""
        done = subprocess.run(
            self.enter(*command), input=stdin, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"{self.name}: {command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, log: str, *command: str) -> None:
        """Start a command inside that goes on until the machine is removed; its output is kept in the machine's /run.

        In a session of its own, as a service manager starts it and as the agents start theirs: the scheduler shares the processors among sessions
        (sched_autogroup), so processes of one session hand packets to each other with a quarter of the context switches.
        """
        self.run("sh", "-c", f'exec setsid "$@" </dev/null >/run/{log}.log 2>&1 &', "sh", *command)

    def received_bytes(self) -> int:
        """What arrived by the uplink since the machine was switched on."""
        lines = self.run("cat", "/proc/net/dev").splitlines()
        return next(int(line.split(":")[1].split()[0]) for line in lines if line.strip().startswith("eth0:"))


Places = dict[str, Place]


@contextmanager
def deployed(relay: str, names: Sequence[str] = NAMES) -> Iterator[Places]:
    """A network of hubs and two nodes without NAT, deployed by the command line as by a user; removed at the end, whatever happened."""
    with network(2) as lab:
        spec = lab.folder / "spokewire.toml"
        text = spec.read_text().replace('"port-restricted"', '"none"')
        lines = [f'relay = "{relay}"' if line.startswith("relay =") else line for line in text.splitlines()]
        lines += [f'\n[[hubs]]\nname = "{name}"\nprovider = "lab"' for name in names if name.startswith("hub")][1:]
        spec.write_text("\n".join(lines) + "\n")
        print(f"deploying a {relay} network", flush=True)
        words = ("deploy", "--yes", "--timeout", str(DEPLOY_TIMEOUT_S))
        subprocess.run([sys.executable, "-m", "spokewire", *words], cwd=lab.folder, check=True)
        yield _find(lab, names)


@contextmanager
def bare(names: Sequence[str] = NAMES) -> Iterator[Places]:
    """The same machines with nothing on them, in a world of their own that ends with us."""
    with tempfile.TemporaryDirectory(prefix="spokewire-bench-") as folder:
        world = start_world(Path(folder) / "lab", dies_with_us=True)
        try:
            machines = Machines(world)
            yield {
                name: Place(world, machines.create(MachineName(name), name.partition("-")[0], Nat.NONE, None))
                for name in names
            }
        finally:
            world.stop()


def _find(lab: Network, names: Sequence[str]) -> Places:
    world = find_world(lab_folder(lab.folder / "spokewire.toml"))
    if world is None:
        raise SystemExit("the lab is gone")
    machines = Machines(world)
    return {name: Place(world, machines.find(name)) for name in names}
