from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

import pytest

from spokewire.cloud.provider import MachineState
from spokewire.deploy.plan import Observed, Plan, Verb, access_rules, plan_deploy, plan_numbers, plan_settings
from spokewire.network.addresses import AddressPlan, derive_ula
from spokewire.network.names import MachineName
from spokewire.network.roster import Roster
from tests.builders import (
    NETWORK,
    NOW,
    ROOT,
    SPEC_TEXT,
    make_grant,
    make_machine,
    make_observed,
    make_roster,
    make_settings,
    make_spec,
)

NAMES = ("hub-1", "node-1", "node-2", "node-3")
LAPTOP = SPEC_TEXT + '[[nodes]]\nname = "laptop-9"\nprovider = "host"\n'


def deployed(*extra: Any, **changes: Any) -> Observed:
    """The default spec, carried out; a machine given here takes the place of the one of its name."""
    machines = {machine.name: machine for machine in (*(make_machine(name) for name in NAMES), *extra)}
    return make_observed(machines.values(), **changes)


def said(plan: Plan) -> list[tuple[str, str]]:
    return [(str(action.verb), str(action.name)) for action in plan.actions]


def test_the_first_deploy_creates_everything_hub_first() -> None:
    plan = plan_deploy(make_spec(), make_observed(roster=None))
    assert said(plan) == [("create", name) for name in NAMES]
    assert plan.settings_reason == "the hub's settings are not known yet"
    assert not plan.is_empty
    assert not plan.is_destructive


def test_a_second_deploy_changes_nothing_and_knows_it() -> None:
    plan = plan_deploy(make_spec(), deployed())
    assert plan == Plan(())
    assert plan.is_empty


def test_a_larger_count_adds_only_what_is_new() -> None:
    plan = plan_deploy(make_spec(SPEC_TEXT.replace("count = 3", "count = 5")), deployed())
    assert said(plan) == [("create", "node-4"), ("create", "node-5")]
    assert plan.settings_reason == ""
    assert not plan.is_destructive


def test_a_smaller_count_removes_and_revokes_and_is_called_destructive() -> None:
    plan = plan_deploy(make_spec(SPEC_TEXT.replace("count = 3", "count = 1")), deployed())
    assert said(plan) == [("destroy", "node-2"), ("destroy", "node-3")]
    assert plan.settings_reason == "node-2, node-3: no longer wanted, and revoked"
    assert plan.is_destructive


def test_a_member_without_a_machine_that_is_no_longer_wanted_is_revoked_too() -> None:
    plan = plan_deploy(make_spec(), deployed(roster=make_roster([*NAMES, "node-9"])))
    assert said(plan) == [("destroy", "node-9")]
    assert "node-9" in plan.settings_reason


WITHOUT_GRANT = {MachineName(name): make_grant(name) for name in NAMES if name != "node-2"}


@pytest.mark.parametrize(
    ("observed", "verb", "reason"),
    [
        (deployed(make_machine("node-2", MachineState.STOPPED)), Verb.START, "it is switched off"),
        (deployed(make_machine("node-2", MachineState.INCOMPLETE)), Verb.REPLACE, "its creation was interrupted"),
        (
            deployed(make_machine("node-2", shape="none"), shapes={"node-2": "symmetric"}),
            Verb.REPLACE,
            "it was built as none, wanted is symmetric",
        ),
        (deployed(grants=WITHOUT_GRANT), Verb.REPLACE, "no grant is known for it: it cannot be verified"),
        (
            deployed(grants=WITHOUT_GRANT | {MachineName("node-2"): make_grant("node-2", tags=("old",))}),
            Verb.REPLACE,
            "its tags or its role changed, which its token states",
        ),
        (
            deployed(grants=WITHOUT_GRANT | {MachineName("node-2"): make_grant("node-2", role="hub")}),
            Verb.REPLACE,
            "its tags or its role changed, which its token states",
        ),
        (
            deployed(grants=WITHOUT_GRANT | {MachineName("node-2"): make_grant("node-2", number=300)}),
            Verb.REPLACE,
            "its address lies outside the address plan, and its token states it",
        ),
    ],
)
def test_a_machine_that_is_not_as_wanted_is_mended_and_only_that_one(
    observed: Observed, verb: Verb, reason: str
) -> None:
    plan = plan_deploy(make_spec(), observed)
    assert said(plan) == [(str(verb), "node-2")]
    assert plan.actions[0].reason == reason
    assert plan.is_destructive is (verb is Verb.REPLACE)


def test_a_host_of_ones_own_is_invited_until_it_joins_and_that_alone_is_no_change() -> None:
    plan = plan_deploy(make_spec(LAPTOP), deployed())
    assert said(plan) == [("invite", "laptop-9")]
    assert plan.is_empty
    joined = deployed(roster=make_roster([*NAMES, "laptop-9"]))
    assert plan_deploy(make_spec(LAPTOP), joined) == Plan(())


def test_a_host_of_ones_own_whose_tags_changed_is_told_to_need_a_new_token() -> None:
    joined = deployed(roster=make_roster([*NAMES, "laptop-9"]))
    plan = plan_deploy(make_spec(LAPTOP + 'tags = ["new"]\n'), joined)
    assert said(plan) == [("invite", "laptop-9")]
    assert "needs a new token" in plan.actions[0].reason


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("count = 3", 'count = 3\n[[access]]\nfrom = "*"\nto = "node-1"', "changed: access rules"),
        ('name = "demo"', 'name = "demo"\ncidr = "10.99.0.0/24"', "changed: address plan"),
    ],
)
def test_other_settings_are_signed_without_touching_a_machine(old: str, new: str, reason: str) -> None:
    plan = plan_deploy(make_spec(SPEC_TEXT.replace(old, new)), deployed())
    assert plan.actions == ()
    assert plan.settings_reason == reason
    assert not plan.is_empty


def test_a_network_whose_hub_answers_but_has_no_settings_gets_them() -> None:
    plan = plan_deploy(make_spec(), deployed(roster=Roster(ROOT.public_key())))
    assert plan.settings_reason == "the network has no settings yet"


def test_new_settings_say_what_the_spec_says_and_forget_no_revocation() -> None:
    spec = make_spec(SPEC_TEXT + '[[access]]\nfrom = "*"\nto = "node-1"\nports = ["tcp/22"]\n')
    settings = plan_settings(
        spec, NETWORK, make_settings(revoked=frozenset({"a"}), removed={"c": 5}), [MachineName("b")], NOW
    )
    assert settings.revoked == {"a"}
    assert settings.removed == {"b": int(NOW * 1000), "c": 5}
    assert (settings.cidr, settings.relay, settings.network) == (spec.cidr, spec.relay, NETWORK)
    assert settings.access == access_rules(spec)
    assert [(rule.source, rule.target, rule.ports) for rule in settings.access] == [("*", "node-1", ("tcp/22",))]


@pytest.mark.parametrize(
    ("current", "version"), [(None, 1_800_000_000_000), (5, 1_800_000_000_000), (1_900_000_000_000, 1_900_000_000_001)]
)
def test_new_settings_are_newer_than_any_that_were_even_if_the_clock_went_back(
    current: int | None, version: int
) -> None:
    known = None if current is None else make_settings(current)
    assert plan_settings(make_spec(), NETWORK, known, [], NOW).version == version


def numbers(text: str, **granted: int) -> dict[str, int]:
    spec = make_spec(text)
    grants = {
        MachineName(name.replace("_", "-")): make_grant(name.replace("_", "-"), number=number)
        for name, number in granted.items()
    }
    plan = AddressPlan(spec.cidr, derive_ula(NETWORK))
    return {str(name): number for name, number in plan_numbers(spec, plan, grants).items()}


def test_numbers_are_kept_while_a_machine_is_wanted_and_free_again_after() -> None:
    assert numbers(SPEC_TEXT, hub_1=1, node_1=13, node_9=11) == {"hub-1": 1, "node-1": 13, "node-2": 11, "node-3": 12}


def test_a_number_that_no_longer_fits_the_plan_is_replaced() -> None:
    small = SPEC_TEXT.replace('name = "demo"', 'name = "demo"\ncidr = "10.88.0.0/28"')
    assert numbers(small, hub_1=1, node_1=200) == {"hub-1": 1, "node-1": 11, "node-2": 12, "node-3": 13}


def test_a_machine_that_changes_its_role_moves_to_the_numbers_of_its_new_role() -> None:
    spec = make_spec(SPEC_TEXT)
    grants = {MachineName("node-1"): make_grant("node-1", role="hub", number=1)}
    found = plan_numbers(spec, AddressPlan(IPv4Network("10.88.0.0/24"), derive_ula(NETWORK)), grants)
    assert found == {"hub-1": 1, "node-1": 11, "node-2": 12, "node-3": 13}


def test_an_action_carries_the_spec_of_what_is_wanted_and_none_for_what_is_not() -> None:
    plan = plan_deploy(make_spec(), replace(deployed(make_machine("old")), roster=None))
    assert [(action.verb, action.spec) for action in plan.actions] == [(Verb.DESTROY, None)]
    created = plan_deploy(make_spec(), make_observed(roster=None)).actions
    assert all(action.spec is not None and action.spec.name == action.name for action in created)
