"""The operator's session with one network: its spec, what it keeps, its providers, its hubs."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spokewire.api.client import Identity, connect
from spokewire.cloud.provider import Machine, MachineState, Provider
from spokewire.deploy.keeper import Keeper
from spokewire.deploy.plan import Observed
from spokewire.errors import SpokewireError
from spokewire.host import clock
from spokewire.host.routes import choose_url
from spokewire.network.documents import Grant
from spokewire.network.names import MachineName
from spokewire.network.roster import Roster, merge
from spokewire.network.spec import NetworkSpec, ProviderName


@dataclass
class Operator:
    """Everything a command of the operator's needs."""

    spec: NetworkSpec
    keeper: Keeper
    providers: Mapping[ProviderName, Provider]
    errors: dict[str, SpokewireError] = field(default_factory=dict)
    """Why a hub could not be asked, by name."""

    def observe_machines(self) -> dict[MachineName, Machine]:
        """Every machine that the providers have."""
        return {machine.name: machine for provider in self.providers.values() for machine in provider.observe()}

    def provider_of(self, name: MachineName) -> Provider:
        """The provider that has a machine, or else the one that is to make it."""
        for provider in self.providers.values():
            if any(machine.name == name for machine in provider.observe()):
                return provider
        for machine in self.spec.machines:
            if machine.name == name:
                return self.providers[machine.provider]
        return self.providers[ProviderName.HOST]

    def hub_urls(self, machines: Mapping[MachineName, Machine]) -> dict[MachineName, str]:
        """Where the APIs of the wanted hubs are, as far as known; of a hub with two addresses the one that we have a route to."""
        return {name: choose_url(urls) for name, urls in self.all_hub_urls(machines).items()}

    def all_hub_urls(self, machines: Mapping[MachineName, Machine]) -> dict[MachineName, tuple[str, ...]]:
        """The same for others, whose routes we do not know: every URL, one for each family."""
        found: dict[MachineName, tuple[str, ...]] = {}
        for hub in self.spec.hubs:
            machine = machines.get(hub.name)
            known = (None, None) if machine is None else (machine.public_address, machine.public_address6)
            addresses = known if hub.address is None else (hub.address,)
            urls = tuple(api_url(address, hub.api_port) for address in addresses if address is not None)
            found |= {hub.name: urls} if urls else {}
        return found

    def identity(self, root: Ed25519PrivateKey) -> Identity:
        """The operator towards a hub."""
        return Identity(root.public_key(), root)

    async def fetch_roster(self, machines: Mapping[MachineName, Machine], root: Ed25519PrivateKey) -> Roster | None:
        """The union of what the hubs hold and what verifies; None if no hub answers. Why not is in `errors`."""
        empty = Roster(root.public_key())
        rosters: list[list[str]] = []

        async def ask(name: MachineName, url: str) -> None:
            try:
                async with connect(url, self.identity(root)) as hub:
                    rosters.append(await hub.fetch_roster())
            except SpokewireError as error:
                self.errors[name] = error

        running = {
            n: u
            for n, u in self.hub_urls(machines).items()
            if n not in machines or machines[n].state is MachineState.RUNNING
        }
        async with asyncio.TaskGroup() as group:
            for name, url in running.items():
                group.create_task(ask(name, url), name=f"ask {name}")
        if not rosters:
            return None
        return merge(empty, (text for documents in rosters for text in documents), clock.wall()).roster

    async def observe(self) -> Observed:
        """Look at everything that a plan is made from; changes nothing."""
        machines = await asyncio.to_thread(self.observe_machines)
        roster, grants = None, dict[MachineName, Grant]()
        if self.keeper.has_key():
            roster = await self.fetch_roster(machines, self.keeper.load_key())
            grants = dict(self.keeper.load_state().grants)
        if roster is not None:
            for member in roster.members(clock.wall()):
                known = grants.get(member.name)
                if known is None or known.issued_at_ms < member.grant.issued_at_ms:
                    grants[member.name] = member.grant
            grants = {name: grant for name, grant in grants.items() if not roster.is_revoked(grant)}
        shapes = {
            m.name: self.providers[m.provider].shape(m) for m in self.spec.machines if m.provider in self.providers
        }
        return Observed(machines, grants, roster, shapes, clock.wall())


def api_url(address: str, port: int) -> str:
    """The URL of the API of a hub at an address."""
    return f"https://[{address}]:{port}" if ":" in address else f"https://{address}:{port}"
