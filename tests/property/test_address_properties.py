"""An address, once given, stays: extending a network never moves anybody."""

from ipaddress import IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from spokewire.network.addresses import FIRST_NODE, AddressPlan, assign_numbers, derive_ula
from spokewire.network.names import MachineName
from tests.builders import NETWORK
from tests.property.strategies import name_sets

plans = st.sampled_from(["10.88.0.0/24", "192.168.0.0/27", "100.64.0.0/12"]).map(
    lambda cidr: AddressPlan(IPv4Network(cidr), derive_ula(NETWORK))
)
HUB = [MachineName("HUB")]


@given(plans, name_sets, name_sets)
def test_extending_a_network_moves_nobody(plan: AddressPlan, first: set[MachineName], more: set[MachineName]) -> None:
    nodes = sorted(first | more)[: plan.node_room]
    before = assign_numbers(plan, HUB, [name for name in nodes if name in first], {})
    after = assign_numbers(plan, HUB, nodes, before)
    assert before.items() <= after.items()
    assert set(after) == {*HUB, *nodes}


@given(plans, st.lists(name_sets, max_size=6))
def test_through_any_history_addresses_are_unique_in_the_plan_and_in_their_range(
    plan: AddressPlan, history: list[set[MachineName]]
) -> None:
    taken: dict[MachineName, int] = {}
    for wanted in history:
        kept = {name: number for name, number in taken.items() if name in wanted or name in HUB}
        taken = assign_numbers(plan, HUB, wanted, kept)
        assert kept.items() <= taken.items()
        assert len(set(taken.values())) == len(taken)
        assert taken[HUB[0]] < FIRST_NODE
        assert all(FIRST_NODE <= taken[name] < plan.cidr.num_addresses - 1 for name in wanted)


@given(plans, name_sets)
def test_the_order_in_which_machines_are_written_does_not_matter(plan: AddressPlan, names: set[MachineName]) -> None:
    forward, backward = sorted(names), sorted(names, reverse=True)
    assert assign_numbers(plan, HUB, forward, {}) == assign_numbers(plan, HUB, backward, {})
