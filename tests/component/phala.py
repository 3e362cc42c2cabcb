"""A provider of CVMs beside the emulated Phala Cloud that it talks to. Time passes only when somebody sleeps."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.types import Receive, Scope, Send

from spokewire.cloud.http import Secret
from spokewire.cloud.phala.api import Api
from spokewire.cloud.phala.credentials import Access
from spokewire.cloud.phala.provider import Making, PhalaProvider
from spokewire.network.cloudspec import CvmSpec
from spokewire.network.keys import format_public_key
from spokewire.network.names import MachineName
from spokewire.network.spec import MachineSpec, ProviderName
from tests.builders import ROOT, make_grant, make_token
from tests.emulators.authority import Authority
from tests.emulators.clients import Mortal, SwiftClock
from tests.emulators.machines import NullCvms
from tests.emulators.phala.emulator import KEY, PhalaEmulator
from tests.emulators.serve import serve

IMAGE = "registry.example.com/spokewire@sha256:" + "a" * 64
ROOT_KEY = format_public_key(ROOT.public_key())


@dataclass
class Cloud:
    """The emulator, and what is needed to talk to it."""

    emulator: PhalaEmulator
    clock: SwiftClock
    backend: NullCvms
    url: str
    authority: Authority
    folder: Path
    said: list[str] = field(default_factory=list)
    opened: list[Api] = field(default_factory=list)

    def api(self, dies_after: int = 0, key: str = KEY) -> Api:
        """A client, which may be killed after so many requests."""
        transport = Mortal(self.authority, dies_after)
        self.opened.append(
            Api(Access(f"{self.url}/api/v1", Secret(key)), clock=self.clock.clock(), transport=transport)
        )
        return self.opened[-1]

    def provider(
        self, *, dies_after: int = 0, key: str = KEY, network: str = "demo", root_key: str | None = ROOT_KEY
    ) -> PhalaProvider:
        """A provider as a new process has it."""
        making = Making(network, IMAGE, self.folder, root_key)
        return PhalaProvider(making, lambda: self.api(dies_after, key))

    def create(self, name: str = "node-1", provider: PhalaProvider | None = None, **changes: Any) -> None:
        """Make one machine."""
        (provider or self.provider()).create(make_cvm_spec(name, **changes), make_node_token(name), self.said.append)

    @property
    def commits(self) -> int:
        """How often a machine was asked for."""
        return len(self.emulator.calls("POST", "/api/v1/cvms"))

    @property
    def placed(self) -> dict[str, str]:
        """On which host each CVM is."""
        return {cvm.name: cvm.made_from.host.name for cvm in self.emulator.living()}


def make_cvm_spec(name: str = "node-1", **changes: Any) -> MachineSpec:
    """A wanted node."""
    cvm = CvmSpec(**changes)
    return MachineSpec(MachineName(name), "node", ProviderName.PHALA, cvm=cvm)


def make_node_token(name: str = "node-1") -> str:
    """Its token, which is valid at the swift clock's time."""
    return make_token(make_grant(name))


class Stage:
    """One server for many clouds after another: what answers is the newest."""

    def __init__(self) -> None:
        self.current: PhalaEmulator | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if self.current is not None:
            await self.current(scope, receive, send)


OpenCloud = Callable[[Path], AbstractContextManager[Cloud]]


@contextmanager
def open_stage(authority: Authority) -> Iterator[OpenCloud]:
    """Serve until the block ends; gives what opens one fresh cloud after another. What broke the vendor's description fails the test."""
    stage = Stage()
    with serve(stage, authority) as served:

        @contextmanager
        def open_one(folder: Path) -> Iterator[Cloud]:
            clock, backend = SwiftClock(), NullCvms()
            stage.current = emulator = PhalaEmulator(backend, now=clock.read)
            cloud = Cloud(emulator, clock, backend, served.url, authority, folder)
            try:
                yield cloud
            finally:
                for api in cloud.opened:
                    api.close()
            assert emulator.violations == [], "\n".join(emulator.violations)

        yield open_one


@contextmanager
def open_cloud(authority: Authority, folder: Path) -> Iterator[Cloud]:
    """Serve one cloud until the block ends."""
    with open_stage(authority) as open_one, open_one(folder) as cloud:
        yield cloud
