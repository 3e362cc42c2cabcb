"""The operator's session with one network: its spec, what it keeps, its providers, its hubs."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spokewire.api.client import Identity, connect
from spokewire.cloud.provider import Machine, MachineState, Price, Provider
from spokewire.cloud.waiting import Patience
from spokewire.deploy.keeper import Keeper
from spokewire.deploy.plan import Observed, Plan, Verb
from spokewire.errors import Code, InputError, SpokewireError, TemporaryError
from spokewire.host import clock
from spokewire.host.routes import choose_url
from spokewire.network.documents import Grant
from spokewire.network.names import MachineName, NetworkId
from spokewire.network.roster import Roster, merge
from spokewire.network.spec import MachineSpec, NetworkSpec, ProviderName

NEAR = (ProviderName.LAB, ProviderName.HOST)
"""Those that are no clouds: nobody counts requests, and nothing is in somebody else's hands."""
LIST_AGE_S = 10.0
"""How old a cloud's list of machines may be while a deploy waits for them."""


@dataclass
class Operator:
    """Everything a command of the operator's needs."""

    spec: NetworkSpec
    keeper: Keeper
    providers: Mapping[ProviderName, Provider]
    network: NetworkId | None = None
    """The network's id; None where there is no root key yet, or none any more."""
    errors: dict[str, SpokewireError] = field(default_factory=dict)
    """Why a hub could not be asked, by name."""
    patience: Patience = field(default_factory=Patience)
    """How long the providers wait in all."""
    _listed: dict[ProviderName, tuple[float, Sequence[Machine]]] = field(default_factory=dict)

    @property
    def has_clouds(self) -> bool:
        """Whether there may be things that are no machines, and of which nobody here knows."""
        return any(name not in NEAR for name in self.providers)

    def observe_machines(self, *, fresh: bool = True) -> dict[MachineName, Machine]:
        """Every machine that the providers have. Unless it must be fresh, a cloud's list may be `LIST_AGE_S` old: clouds count requests."""
        return {machine.name: machine for name in self.providers for machine in self._list(name, fresh=fresh)}

    def provider_of(self, name: MachineName) -> Provider:
        """The provider that has a machine, or else the one that is to make it."""
        for provider in self.providers:
            if any(machine.name == name for machine in self._list(provider, fresh=False)):
                return self.providers[provider]
        for machine in self.spec.machines:
            if machine.name == name:
                return self.providers[machine.provider]
        return self.providers[ProviderName.HOST]

    def _list(self, name: ProviderName, *, fresh: bool) -> Sequence[Machine]:
        is_cloud = name not in NEAR
        if is_cloud and not fresh and name in self._listed:
            listed_at, machines = self._listed[name]
            if clock.monotonic() - listed_at < LIST_AGE_S:
                return machines
        try:
            machines = self.providers[name].observe()
        except TemporaryError:
            # Whoever only waits for machines can go on with what was seen before.
            if fresh or name not in self._listed:
                raise
            return self._listed[name][1]
        self._listed[name] = clock.monotonic(), machines
        return machines

    def forget_list(self, name: ProviderName) -> None:
        """A provider's machines have changed: its list is out of date."""
        if name in self._listed:
            self._listed[name] = -math.inf, self._listed[name][1]

    def check(self, plan: Plan) -> None:
        """Ask each provider whether what the plan makes can be made, before anything is."""
        for name, provider in self.providers.items():
            wanted = [spec for spec in _list_made(plan) if spec.provider is name]
            provider.check(wanted)
        self.refuse_strangers(plan)

    def refuse_strangers(self, plan: Plan) -> None:
        """Two networks of one name in one account would share names of machines: the second is not begun."""
        for name in dict.fromkeys(spec.provider for spec in _list_made(plan)):
            strangers = self.providers[name].find_networks() - {self.network}
            if not strangers:
                continue
            raise InputError(
                Code.NAME_TAKEN,
                f"The account at {name} has a network {self.spec.name} of another root key ({', '.join(sorted(strangers))}).",
                hint="Nothing was made. Give yours another name; or, if it is yours and its root key is lost, remove it: spokewire destroy.",
            )

    def find_networks(self) -> frozenset[NetworkId]:
        """The ids of all networks of this name that have machines in the clouds."""
        return frozenset[NetworkId]().union(*(provider.find_networks() for provider in self.providers.values()))

    def find_prices(self, plan: Plan) -> dict[MachineName, Price]:
        """What the machines that the plan makes will cost, where they cost something."""
        return self._ask_prices(dict.fromkeys(_list_made(plan)))

    def find_costs(self) -> dict[MachineName, Price]:
        """What the machines cost that exist and are wanted, where they cost something; nothing where no list could be read."""
        try:
            machines = self.observe_machines(fresh=False)
            wanted = [spec for spec in self.spec.machines if spec.name in machines and spec.provider not in NEAR]
            return self._ask_prices({spec: machines[spec.name] for spec in wanted})
        except SpokewireError:
            return {}

    def _ask_prices(self, machines: Mapping[MachineSpec, Machine | None]) -> dict[MachineName, Price]:
        """Ask once for all machines that are made from the same: clouds count requests."""
        known: dict[tuple[object, ...], Price | None] = {}
        found: dict[MachineName, Price | None] = {}
        for spec, machine in machines.items():
            kind = (spec.provider, spec.droplet, spec.cvm, None if machine is None else machine.shape)
            if kind not in known:
                known[kind] = self.providers[spec.provider].price(spec, machine)
            found[spec.name] = known[kind]
        return {name: price for name, price in found.items() if price is not None}

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
            m.name: self.providers[m.provider].shape(m, machines.get(m.name))
            for m in self.spec.machines
            if m.provider in self.providers
        }
        return Observed(machines, grants, roster, shapes, clock.wall())


def _list_made(plan: Plan) -> list[MachineSpec]:
    return [a.spec for a in plan.actions if a.spec is not None and a.verb in (Verb.CREATE, Verb.REPLACE)]


def api_url(address: str, port: int) -> str:
    """The URL of the API of a hub at an address."""
    return f"https://[{address}]:{port}" if ":" in address else f"https://{address}:{port}"
