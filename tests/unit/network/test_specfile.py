"""Every field of spokewire.toml that is wrong is told at once, each with its place and what is expected there."""

from ipaddress import IPv4Network

import pytest

from spokewire.errors import Code, InputError
from spokewire.network.relays import Relay
from spokewire.network.spec import Family, Nat, ProviderName
from tests.builders import SPEC_TEXT, make_spec, spec_faults

NETWORK = '[network]\nname = "demo"\n'
HUB = '[[hubs]]\nname = "hub-1"\n'
NODE = '[[nodes]]\nname = "node"\n'


def test_a_short_spec_gets_sensible_defaults() -> None:
    spec = make_spec(SPEC_TEXT)
    assert (spec.name, spec.cidr, spec.relay) == ("demo", IPv4Network("10.88.0.0/24"), Relay.SEALED)
    assert [machine.name for machine in spec.machines] == ["hub-1", "node-1", "node-2", "node-3"]
    assert {machine.provider for machine in spec.machines} == {ProviderName.LAB}
    assert {node.nat for node in spec.nodes} == {Nat.PORT_RESTRICTED}
    assert spec.hubs[0].nat is Nat.NONE


@pytest.mark.parametrize("family", list(Family))
def test_a_lab_machine_has_the_addresses_that_its_table_says_and_ipv4_otherwise(family: Family) -> None:
    spec = make_spec(NETWORK + HUB + f"family = '{family}'\n" + NODE + f"nat = 'none'\nfamily = '{family}'\n")
    assert {machine.family for machine in spec.machines} == {family}
    assert {machine.family for machine in make_spec(SPEC_TEXT).machines} == {Family.IPV4}


def test_everything_that_can_be_said_is_understood() -> None:
    spec = make_spec(
        """
        [network]
        name = "a1"
        cidr = "192.168.7.0/26"
        relay = "routed"
        [[hubs]]
        name = "h"
        provider = "host"
        address = "hub.example.com"
        api_port = 8443
        open_ports = ["tcp/22", "udp/65535"]
        [[nodes]]
        name = "db"
        provider = "host"
        tags = ["data", "eu"]
        [[nodes]]
        name = "web"
        count = 3
        skip = ["web-2"]
        nat = "symmetric"
        [[access]]
        from = "*"
        to = "tag:data"
        ports = ["tcp/5432"]
        [[access]]
        from = "web-3"
        to = "db"
        """
    )
    assert (spec.hubs[0].address, spec.hubs[0].api_port) == ("hub.example.com", 8443)
    assert spec.hubs[0].open_ports == ("tcp/22", "udp/65535")
    assert [node.name for node in spec.nodes] == ["db", "web-1", "web-3"]
    assert spec.find("db").tags == ("data", "eu")
    assert spec.find("db").nat is Nat.NONE
    assert spec.find("web-3").nat is Nat.SYMMETRIC
    assert [(rule.source, rule.target, rule.ports) for rule in spec.access] == [
        ("*", "tag:data", ("tcp/5432",)),
        ("web-3", "db", ()),
    ]


@pytest.mark.parametrize("text", [NETWORK + HUB, NETWORK + HUB + "[[nodes]]\nname = 'n'\ncount = 0\n"])
def test_a_network_may_begin_without_nodes(text: str) -> None:
    assert make_spec(text).nodes == ()


def test_asking_for_a_machine_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(InputError, match="no machine called 'node-9'") as caught:
        make_spec().find("node-9")
    assert caught.value.code is Code.NAME_UNKNOWN
    assert "node-3" in caught.value.hint


NAME_RULE = "1 to 32 lower-case letters, digits and hyphens, beginning with a letter"
PORT_RULE = '"tcp/" or "udp/" and a port from 1 to 65535, such as "tcp/22"'
PROVIDERS = '"lab", "host"'

ONE_FAULT = [
    # The text, the place of its only fault, what is wrong there, what is expected there.
    ("= 3", "the file", "not valid TOML", ""),
    (HUB + NODE, "network", "missing", "a table [network]"),
    ("network = 3\n" + HUB + NODE, "network", "not a table", "a table [network]"),
    (NETWORK + NODE, "hubs", "missing", "tables [[hubs]]"),
    (NETWORK + "[hubs]\nname = 'hub-1'\n" + NODE, "hubs", "not a list of tables", "tables [[hubs]]"),
    ("hubs = []\n" + NETWORK + NODE, "hubs", "0 hubs", "1 to 10"),
    ("nodes = 'x'\n" + NETWORK + HUB, "nodes", "not a list of tables", "tables [[nodes]]"),
    ("nodes = ['x']\n" + NETWORK + HUB, "nodes[0]", "not a table", "a table [nodes[0]]"),
    ("access = 1\n" + NETWORK + HUB + NODE, "access", "not a list of tables", "tables [[access]]"),
    (NETWORK + HUB + NODE + "[lab]\nx = 1\n", "lab", "unknown", "one of network, hubs, nodes, access"),
    ("[network]\n" + HUB + NODE, "network.name", "missing", "a value"),
    ("[network]\nname = 'Demo'\n" + HUB + NODE, "network.name", "'Demo' is not allowed", "1 to 12 lower-case letters"),
    ("[network]\nname = 'abcdefghijklm'\n" + HUB + NODE, "network.name", "not allowed", "1 to 12 lower-case letters"),
    ("[network]\nname = 3\n" + HUB + NODE, "network.name", "3 is not allowed", "text in quotes"),
    (NETWORK + "mtu = 3\n" + HUB + NODE, "network.mtu", "unknown key", "a key that docs/reference/spec.md lists"),
    (NETWORK + "relay = 'open'\n" + HUB + NODE, "network.relay", "'open' is not allowed", 'one of "routed", "sealed"'),
    (NETWORK + "relay = 1\n" + HUB + NODE, "network.relay", "1 is not allowed", 'one of "routed", "sealed"'),
    (NETWORK + "cidr = 10\n" + HUB + NODE, "network.cidr", "10 is not allowed", 'an IPv4 block such as "10.88.0.0/24"'),
    (NETWORK + "cidr = 'x'\n" + HUB + NODE, "network.cidr", "'x' is not allowed", "an IPv4 block"),
    (NETWORK + "cidr = 'fd00::/64'\n" + HUB + NODE, "network.cidr", "not allowed", "an IPv4 block"),
    (NETWORK + "cidr = '10.88.0.1/24'\n" + HUB + NODE, "network.cidr", "not allowed", "host bits set"),
    (NETWORK + "cidr = '10.88.0.0/29'\n" + HUB + NODE, "network.cidr", "not allowed", "between /12 and /28"),
    (NETWORK + "cidr = '10.0.0.0/8'\n" + HUB + NODE, "network.cidr", "not allowed", "between /12 and /28"),
    (NETWORK + "cidr = '8.8.8.0/24'\n" + HUB + NODE, "network.cidr", "not allowed", "private addresses"),
    (NETWORK + "[[hubs]]\n" + NODE, "hubs[0].name", "missing", "a value"),
    (NETWORK + "[[hubs]]\nname = 'hub 1'\n" + NODE, "hubs[0].name", "'hub 1' is not allowed", NAME_RULE),
    (NETWORK + HUB + "provider = 'aws'\n" + NODE, "hubs[0].provider", "'aws' is not allowed", PROVIDERS),
    (NETWORK + HUB + "provider = 'host'\n" + NODE, "hubs[0].address", "missing", "public address"),
    (NETWORK + HUB + "address = '192.0.2.1'\n" + NODE, "hubs[0].address", "not allowed here", "no address"),
    (NETWORK + HUB + "provider = 'host'\naddress = 'a b'\n" + NODE, "hubs[0].address", "'a b'", "an IP address or a"),
    (NETWORK + HUB + "provider = 'host'\naddress = ''\n" + NODE, "hubs[0].address", "''", "an IP address or a host"),
    (NETWORK + HUB + "api_port = 0\n" + NODE, "hubs[0].api_port", "0 is not allowed", "greater than or equal to 1"),
    (NETWORK + HUB + "api_port = 65536\n" + NODE, "hubs[0].api_port", "65536", "less than or equal to 65535"),
    (NETWORK + HUB + "open_ports = ['tcp/70000']\n" + NODE, "hubs[0].open_ports[0]", "'tcp/70000'", PORT_RULE),
    (NETWORK + HUB + "open_ports = ['tcp/1', '22']\n" + NODE, "hubs[0].open_ports[1]", "'22'", PORT_RULE),
    (NETWORK + HUB + "open_ports = ['tcp/0']\n" + NODE, "hubs[0].open_ports[0]", "'tcp/0'", PORT_RULE),
    (NETWORK + HUB + "open_ports = [22]\n" + NODE, "hubs[0].open_ports[0]", "22", "text in quotes"),
    (NETWORK + HUB + "open_ports = 'tcp/22'\n" + NODE, "hubs[0].open_ports", "'tcp/22'", "a list"),
    (NETWORK + HUB + "[[nodes]]\n", "nodes[0].name", "missing", "a value"),
    (NETWORK + HUB + "[[nodes]]\nname = '-'\n", "nodes[0].name", "'-' is not allowed", NAME_RULE),
    (NETWORK + HUB + NODE + "colour = 'red'\n", "nodes[0].colour", "unknown key", "docs/reference/spec.md"),
    (NETWORK + HUB + NODE + "provider = 'Lab'\n", "nodes[0].provider", "'Lab'", PROVIDERS),
    (NETWORK + HUB + NODE + "nat = 'bogus'\n", "nodes[0].nat", "'bogus'", '"none", "full-cone", "port-restricted"'),
    (NETWORK + HUB + NODE + "provider = 'host'\nnat = 'none'\n", "nodes[0].nat", "not allowed here", "no nat"),
    (NETWORK + HUB + NODE + "family = 'both'\n", "nodes[0].family", "'both' is not allowed", 'nat = "none"'),
    (NETWORK + HUB + NODE + "family = 'ipv6'\nnat = 'symmetric'\n", "nodes[0].family", "'ipv6'", 'nat = "none"'),
    (NETWORK + HUB + NODE + "family = 'ip'\n", "nodes[0].family", "'ip' is not allowed", '"ipv4", "ipv6", "both"'),
    (NETWORK + HUB + NODE + "provider = 'host'\nfamily = 'ipv4'\n", "nodes[0].family", "not allowed", "no family"),
    (NETWORK + HUB + "provider = 'host'\naddress = 'a'\nfamily = 'both'\n", "hubs[0].family", "here", "no family"),
    (NETWORK + HUB + NODE + "count = -1\n", "nodes[0].count", "-1", "greater than or equal to 0"),
    (NETWORK + HUB + NODE + "count = 2.5\n", "nodes[0].count", "2.5", "a whole number"),
    (NETWORK + HUB + NODE + "count = true\n", "nodes[0].count", "True", "a whole number"),
    (NETWORK + HUB + NODE + "count = '3'\n", "nodes[0].count", "'3'", "a whole number"),
    (NETWORK + HUB + NODE + "count = 245\n", "nodes[0].count", "too many: 245 nodes", "at most 244 nodes in all"),
    (NETWORK + HUB + NODE + "count = 99999999999\n", "nodes[0].count", "99999999999", "less than or equal to 1000000"),
    (NETWORK + HUB + NODE + "skip = ['node-1']\n", "nodes[0].skip", "not allowed here", "no skip without count"),
    (NETWORK + HUB + NODE + "count = 2\nskip = ['A']\n", "nodes[0].skip[0]", "'A' is not allowed", NAME_RULE),
    (NETWORK + HUB + NODE + "tags = ['Big']\n", "nodes[0].tags[0]", "'Big' is not allowed", "a tag: " + NAME_RULE),
    (NETWORK + HUB + f"[[nodes]]\nname = '{'a' * 31}'\ncount = 2\n", "nodes[0].name", "is too long", NAME_RULE),
    (NETWORK + HUB + NODE + "[[access]]\nto = '*'\n", "access[0].from", "missing", "a value"),
    (NETWORK + HUB + NODE + "[[access]]\nfrom = '*'\nto = 7\n", "access[0].to", "7", "text in quotes"),
    (NETWORK + HUB + NODE + "[[access]]\nfrom = '*'\nto = 'nobody'\n", "access[0].to", "'nobody' is unknown", "a node"),
    (NETWORK + HUB + NODE + "[[access]]\nfrom = 'tag:x'\nto = '*'\n", "access[0].from", "'tag:x' is unknown", "a tag"),
    (NETWORK + HUB + NODE + "[[access]]\nfrom = '*'\nto = 'hub-1'\n", "access[0].to", "'hub-1' is unknown", "a node"),
    (
        NETWORK + HUB + NODE + "[[access]]\nfrom = '*'\nto = '*'\nports = ['icmp']\n",
        "access[0].ports[0]",
        "'icmp'",
        PORT_RULE,
    ),
]


@pytest.mark.parametrize(("text", "place", "problem", "expected"), ONE_FAULT)
def test_a_wrong_field_is_told_with_its_place_and_what_is_expected(
    text: str, place: str, problem: str, expected: str
) -> None:
    faults = spec_faults(text)
    assert list(faults) == [place]
    assert problem in faults[place]
    assert expected in faults[place]


def test_every_fault_of_a_bad_file_is_told_at_once() -> None:
    faults = spec_faults(
        """
        [network]
        name = "Demo"
        cidr = "10.88.0.0/30"
        relay = "x"
        zzz = 1
        [[hubs]]
        name = "twin"
        provider = "cloud"
        open_ports = ["tcp/0"]
        [[nodes]]
        name = "twin"
        nat = "bogus"
        tags = ["A", 3]
        [[nodes]]
        name = "many"
        count = 2000000
        foo = 1
        [[access]]
        from = "tag:z"
        to = 3
        [other]
        """
    )
    assert set(faults) == {
        "network.name",
        "network.cidr",
        "network.relay",
        "network.zzz",
        "hubs[0].name",
        "hubs[0].provider",
        "hubs[0].open_ports[0]",
        "nodes[0].name",
        "nodes[0].nat",
        "nodes[0].tags[0]",
        "nodes[0].tags[1]",
        "nodes[1].count",
        "nodes[1].foo",
        "access[0].to",
        "other",
    }


@pytest.mark.parametrize(
    "other_fault", ["nat = 'bogus'", "colour = 1", "provider = 'aws'", "tags = [1]", "provider = 'host'\nnat = 'none'"]
)
def test_a_name_used_twice_is_told_also_where_another_field_of_its_table_is_wrong(other_fault: str) -> None:
    faults = spec_faults(
        NETWORK + HUB + NODE + f"count = 2\n{other_fault}\n[[nodes]]\nname = 'node-2'\n{other_fault}\n"
    )
    assert "'node-2' is used twice" in faults["nodes[0].name"]
    assert "'node-2' is used twice" in faults["nodes[1].name"]
    assert len(faults) >= 4


@pytest.mark.parametrize("other_fault", ["nat = 'bogus'", "colour = 1", "name = 'N'", "tags = [1]"])
def test_too_many_nodes_are_told_also_where_another_field_of_the_table_is_wrong(other_fault: str) -> None:
    name = "" if other_fault.startswith("name") else "name = 'node'\n"
    faults = spec_faults(NETWORK + HUB + f"[[nodes]]\n{name}count = 500\n{other_fault}\n")
    assert "too many: 500 nodes are wanted" in faults["nodes[0].count"]
    assert len(faults) == 2


@pytest.mark.parametrize(
    ("tables", "name", "places"),
    [
        ("[[nodes]]\nname = 'hub-1'\n", "hub-1", ["hubs[0]", "nodes[0]"]),
        ("[[nodes]]\nname = 'hub'\ncount = 1\n", "hub-1", ["hubs[0]", "nodes[0]"]),
        ("[[nodes]]\nname = 'a'\n[[nodes]]\nname = 'a'\n", "a", ["nodes[0]", "nodes[1]"]),
        ("[[nodes]]\nname = 'a'\ncount = 2\n[[nodes]]\nname = 'a'\ncount = 9\n", "a-1", ["nodes[0]", "nodes[1]"]),
        (
            "[[nodes]]\nname = 'a'\ncount = 2\nskip = ['a-1']\n[[nodes]]\nname = 'a'\ncount = 9\n",
            "a-2",
            ["nodes[0]", "nodes[1]"],
        ),
        ("[[nodes]]\nname = 'a'\ncount = 900\n[[nodes]]\nname = 'a-900'\n", "a-900", ["nodes[0]", "nodes[1]"]),
    ],
)
def test_a_name_used_twice_is_told_at_both_places(tables: str, name: str, places: list[str]) -> None:
    faults = spec_faults(NETWORK + HUB + tables)
    twice = {place: text for place, text in faults.items() if "is used twice" in text}
    assert sorted(twice) == [f"{place}.name" for place in places]
    assert all(repr(name) in text and "a name of its own" in text for text in twice.values())


@pytest.mark.parametrize(
    "tables",
    [
        "[[nodes]]\nname = 'a'\n[[nodes]]\nname = 'a'\ncount = 3\n",
        "[[nodes]]\nname = 'a'\ncount = 3\n[[nodes]]\nname = 'a-4'\n",
        "[[nodes]]\nname = 'a'\ncount = 3\nskip = ['a-2']\n[[nodes]]\nname = 'a-2'\n",
        "[[nodes]]\nname = 'a'\ncount = 3\n[[nodes]]\nname = 'a-01'\n",
        "[[nodes]]\nname = 'a'\ncount = 245\nskip = ['a-7']\n",
    ],
)
def test_names_that_only_look_alike_are_no_fault(tables: str) -> None:
    names = [node.name for node in make_spec(NETWORK + HUB + tables).nodes]
    assert len(names) == len(set(names))


def test_a_rule_about_a_table_that_could_not_be_read_is_not_called_wrong() -> None:
    faults = spec_faults(
        NETWORK + HUB + "[[nodes]]\nname = 'A'\ntags = ['B']\n[[access]]\nfrom = 'tag:b'\nto = 'a'\n",
    )
    assert set(faults) == {"nodes[0].name", "nodes[0].tags[0]"}


def test_a_single_node_too_many_is_told_without_blaming_one_of_them() -> None:
    nodes = "".join(f"[[nodes]]\nname = 'n{number}'\n" for number in range(5))
    faults = spec_faults(NETWORK + "cidr = '10.88.0.0/28'\n" + HUB + nodes)
    assert list(faults) == ["nodes"]
    assert "at most 4 nodes in all: 10.88.0.0/28 has no room for more" in faults["nodes"]


def test_a_very_long_wrong_value_is_not_repeated_whole() -> None:
    faults = spec_faults(f"[network]\nname = '{'x' * 5000}'\n{'y' * 5000} = 1\n" + HUB)
    assert len(faults) == 2
    assert all(len(place) + len(text) < 400 for place, text in faults.items())


def test_a_spec_nested_without_end_is_refused_like_any_other() -> None:
    assert "nested too deeply" in spec_faults("x = " + "[" * 100_000)["the file"]
