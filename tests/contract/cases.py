"""The providers that must keep the promises of spokewire.cloud.provider, each with what a test needs beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import httpx

from spokewire.cloud.phala.compose import Marker, join_agent
from spokewire.cloud.provider import Provider
from spokewire.host import processes
from spokewire.lab.provider import LabProvider
from spokewire.lab.world import start_world
from spokewire.network.names import MachineName, NetworkId
from spokewire.network.spec import MachineSpec, Nat, ProviderName
from tests.builders import NETWORK, make_grant, make_token
from tests.component.phala import IMAGE, Cloud, make_cvm_spec, open_cloud
from tests.emulators.authority import Authority
from tests.emulators.digitalocean.case import Case as DigitalOcean
from tests.emulators.digitalocean.case import make_hub, open_case
from tests.emulators.digitalocean.emulator import TOKEN


class Subject(Protocol):
    """One provider, empty at first."""

    names: tuple[str, str, str]
    """What machines of it may be called."""
    networks: frozenset[NetworkId]
    """What it says of whose machines there are, once it has one of ours: nothing where there can be nobody else's."""

    def provider(self) -> Provider:
        """The provider, as a new process has it."""
        ...

    def spec(self, name: str) -> MachineSpec:
        """A wanted machine."""
        ...

    def other_spec(self, name: str) -> MachineSpec:
        """The same machine, wanted so differently that it has to be made anew."""
        ...

    def plant(self) -> None:
        """Put machines there that look like ours and are somebody else's."""
        ...

    def everything(self) -> list[str]:
        """What machines there are, whoever's."""
        ...

    def creations(self) -> int | None:
        """How often a machine was asked for; None where nobody counts."""
        ...


def make_machine_token(name: str) -> str:
    """Its token."""
    return make_token(make_grant(name))


@dataclass
class DigitalOceanSubject:
    """Against its emulator."""

    case: DigitalOcean
    names = ("hub-1", "hub-2", "hub-3")
    networks = frozenset({NETWORK})

    def provider(self) -> Provider:
        """A client of the emulator."""
        return self.case.provider()

    def spec(self, name: str) -> MachineSpec:
        """A hub."""
        return make_hub(name=MachineName(name))

    def other_spec(self, name: str) -> MachineSpec:
        """With another guest system."""
        return make_hub(name=MachineName(name), os_image="debian-12-x64")

    def plant(self) -> None:
        """Droplets: one with our name and no tag of ours, one with a tag and another name."""
        body = {"region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}
        ours = ["spokewire", "spokewire:demo", "spokewire:demo:hub:hub-3"]
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=self.case.url, verify=self.case.authority.client_context()) as client:
            for name, tags in (("spokewire-demo-hub-3", ["web"]), ("spokewire-demo2-hub-3", ours)):
                answer = client.post("/v2/droplets", headers=headers, json=body | {"name": name, "tags": tags})
                assert answer.status_code == 202, answer.text
        self.case.swift.sleep(60)

    def everything(self) -> list[str]:
        """Droplets."""
        return self.case.alive()

    def creations(self) -> int | None:
        """Those that were sent."""
        return self.case.creates()


@dataclass
class PhalaSubject:
    """Against its emulator."""

    cloud: Cloud
    names = ("node-1", "node-2", "node-3")
    networks = frozenset({NETWORK})

    def provider(self) -> Provider:
        """A client of the emulator."""
        return self.cloud.provider()

    def spec(self, name: str) -> MachineSpec:
        """A node."""
        return make_cvm_spec(name)

    def other_spec(self, name: str) -> MachineSpec:
        """With a larger disk."""
        return make_cvm_spec(name, disk_gb=40)

    def plant(self) -> None:
        """CVMs: one with our name that runs something else, one with our marker and another name."""
        self.cloud.emulator.plant("spokewire-demo-node-3", "services: {web: {image: nginx}}")
        compose = join_agent(None, "", IMAGE, Marker("demo", "k" * 43))
        self.cloud.emulator.plant("spokewire-demo2-node-3", compose)

    def everything(self) -> list[str]:
        """CVMs."""
        return [cvm.name for cvm in self.cloud.emulator.living()]

    def creations(self) -> int | None:
        """Commits."""
        return self.cloud.commits


@dataclass
class LabSubject:
    """In a world of its own."""

    folder: Path
    names = ("node-1", "node-2", "node-3")
    networks = frozenset[NetworkId]()

    def provider(self) -> Provider:
        """The lab of the folder."""
        return LabProvider(self.folder)

    def spec(self, name: str) -> MachineSpec:
        """A node."""
        return MachineSpec(MachineName(name), "node", ProviderName.LAB, nat=Nat.PORT_RESTRICTED)

    def other_spec(self, name: str) -> MachineSpec:
        """Behind another router."""
        return replace(self.spec(name), nat=Nat.SYMMETRIC)

    def plant(self) -> None:
        """Nothing: a lab is nobody else's."""

    def everything(self) -> list[str]:
        """Its machines."""
        return [machine.name for machine in self.provider().observe()]

    def creations(self) -> int | None:
        """Nobody counts."""
        return None


@contextmanager
def open_subject(kind: str, authority: Authority, folder: Path) -> Iterator[Subject]:
    """A provider by its name, until the block ends."""
    match kind:
        case "digitalocean":
            with open_case(authority) as case:
                yield DigitalOceanSubject(case)
        case "phala":
            with open_cloud(authority, folder) as cloud:
                yield PhalaSubject(cloud)
        case _:
            start_world(folder / "lab", dies_with_us=True)
            try:
                yield LabSubject(folder / "lab")
            finally:
                LabProvider(folder / "lab").sweep()
                # A command would end here and leave its children to the system; a test run goes on and has to bury them.
                for child in list(processes._children.values()):
                    child.wait(10)
