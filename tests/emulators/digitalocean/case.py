"""A DigitalOcean for one test: the emulator, served, and providers that speak to it in a time of their own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.types import Receive, Scope, Send

from spokewire.cloud.digitalocean.opening import ENDPOINT_VARIABLE, open_provider
from spokewire.cloud.digitalocean.provider import DigitalOceanProvider
from spokewire.network.spec import MachineSpec
from spokewire.network.specfile import parse_spec
from tests.emulators.authority import Authority
from tests.emulators.clients import Mortal, SwiftClock
from tests.emulators.digitalocean.emulator import TOKEN, DigitalOcean
from tests.emulators.digitalocean.state import Switches
from tests.emulators.machines import NullDroplets
from tests.emulators.serve import serve

SPEC_TEXT = """
[network]
name = "demo"

[release]
wheel = "https://example.com/spokewire-0.1.0-py3-none-any.whl"
wheel_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"

[[hubs]]
name = "hub-1"
provider = "digitalocean"
regions = ["fra1", "ams3"]
sizes = ["s-1vcpu-1gb", "s-1vcpu-2gb"]
open_ports = ["tcp/22"]
"""


def make_hub(**changes: Any) -> MachineSpec:
    """The hub of that spec, with changes to itself or to its droplet."""
    hub = parse_spec(SPEC_TEXT).hubs[0]
    assert hub.droplet is not None
    own = {key: value for key, value in changes.items() if key in ("name", "api_port", "open_ports")}
    rest = {key: value for key, value in changes.items() if key not in own}
    return replace(hub, droplet=replace(hub.droplet, **rest), **own)


@dataclass
class Case:
    """One account at DigitalOcean, empty at first."""

    emulator: DigitalOcean
    url: str
    authority: Authority
    swift: SwiftClock
    machines: NullDroplets
    environment: dict[str, str] = field(default_factory=dict)
    transports: list[Mortal] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def switches(self) -> Switches:
        """What goes wrong."""
        return self.emulator.switches

    def provider(
        self, *, dies_after: int = 0, environment: Mapping[str, str] | None = None, text: str = SPEC_TEXT
    ) -> DigitalOceanProvider:
        """A new process, so to speak; it may die after its n-th request."""
        transport = Mortal(self.authority, dies_after)
        self.transports.append(transport)
        known = {ENDPOINT_VARIABLE: self.url, "DIGITALOCEAN_TOKEN": TOKEN} if environment is None else environment
        return open_provider(
            parse_spec(text), {ENDPOINT_VARIABLE: self.url, **known}, clock=self.swift.clock(), transport=transport
        )

    def say(self, words: str) -> None:
        """Keep the progress."""
        self.said.append(words)

    def alive(self) -> list[str]:
        """The names of all droplets that exist."""
        droplets = self.emulator.droplets
        return [d.name for d in droplets.every.values() if not droplets.is_gone(d, self.swift.now)]

    def creates(self) -> int:
        """How often a droplet was asked for."""
        return len(self.emulator.calls("POST", "/v2/droplets"))


class Stage:
    """One server for many accounts after another: what answers is the newest."""

    def __init__(self) -> None:
        self.current = DigitalOcean(SwiftClock().read)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        await self.current(scope, receive, send)


@contextmanager
def open_stage(authority: Authority) -> Iterator[Callable[[], AbstractContextManager[Case]]]:
    """Serve until the block ends; gives what opens one fresh account after another."""
    stage = Stage()
    with serve(stage, authority) as served:

        @contextmanager
        def open_account() -> Iterator[Case]:
            swift, machines = SwiftClock(), NullDroplets()
            stage.current = emulator = DigitalOcean(swift.read, machines)
            case = Case(emulator, served.url, authority, swift, machines)
            try:
                yield case
            finally:
                for transport in case.transports:
                    transport.close()
            # Both sides have kept to the vendor's description.
            assert emulator.violations == []

        yield open_account


@contextmanager
def open_case(authority: Authority) -> Iterator[Case]:
    """Serve one account until the block ends."""
    with open_stage(authority) as open_account, open_account() as case:
        yield case
