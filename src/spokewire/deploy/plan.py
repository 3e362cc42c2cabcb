"""From what is wanted and what is observed to a plan. Pure and printable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from spokewire.cloud.provider import Machine, MachineState
from spokewire.network.addresses import FIRST_HUB, FIRST_NODE, HUB_ROOM, AddressPlan, assign_numbers
from spokewire.network.documents import AccessRule, Grant, HubPolicy, Settings
from spokewire.network.names import MachineName, NetworkId, natural_order
from spokewire.network.roster import Roster
from spokewire.network.spec import MachineSpec, NetworkSpec, ProviderName


class Verb(StrEnum):
    """What happens to a machine."""

    CREATE = "create"
    REPLACE = "replace"
    START = "start"
    DESTROY = "destroy"
    INVITE = "invite"
    """A host of the operator's own: it joins by itself, with a token."""


@dataclass(frozen=True)
class Action:
    """One thing to do, and why."""

    verb: Verb
    name: MachineName
    role: str
    reason: str
    spec: MachineSpec | None = None
    """None for what is no longer wanted, and whose grants are revoked."""


@dataclass(frozen=True)
class Plan:
    """What a deploy would do."""

    actions: tuple[Action, ...]
    settings_reason: str = ""
    """Why new settings are signed; "" if those in force are right."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.settings_reason and not any(action.verb is not Verb.INVITE for action in self.actions)

    @property
    def is_destructive(self) -> bool:
        """Whether something that exists is lost."""
        return any(action.verb in (Verb.DESTROY, Verb.REPLACE) for action in self.actions)


@dataclass(frozen=True)
class Observed:
    """What a plan is made from. `roster` None: no hub could be asked."""

    machines: Mapping[MachineName, Machine]
    grants: Mapping[MachineName, Grant]
    """The newest known grant of each name, whatever its source."""
    roster: Roster | None
    shapes: Mapping[MachineName, str]
    """What the provider would build for each wanted machine."""
    now: float


def plan_deploy(spec: NetworkSpec, observed: Observed) -> Plan:
    """Plan what makes the observed network the wanted one."""
    room = _host_numbers(spec)
    planned = (_plan_machine(machine, observed, room) for machine in spec.machines)
    actions = [action for action in planned if action is not None]
    wanted = {machine.name for machine in spec.machines}
    gone = [name for name in observed.machines if name not in wanted]
    members = [] if observed.roster is None else observed.roster.members(observed.now)
    roles = {m.name: str(m.grant.role) for m in members} | {m.name: m.role for m in observed.machines.values()}
    gone += [member.name for member in members if member.name not in wanted and member.name not in gone]
    actions += [
        Action(Verb.DESTROY, name, roles[name], "the spec no longer wants it")
        for name in sorted(gone, key=natural_order)
    ]
    actions += [
        Action(Verb.DESTROY, machine.name, machine.role, "it is a host of yours now", machine)
        for machine in spec.machines
        if machine.provider is ProviderName.HOST and machine.name in observed.machines
    ]
    current = None if observed.roster is None else observed.roster.settings
    return Plan(tuple(actions), _settings_reason(spec, current, known=observed.roster is not None, gone=gone))


def plan_removal(name: MachineName) -> Plan:
    """Plan the removal of one node and nothing else: its grant is revoked, then its machine, if it has one, is destroyed."""
    return Plan((Action(Verb.DESTROY, name, "node", "it is removed"),), f"{name} is revoked")


def plan_settings(
    spec: NetworkSpec, network: NetworkId, current: Settings | None, removed: Sequence[MachineName], now: float
) -> Settings:
    """The settings that the spec asks for, newer than the current ones and than any that were forgotten: the version is a time."""
    return Settings(
        network=network,
        version=max(int(now * 1000), 0 if current is None else current.version + 1),
        cidr=spec.cidr,
        relay=spec.relay,
        revoked=frozenset() if current is None else current.revoked,
        removed=({} if current is None else current.removed) | {name: int(now * 1000) for name in removed},
        access=access_rules(spec),
        hubs=hub_policies(spec),
        direct=spec.direct,
    )


def plan_numbers(spec: NetworkSpec, plan: AddressPlan, grants: Mapping[MachineName, Grant]) -> dict[MachineName, int]:
    """Host numbers for every wanted machine; a machine that has one keeps it while it is wanted, in its role."""
    wanted = {machine.name: machine.role for machine in spec.machines}
    room = _host_numbers(spec)
    taken = {n: g.number for n, g in grants.items() if g.role == wanted.get(n) and g.number in room}
    leaving = _find_leaving(spec, grants)
    numbers = assign_numbers(plan, [hub.name for hub in spec.hubs], [node.name for node in spec.nodes], leaving | taken)
    return {name: number for name, number in numbers.items() if name in wanted}


def _find_leaving(spec: NetworkSpec, grants: Mapping[MachineName, Grant]) -> dict[MachineName, int]:
    """The numbers of hubs that are to go, while there are enough others.

    A hub that takes the place of another must not take its address before everybody has left it.
    """
    wanted = {machine.name for machine in spec.machines}
    leaving = {
        name: grant.number
        for name, grant in grants.items()
        if grant.role == "hub" and name not in wanted and FIRST_HUB <= grant.number < FIRST_NODE
    }
    return leaving if len(set(leaving.values())) + len(spec.hubs) <= HUB_ROOM else {}


def hub_policies(spec: NetworkSpec) -> dict[str, HubPolicy]:
    """How hubs are used, as settings carry it: those that are used like any other are left out."""
    policies = {str(hub.name): HubPolicy(weight=hub.weight, drain=hub.drain) for hub in spec.hubs}
    return {name: policy for name, policy in policies.items() if policy != HubPolicy()}


def access_rules(spec: NetworkSpec) -> tuple[AccessRule, ...]:
    """The spec's access tables as settings carry them."""
    return tuple(AccessRule(source=table.source, target=table.target, ports=table.ports) for table in spec.access)


def _host_numbers(spec: NetworkSpec) -> range:
    return range(1, spec.cidr.num_addresses - 1)


def _plan_machine(machine: MachineSpec, observed: Observed, room: range) -> Action | None:
    def act(verb: Verb, reason: str) -> Action:
        return Action(verb, machine.name, machine.role, reason, machine)

    existing, grant = observed.machines.get(machine.name), observed.grants.get(machine.name)
    if machine.provider is ProviderName.HOST:
        reason = _invitation_reason(machine, observed)
        return act(Verb.INVITE, reason) if reason else None
    if existing is None:
        return act(Verb.CREATE, "it does not exist")
    reason = _replacement_reason(machine, existing, grant, observed.shapes.get(machine.name, existing.shape))
    if not reason and grant is not None and grant.number not in room:
        reason = "its address lies outside the address plan, and its token states it"
    if reason:
        return act(Verb.REPLACE, reason)
    if existing.state is MachineState.PENDING:
        return act(Verb.CREATE, "its creation goes on where it was interrupted")
    return act(Verb.START, "it is switched off") if existing.state is MachineState.STOPPED else None


def _invitation_reason(machine: MachineSpec, observed: Observed) -> str:
    """Why a host of the operator's own needs a token; "" if it has joined with one that still tells the truth."""
    members = [] if observed.roster is None else observed.roster.members(observed.now)
    joined = next((member.grant for member in members if member.name == machine.name), None)
    if joined is None:
        return "it is a host of yours: it joins by itself, with a token"
    return "" if _states(joined, machine) else "its tags or its role changed: it needs a new token"


def _replacement_reason(machine: MachineSpec, existing: Machine, grant: Grant | None, shape: str) -> str:
    """Why an existing machine must be made anew; "" if it need not."""
    if existing.state is MachineState.INCOMPLETE:
        return "its creation was interrupted"
    if existing.shape != shape:
        return f"it was built as {existing.shape}, wanted is {shape}"
    if grant is None:
        return "no grant is known for it: it cannot be verified"
    if not _states(grant, machine):
        return "its tags or its role changed, which its token states"
    return ""


def _states(grant: Grant, machine: MachineSpec) -> bool:
    return set(grant.tags) == set(machine.tags) and grant.role == machine.role


def _settings_reason(spec: NetworkSpec, current: Settings | None, *, known: bool, gone: Sequence[str]) -> str:
    if current is None:
        return "the network has no settings yet" if known else "the hub's settings are not known yet"
    if gone:
        return f"{', '.join(gone)}: no longer wanted, and revoked"
    differs = [
        word
        for word, old, new in (
            ("address plan", current.cidr, spec.cidr),
            ("relay mode", current.relay, spec.relay),
            ("access rules", current.access, access_rules(spec)),
            ("weights and drains of hubs", current.hubs, hub_policies(spec)),
            ("direct paths", current.direct, spec.direct),
        )
        if old != new
    ]
    return f"changed: {', '.join(differs)}" if differs else ""
