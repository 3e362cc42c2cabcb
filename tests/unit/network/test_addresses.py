from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from spokewire.network.addresses import HUB_ROOM, AddressPlan, assign_numbers, derive_ula, is_usable
from spokewire.network.names import MachineName, NetworkId

PLAN = AddressPlan(IPv4Network("10.88.0.0/24"), IPv6Network("fd00:1:2:3::/64"))


def names(*words: str) -> list[MachineName]:
    return [MachineName(word) for word in words]


def assign(hubs: list[MachineName], nodes: list[MachineName], taken: dict[str, int] | None = None) -> dict[str, int]:
    known = {MachineName(name): number for name, number in (taken or {}).items()}
    return {str(name): number for name, number in assign_numbers(PLAN, hubs, nodes, known).items()}


def test_hubs_count_from_1_and_nodes_from_11_in_order_of_name() -> None:
    assert assign(names("hub-1"), names("node-10", "node-2", "node-1")) == {
        "hub-1": 1,
        "node-1": 11,
        "node-2": 12,
        "node-10": 13,
    }


def test_a_machine_keeps_its_number_when_others_come_and_go() -> None:
    assert assign(names("hub-1"), names("a", "m", "z"), {"hub-1": 1, "m": 11}) == {
        "hub-1": 1,
        "m": 11,
        "a": 12,
        "z": 13,
    }


def test_a_number_that_is_remembered_is_given_to_nobody_else() -> None:
    assert assign(names("hub-1"), names("new"), {"gone": 11})["new"] == 12


def test_a_number_that_was_given_back_is_used_again() -> None:
    assert assign(names("hub-1"), names("node-1", "new"), {"node-1": 12})["new"] == 11


@pytest.mark.parametrize(
    ("cidr", "nodes"),
    [("10.88.0.0/28", 4), ("10.88.0.0/27", 20), ("10.88.0.0/24", 244), ("10.80.0.0/12", 1_048_564)],
)
def test_a_plan_has_room_for_all_numbers_from_11_but_the_broadcast_address(cidr: str, nodes: int) -> None:
    plan = AddressPlan(IPv4Network(cidr), PLAN.ula)
    assert plan.node_room == nodes
    assert HUB_ROOM == 10
    assert plan.address(10 + nodes) == plan.cidr.broadcast_address - 1


def test_a_full_plan_is_filled_to_its_last_address_without_a_clash() -> None:
    plan = AddressPlan(IPv4Network("10.88.0.0/28"), PLAN.ula)
    numbers = assign_numbers(plan, names("hub-1"), names("a", "b", "c", "d"), {})
    assert sorted(numbers.values()) == [1, 11, 12, 13, 14]


def test_both_addresses_of_a_machine_have_the_same_host_number() -> None:
    assert PLAN.address(11) == IPv4Address("10.88.0.11")
    assert PLAN.address6(11) == IPv6Address("fd00:1:2:3::b")


def test_each_network_has_a_unique_local_prefix_of_its_own_that_never_changes() -> None:
    ula = derive_ula(NetworkId("00" * 16))
    assert ula == derive_ula(NetworkId("00" * 16)) == IPv6Network("fd66:bce0:5651::/64")
    assert ula != derive_ula(NetworkId("01" * 16))
    assert ula.subnet_of(IPv6Network("fd00::/8"))


@pytest.mark.parametrize(
    ("cidr", "expected"),
    [
        ("10.0.0.0/8", True),
        ("10.88.0.0/24", True),
        ("172.16.0.0/12", True),
        ("172.31.255.0/24", True),
        ("192.168.0.0/16", True),
        ("100.64.0.0/10", True),
        ("100.127.0.0/16", True),
        ("172.32.0.0/24", False),
        ("100.128.0.0/24", False),
        ("8.8.8.0/24", False),
        ("0.0.0.0/0", False),
        ("127.0.0.0/24", False),
        ("169.254.0.0/24", False),
        ("192.0.0.0/8", False),
    ],
)
def test_only_private_address_space_may_be_used(cidr: str, expected: bool) -> None:
    assert is_usable(IPv4Network(cidr)) is expected
