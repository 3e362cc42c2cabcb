"""What every command of the operator's needs: the spec, the operator's session, and the way into the lab."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spokewire.cli.options import FOLDER
from spokewire.cli.output import Output
from spokewire.cloud.host import HostProvider
from spokewire.cloud.provider import Provider
from spokewire.deploy.editor import load_spec
from spokewire.deploy.keeper import Keeper
from spokewire.deploy.operator import Operator
from spokewire.lab.provider import LabProvider
from spokewire.lab.world import INSIDE, become, find_world, start_world
from spokewire.network.spec import NetworkSpec, ProviderName


class Context:
    """The spec at a path, and what belongs to it."""

    def __init__(self, config: Path, *, as_json: bool = False) -> None:
        self.path = config.absolute()
        self.output = Output(as_json=as_json)
        self.keeper = Keeper(self.path)
        self._spec: NetworkSpec | None = None

    @property
    def spec(self) -> NetworkSpec:
        """The parsed spec."""
        if self._spec is None:
            self._spec = load_spec(self.path)
        return self._spec

    def reload(self) -> None:
        """Forget the parsed spec: the file was changed."""
        self._spec = None

    def operator(self) -> Operator:
        """The operator's session."""
        providers: dict[ProviderName, Provider] = {
            ProviderName.LAB: LabProvider(self.keeper.lab_folder),
            ProviderName.HOST: HostProvider(),
        }
        return Operator(self.spec, self.keeper, providers)

    def enter_lab(self, *, start: bool = False) -> None:
        """Go on inside the lab if the network has machines there, where its hubs can be reached. Does not return if it enters.

        Outside without a running lab this returns: there is nothing to reach. With `start` a lab is started first.
        """
        if os.environ.get(INSIDE) == str(self.keeper.lab_folder):
            return
        world = find_world(self.keeper.lab_folder)
        if world is None and start and any(machine.provider is ProviderName.LAB for machine in self.spec.machines):
            with self.changing():
                world = find_world(self.keeper.lab_folder) or start_world(self.keeper.lab_folder)
        if world is not None:
            sys.stdout.flush()
            become(world, [sys.executable, "-m", "spokewire", *sys.argv[1:]], {FOLDER: str(Path.cwd())})

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock of commands that change the network."""
        lock = self.keeper.lock()
        lock.acquire()
        try:
            yield
        finally:
            lock.release()
