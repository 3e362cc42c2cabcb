"""The rules of hub and node as text. What the kernel makes of them is tested in the lab."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address

from spokewire.hub import firewall as hub
from spokewire.network.rules import Address, Admission, Opening
from spokewire.node import firewall as node

OVERLAY = (IPv4Network("10.88.0.0/24"), IPv6Network("fd00:1::/64"))


def addresses(*texts: str) -> frozenset[Address]:
    return frozenset(map(ip_address, texts))


HUBS = addresses("10.88.0.1", "fd00:1::1")
PEERS = addresses("10.88.0.12", "10.88.0.13", "fd00:1::c", "fd00:1::d")


def chain(rules: str, name: str) -> list[str]:
    """The lines of one chain."""
    found = re.search(rf"chain {name} \{{\n(.*?)\n    \}}", rules, re.DOTALL)
    assert found is not None, name
    return [line.strip() for line in found.group(1).splitlines() if line.strip()]


def hub_rules(*open_ports: str) -> str:
    return hub.plan_rules("wg-demo", OVERLAY, 443, open_ports)


def node_rules(*openings: Opening) -> str:
    return node.plan_rules("wg-demo", OVERLAY, Admission(HUBS, PEERS, openings))


def test_a_hub_drops_whatever_it_does_not_name() -> None:
    lines = chain(hub_rules(), "input")
    assert lines[0] == "type filter hook input priority filter; policy drop;"
    opened = [line for line in lines if re.match(r"(tcp|udp) dport", line)]
    assert opened == ["udp dport 51820 accept", "tcp dport 443 accept"]


def test_a_hub_opens_the_ports_that_the_spec_names_and_no_others() -> None:
    lines = chain(hub_rules("tcp/22", "udp/9000"), "input")
    opened = [line for line in lines if re.match(r"(tcp|udp) dport", line)]
    assert opened[2:] == ["tcp dport 22 accept", "udp dport 9000 accept"]
    assert chain(hub_rules("tcp/22"), "from_overlay") == chain(hub_rules(), "from_overlay")


def test_a_hub_believes_no_overlay_address_that_comes_another_way() -> None:
    lines = chain(hub_rules(), "input")
    assert lines.index("ip saddr 10.88.0.0/24 drop") < lines.index("tcp dport 443 accept")
    assert lines.index("ip6 saddr fd00:1::/64 drop") < lines.index("ct state established,related accept")


def test_a_hub_forwards_from_node_to_node_only() -> None:
    rules = hub_rules()
    assert chain(rules, "forward")[1:] == [
        'iifname "wg-demo" oifname "wg-demo" jump between_nodes',
        'iifname "wg-demo" drop',
        'oifname "wg-demo" drop',
    ]
    assert chain(rules, "between_nodes")[-1] == "drop"


def test_connections_through_a_node_agree_on_segments_that_fit_its_interface() -> None:
    assert chain(node_rules(), "segments") == [
        "type filter hook postrouting priority mangle; policy accept;",
        'oifname "wg-demo" tcp flags syn tcp option maxseg size set rt mtu',
    ]


def test_a_hub_itself_opens_nothing_towards_nodes() -> None:
    lines = chain(hub_rules(), "to_overlay")
    assert lines[-1] == "drop"
    assert not [line for line in lines if "accept" in line and "established" not in line and "icmp type" not in line]
    assert "echo-request" not in " ".join(lines)


def test_a_node_refuses_its_hub_before_it_opens_anything_to_its_peers() -> None:
    lines = chain(node_rules(Opening(PEERS)), "from_overlay")
    assert lines == [
        "ct state established,related accept",
        "ip saddr { 10.88.0.1 } drop",
        "ip6 saddr { fd00:1::1 } drop",
        "ip saddr { 10.88.0.12, 10.88.0.13 } udp dport 51821 accept",
        "ip6 saddr { fd00:1::c, fd00:1::d } udp dport 51821 accept",
        "ip saddr { 10.88.0.12, 10.88.0.13 } tcp dport 51821 accept",
        "ip6 saddr { fd00:1::c, fd00:1::d } tcp dport 51821 accept",
        "ip saddr { 10.88.0.12, 10.88.0.13 } accept",
        "ip6 saddr { fd00:1::c, fd00:1::d } accept",
        "drop",
    ]


def test_a_node_opens_exactly_the_ports_that_the_rules_name() -> None:
    lines = chain(node_rules(Opening(addresses("10.88.0.12", "fd00:1::c"), "tcp", 5432)), "from_overlay")
    assert lines[-3:-1] == [
        "ip saddr { 10.88.0.12 } tcp dport 5432 accept",
        "ip6 saddr { fd00:1::c } tcp dport 5432 accept",
    ]
    assert lines[-1] == "drop"


def test_a_node_that_knows_nobody_yet_lets_only_answers_in() -> None:
    rules = node.plan_rules("wg-demo", OVERLAY, Admission(frozenset(), frozenset(), ()))
    assert chain(rules, "from_overlay") == ["ct state established,related accept", "drop"]
    assert chain(rules, "published") == ["drop"]
    assert "{ }" not in rules


def test_a_node_believes_no_overlay_address_that_comes_another_way() -> None:
    lines = chain(node_rules(), "input")
    assert 'iifname != "wg-demo" ip saddr 10.88.0.0/24 drop' in lines
    assert 'iifname != "wg-demo" ip6 saddr fd00:1::/64 drop' in lines


def test_a_nodes_containers_are_reached_only_through_ports_it_publishes_and_never_by_the_hub() -> None:
    rules = node_rules(Opening(PEERS, "tcp", 80))
    through = chain(rules, "through")
    assert through[-1] == "drop"
    assert through.index("ip saddr { 10.88.0.1 } drop") < through.index("ct status dnat jump published")
    assert chain(rules, "published")[-1] == "drop"
