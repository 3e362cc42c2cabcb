"""A plan carried out leaves nothing to plan, from whatever state of the world: deploying again changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from spokewire.cloud.provider import Machine, MachineState
from spokewire.deploy.plan import Observed, Plan, Verb, plan_deploy, plan_numbers, plan_settings
from spokewire.network.addresses import AddressPlan, derive_ula
from spokewire.network.documents import Grant, sign
from spokewire.network.names import MachineName
from spokewire.network.roster import Roster, merge
from spokewire.network.spec import MachineSpec, NetworkSpec, ProviderName
from spokewire.network.specfile import parse_spec
from tests.builders import NETWORK, NOW, ROOT, make_grant, make_record


@dataclass
class Cloud:
    """A world in which every action succeeds. It knows nothing of plans but their verbs."""

    machines: dict[MachineName, Machine] = field(default_factory=dict)
    grants: dict[MachineName, Grant] = field(default_factory=dict)
    roster: Roster | None = None
    minted: int = 0

    def observe(self, spec: NetworkSpec) -> Observed:
        wanted = {machine.name: shape(machine) for machine in spec.machines if machine.provider is ProviderName.LAB}
        members = [] if self.roster is None else self.roster.members(NOW)
        newest = {member.name: member.grant for member in members} | self.grants
        known = {
            name: grant for name, grant in newest.items() if self.roster is None or not self.roster.is_revoked(grant)
        }
        return Observed(dict(self.machines), known, self.roster, wanted, NOW)

    def deploy(self, spec: NetworkSpec) -> Plan:
        observed = self.observe(spec)
        plan = plan_deploy(spec, observed)
        numbers = plan_numbers(spec, AddressPlan(spec.cidr, derive_ula(NETWORK)), observed.grants)
        assert len(set(numbers.values())) == len(spec.machines)
        documents = [] if self.roster is None else self.roster.documents()
        gone = [action.name for action in plan.actions if action.verb is Verb.DESTROY and action.spec is None]
        for action in plan.actions:
            if action.verb is Verb.DESTROY:
                self.machines.pop(action.name, None)
            elif action.verb is Verb.START:
                self.machines[action.name] = replace(self.machines[action.name], state=MachineState.RUNNING)
            elif action.spec is not None:
                documents.append(self._make(action.spec, numbers))
        if plan.settings_reason:
            self.minted += 1
            current = None if self.roster is None else self.roster.settings
            documents.append(sign(plan_settings(spec, NETWORK, current, gone, NOW + self.minted / 1000), ROOT))
        self.roster = merge(self.roster or Roster(ROOT.public_key()), documents, NOW).roster
        self.grants = {name: grant for name, grant in self.grants.items() if name not in gone}
        return plan

    def _make(self, wanted: MachineSpec, numbers: Mapping[MachineName, int]) -> str:
        self.minted += 1
        grant = make_grant(
            wanted.name,
            id=f"grant-number-{self.minted}".ljust(20, "_"),
            role=wanted.role,
            number=numbers[wanted.name],
            tags=wanted.tags,
            issued_at_ms=int(NOW * 1000) + self.minted,
        )
        self.grants[wanted.name] = grant
        if wanted.provider is ProviderName.LAB:
            self.machines[wanted.name] = Machine(wanted.name, wanted.role, MachineState.RUNNING, shape(wanted))
        return make_record(grant)


def shape(machine: MachineSpec) -> str:
    return str(machine.nat)


node_tables = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["node", "web", "db"])},
        optional={
            "count": st.integers(0, 4),
            "nat": st.sampled_from(["none", "symmetric"]),
            "tags": st.sampled_from(["[]", '["a"]']),
        },
    ),
    max_size=3,
    unique_by=lambda table: table["name"],
)


@st.composite
def specs(draw: st.DrawFn) -> NetworkSpec:
    """A valid spec; what is the hub of one may be a node of another, and "db" is a host of the operator's own."""
    tables = draw(node_tables)
    hubs = ["hub-1"] if any(table["name"] == "web" for table in tables) else ["hub-1", "web-1"]
    cidr = draw(st.sampled_from(["10.88.0.0/24", "10.88.0.0/27", "10.99.0.0/24"]))
    text = f'[network]\nname = "demo"\ncidr = "{cidr}"\n[[hubs]]\nname = "{draw(st.sampled_from(hubs))}"\n'
    for table in tables:
        is_host = table["name"] == "db"
        lines = [f"{key} = {quote(key, value)}\n" for key, value in table.items() if not (is_host and key == "nat")]
        text += "[[nodes]]\n" + "".join(lines) + ('provider = "host"\n' if is_host else "")
    return parse_spec(text + draw(st.sampled_from(["", '[[access]]\nfrom = "*"\nto = "*"\n'])))


def quote(key: str, value: Any) -> str:
    return str(value) if key in ("count", "tags") else f'"{value}"'


def damage(draw: st.DrawFn, cloud: Cloud) -> None:
    """Power cuts, machines that vanish or were left half made, a lost cache, a hub that cannot be asked."""
    for name in sorted(cloud.machines):
        fate = draw(st.sampled_from(["fine", "fine", "stopped", "incomplete", "vanished", "forgotten"]))
        if fate in set(MachineState):
            cloud.machines[name] = replace(cloud.machines[name], state=MachineState(fate))
        elif fate == "vanished":
            del cloud.machines[name]
        elif fate == "forgotten":
            cloud.grants.pop(name, None)
    if draw(st.integers(0, 4)) == 0:
        cloud.machines[MachineName("old")] = Machine(MachineName("old"), "node", MachineState.RUNNING)


@st.composite
def clouds(draw: st.DrawFn) -> Cloud:
    """What is left of a network that was deployed once or twice and then damaged."""
    cloud = Cloud()
    for spec in draw(st.lists(specs(), max_size=2)):
        cloud.deploy(spec)
        damage(draw, cloud)
    return cloud


@settings(max_examples=60)
@given(clouds(), specs())
def test_deploying_once_makes_the_network_as_wanted_and_deploying_again_changes_nothing(
    cloud: Cloud, spec: NetworkSpec
) -> None:
    cloud.deploy(spec)
    again = plan_deploy(spec, cloud.observe(spec))
    assert again.actions == ()
    assert again.settings_reason == ""
    assert again.is_empty
    assert set(cloud.machines) == {m.name for m in spec.machines if m.provider is ProviderName.LAB}
    assert cloud.roster is not None
    assert {member.name for member in cloud.roster.members(NOW)} == {machine.name for machine in spec.machines}


@settings(max_examples=60)
@given(clouds(), specs())
def test_a_plan_touches_a_machine_once_and_is_destructive_exactly_if_something_that_exists_goes(
    cloud: Cloud, spec: NetworkSpec
) -> None:
    observed = cloud.observe(spec)
    plan = plan_deploy(spec, observed)
    touched = [action.name for action in plan.actions]
    assert len(touched) == len(set(touched))
    assert all(action.reason for action in plan.actions)
    assert plan.is_destructive == any(action.verb in (Verb.DESTROY, Verb.REPLACE) for action in plan.actions)
    assert plan_deploy(spec, observed) == plan


@settings(max_examples=60)
@given(clouds(), specs())
def test_a_machine_that_stays_keeps_its_address(cloud: Cloud, spec: NetworkSpec) -> None:
    before = {name: cloud.grants[name].number for name in cloud.machines if name in cloud.grants}
    plan = cloud.deploy(spec)
    touched = {action.name for action in plan.actions if action.verb is not Verb.START}
    kept = {name: number for name, number in before.items() if name not in touched}
    assert kept.items() <= {name: grant.number for name, grant in cloud.grants.items()}.items()
