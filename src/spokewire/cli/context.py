"""What every command of the operator's needs: the spec, the operator's session, and the way into the lab. Each part is loaded when it is first used."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from spokewire.cli import entry
from spokewire.cli.output import Output
from spokewire.deploy.folder import lab_folder
from spokewire.lab.world import INSIDE, find_world, start_world

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from spokewire.deploy.keeper import Keeper
    from spokewire.deploy.operator import Operator
    from spokewire.network.spec import NetworkSpec


class Context:
    """The spec at a path, and what belongs to it."""

    def __init__(self, config: Path, *, as_json: bool = False) -> None:
        self.path = config.absolute()
        self.lab_folder = lab_folder(self.path)
        self.output = Output(as_json=as_json)
        self._spec: NetworkSpec | None = None

    @cached_property
    def keeper(self) -> "Keeper":
        """What the operator keeps."""
        from spokewire.deploy.keeper import Keeper

        return Keeper(self.path)

    @property
    def spec(self) -> "NetworkSpec":
        """The parsed spec."""
        from spokewire.deploy.editor import load_spec

        if self._spec is None:
            self._spec = load_spec(self.path)
        return self._spec

    def reload(self) -> None:
        """Forget the parsed spec: the file was changed."""
        self._spec = None

    def operator(self, root: "Ed25519PrivateKey | None" = None) -> "Operator":
        """The operator's session; `root` is a root key that is not stored yet."""
        from spokewire.cloud.waiting import Clock, Patience
        from spokewire.deploy.clouds import open_providers
        from spokewire.deploy.operator import Operator
        from spokewire.network.keys import derive_network_id, format_public_key

        if root is None and self.keeper.has_key():
            root = self.keeper.load_key()
        public, patience = None if root is None else root.public_key(), Patience()
        providers = open_providers(
            self.spec,
            path=self.path,
            environment=os.environ,
            root_key=None if public is None else format_public_key(public),
            remembered=self.keeper.load_state().providers,
            clock=Clock(sleep=patience.sleep),
        )
        network = None if public is None else derive_network_id(public)
        return Operator(self.spec, self.keeper, providers, network, patience=patience)

    def enter_lab(self, *, start: bool = False) -> None:
        """Go on inside the lab if the network has machines there, where its hubs can be reached. Does not return if it enters.

        Outside without a running lab this returns: there is nothing to reach. With `start` a lab is started first.
        """
        if os.environ.get(INSIDE) == str(self.lab_folder):
            return
        world = find_world(self.lab_folder)
        if world is None and start and any(machine.provider == "lab" for machine in self.spec.machines):
            with self.changing():
                world = find_world(self.lab_folder) or start_world(self.lab_folder)
        if world is not None:
            entry.enter(world)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock of commands that change the network."""
        lock = self.keeper.lock()
        lock.acquire()
        try:
            yield
        finally:
            lock.release()
