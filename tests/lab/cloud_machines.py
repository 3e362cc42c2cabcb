"""Quick machines behind the emulated clouds: machines of the lab, which carry out what the clouds give them.

A droplet has a public address and does what its user_data says: files, commands, units, the install script as it is, which finds the release installed
already. A CVM is behind a NAT router and runs our service of its compose text as a process, with the environment that only it can decrypt.
"""

import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from spokewire.lab.machine import LabMachine, Machines
from spokewire.lab.plan import STATUS_PORT, Wiring
from spokewire.lab.world import World
from spokewire.network.names import MachineName
from spokewire.network.spec import Nat

FIRST_BOOT = Path(__file__).with_name("first_boot.py")
_COVER = """
set -eu
for place in etc opt usr/local var/lib; do
  mkdir -p /run/disk/root/$place /run/disk/work/$place
  mount -n -t overlay overlay -o lowerdir=/$place,upperdir=/run/disk/root/$place,workdir=/run/disk/work/$place /$place
done
mkdir -p /run/disk/bin
"""
"""What a machine writes goes to its own disk, and covers what this computer has there."""
_INSTALLED = """
mkdir -p /opt/spokewire/.venv/bin
cp /run/disk/bin/spokewire /opt/spokewire/.venv/bin/spokewire
echo {sha256} > /opt/spokewire/installed
"""
"""As `pip install` of the release would leave it."""


class LabDroplets:
    """A `DropletBackend`. The release of this SHA-256 counts as installed: it is this very code."""

    def __init__(self, world: World, wheel_sha256: str) -> None:
        self._machines, self._sha256 = _Bare(world), wheel_sha256

    def boot(self, name: str, user_data: str) -> str:
        """Start a machine that carries out its user_data; return its public address."""

        def script(wiring: Wiring) -> str:
            installed = _INSTALLED.format(sha256=self._sha256)
            boot = _call("droplet", "/run/disk/user-data")
            return _prepare({"user-data": user_data}) + installed + boot

        return str(self._machines.make(name, Nat.NONE, script).wiring.public_address)

    def destroy(self, name: str) -> None:
        """Remove a machine."""
        self._machines.remove(name)


class LabCvms:
    """A `CvmBackend`."""

    def __init__(self, world: World, nat: Nat = Nat.PORT_RESTRICTED) -> None:
        self._machines, self._nat = _Bare(world), nat

    def boot(self, name: str, compose: str, env: Mapping[str, str]) -> None:
        """Start a machine that runs our service of this compose text; one that exists is started again, with its disk."""
        existing = self._machines.find(name)
        if existing is not None:
            self._machines.restart(existing)
            return

        def script(wiring: Wiring) -> str:
            files = {"docker-compose.yml": compose, "env.json": json.dumps(dict(env))}
            return _prepare(files) + _call("cvm", "/run/disk/docker-compose.yml", "/run/disk/env.json")

        self._machines.make(name, self._nat, script)

    def state(self, name: str) -> str:
        """Whether its power is on."""
        found = self._machines.find(name)
        return "running" if found is not None and found.pid is not None else "stopped"

    def status_url(self, name: str) -> str | None:
        """Its router lets port 8000 through, as the gateway does."""
        found = self._machines.find(name)
        return None if found is None else f"http://{found.wiring.public_address}:{STATUS_PORT}"

    def destroy(self, name: str) -> None:
        """Remove a machine with its disk."""
        self._machines.remove(name)


class _Bare:
    """Machines that the network under test did not make, as far as its lab knows."""

    def __init__(self, world: World) -> None:
        self._machines = Machines(world)

    def find(self, name: str) -> LabMachine | None:
        return next((machine for machine in self._machines.observe() if machine.name == name), None)

    def make(self, name: str, nat: Nat, script: Callable[[Wiring], str]) -> LabMachine:
        return self._machines.create(MachineName(name), "bare", nat, script)

    def restart(self, machine: LabMachine) -> None:
        self._machines.restart(machine)

    def remove(self, name: str) -> None:
        found = self.find(name)
        if found is not None:
            self._machines.destroy(found)


def _prepare(files: Mapping[str, str]) -> str:
    """Shell commands that cover what this computer has, give the machine its files, and its commands `spokewire` and `systemctl`."""
    commands = {
        "bin/spokewire": f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m spokewire "$@"\n',
        "bin/systemctl": f'#!/bin/sh\nexec {_python()} systemctl "$@"\n',
    }
    written = [
        f"[ -e /run/disk/{name} ] || printf %s {shlex.quote(text)} > /run/disk/{name}"
        for name, text in {**files, **commands}.items()
    ]
    cache = os.environ.get("PYTHONPYCACHEPREFIX", "")
    kept = [f"export PYTHONPYCACHEPREFIX={shlex.quote(cache)}"] if cache else []
    path = f"export PATH=/run/disk/bin:{os.environ['PATH']}:/usr/sbin:/sbin"
    return "\n".join([_COVER, *written, "chmod 755 /run/disk/bin/*", path, *kept, ""])


def _call(*words: str) -> str:
    return f"exec {_python()} {shlex.join(words)}\n"


def _python() -> str:
    return shlex.join([sys.executable, str(FIRST_BOOT)])
