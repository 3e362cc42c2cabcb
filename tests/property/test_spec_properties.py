"""Any text is a spec or a list of faults; a spec that was taken is one that can be deployed."""

from typing import Any

import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from spokewire.errors import Code, InputError
from spokewire.network.addresses import HUB_ROOM, AddressPlan, assign_numbers, derive_ula
from spokewire.network.names import is_machine_name, is_network_name
from spokewire.network.spec import NetworkSpec
from spokewire.network.specfile import parse_spec
from tests.builders import NETWORK, SPEC_TEXT, attempt
from tests.property.strategies import hostile_text, machine_names, mutations

toml_values: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=10) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def table(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A table with some of these keys, each with a likely value or with anything."""
    optional = {key: value | toml_values for key, value in fields.items()}
    return st.fixed_dictionaries({}, optional=optional) | toml_values


names = machine_names | st.sampled_from(["node", "node-1", "hub-1", "Node", "-", ""])
ports = st.lists(st.sampled_from(["tcp/22", "udp/65535", "tcp/65536", "icmp"]), max_size=2)
counts = st.sampled_from([-1, 0, 1, 2, 243, 244, 245, 999_999, 1_000_000, 1_000_001])
providers = st.sampled_from(["lab", "host", "cloud"])
words = st.sampled_from(["*", "node", "node-1", "hub-1", "tag:a", "tag:", "x"])
documents = st.fixed_dictionaries(
    {},
    optional={
        "network": table(
            name=st.sampled_from(["demo", "Demo"]),
            cidr=st.sampled_from(["10.88.0.0/24", "10.88.0.0/28", "10.0.0.0/12", "10.0.0.0/8", "x"]),
            relay=st.sampled_from(["routed", "sealed"]),
            direct=st.booleans(),
        ),
        "hubs": st.lists(
            table(
                name=names,
                provider=providers,
                address=st.sampled_from(["a.b", "a b"]),
                open_ports=ports,
                weight=st.sampled_from([0, 100, 101]),
                drain=st.booleans(),
            ),
            max_size=12,
        ),
        "nodes": st.lists(
            table(
                name=names,
                count=counts,
                provider=providers,
                skip=st.lists(names, max_size=2),
                tags=st.lists(st.sampled_from(["a", "B"]), max_size=2),
                nat=st.sampled_from(["none", "symmetric", "bogus"]),
            ),
            max_size=4,
        ),
        "access": st.lists(table(**{"from": words, "to": words, "ports": ports}), max_size=2),
        "extra": toml_values,
    },
)


def check(outcome: NetworkSpec | InputError) -> None:
    if isinstance(outcome, InputError):
        assert outcome.code is Code.SPEC_INVALID
        assert outcome.hint
        assert outcome.faults
        assert all(fault.place and fault.problem for fault in outcome.faults)
        assert len(set(outcome.faults)) == len(outcome.faults)
        return
    assert is_network_name(outcome.name)
    found = [machine.name for machine in outcome.machines]
    assert all(map(is_machine_name, found))
    assert len(found) == len(set(found))
    assert 1 <= len(outcome.hubs) <= HUB_ROOM
    assert not all(hub.drain for hub in outcome.hubs)
    plan = AddressPlan(outcome.cidr, derive_ula(NETWORK))
    numbers = assign_numbers(plan, [hub.name for hub in outcome.hubs], [node.name for node in outcome.nodes], {})
    assert len(set(numbers.values())) == len(found)
    assert all(plan.cidr[0] < plan.address(number) < plan.cidr.broadcast_address for number in numbers.values())


@given(hostile_text)
def test_any_text_is_a_spec_or_a_list_of_faults(text: str) -> None:
    check(attempt(parse_spec, text))


@given(mutations(SPEC_TEXT))
def test_a_spec_with_typing_mistakes_is_a_spec_or_a_list_of_faults(text: str) -> None:
    check(attempt(parse_spec, text))


@given(documents)
def test_any_tables_are_a_spec_or_a_list_of_faults(document: dict[str, Any]) -> None:
    check(attempt(parse_spec, tomlkit.dumps(document)))


@given(documents, st.sampled_from(["network", "hubs", "nodes"]), st.text(min_size=1, max_size=5))
def test_a_fault_added_to_a_file_is_told_beside_those_it_had(document: dict[str, Any], key: str, unknown: str) -> None:
    before = attempt(parse_spec, tomlkit.dumps(document))
    after = attempt(parse_spec, tomlkit.dumps(document | {f"?{unknown}": 1}))
    assert isinstance(after, InputError)
    known = set(before.faults) if isinstance(before, InputError) else set()
    assert known < set(after.faults)
    assert len(after.faults) == len(known) + 1
