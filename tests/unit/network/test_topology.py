from collections.abc import Callable
from ipaddress import IPv4Interface, IPv4Network, ip_network

import pytest

from spokewire.errors import Code, InputError
from spokewire.network.documents import Grant, Member
from spokewire.network.relays import Relay
from spokewire.network.roster import Roster, take
from spokewire.network.topology import (
    InterfaceSpec,
    host_routes,
    overlay_addresses,
    overlay_ip,
    plan_hub,
    plan_node,
)
from tests.builders import NOW, ROOT, make_grant, make_record, make_roster, make_wireguard_key

ROSTER = make_roster(["hub-1", "node-1", "node-2"], relay=Relay.ROUTED)
ULA = "" if ROSTER.plan is None else str(ROSTER.plan.ula)


def find(roster: Roster, name: str) -> Member:
    return next(member for member in roster.members(NOW) if member.name == name)


def test_before_settings_are_known_no_interface_is_wanted() -> None:
    empty = Roster(ROOT.public_key())
    assert plan_node(empty, make_grant("node-1"), NOW) is None
    assert plan_hub(empty, make_grant("hub-1"), NOW) is None


def test_in_routed_mode_a_node_has_the_hub_as_its_only_peer_for_the_whole_overlay_and_keeps_its_nat_open() -> None:
    wanted = plan_node(ROSTER, make_grant("node-1"), NOW)
    assert wanted is not None
    assert wanted.listen_port is None
    assert wanted.mtu == 1420
    (hub,) = wanted.peers
    assert (hub.name, hub.endpoint, hub.keepalive_s) == ("hub-1", "203.0.113.1:51820", 25)
    assert hub.public_key == make_wireguard_key(make_grant("hub-1").id)
    assert hub.allowed_ips == {IPv4Network("10.88.0.0/24"), ip_network(ULA)}


def test_in_routed_mode_all_nodes_have_the_same_one_of_several_hubs_for_the_whole_overlay() -> None:
    """WireGuard takes an address from one peer only, so nodes at two hubs would not reach each other."""
    names = [f"node-{number}" for number in range(1, 20)]
    roster = make_roster(["hub-1", "hub-2", "hub-3", *names], relay=Relay.ROUTED)
    chosen = set()
    for name in names:
        wanted = plan_node(roster, make_grant(name), NOW)
        assert wanted is not None
        assert len(wanted.peers) == 3
        chosen |= {peer.name for peer in wanted.peers if IPv4Network("10.88.0.0/24") in peer.allowed_ips}
    assert len(chosen) == 1


def test_a_hub_lets_each_node_use_its_own_addresses_only_and_waits_to_be_called() -> None:
    wanted = plan_hub(ROSTER, make_grant("hub-1"), NOW)
    assert wanted is not None
    assert wanted.listen_port == 51820
    assert [peer.name for peer in wanted.peers] == ["node-1", "node-2"]
    for peer, address in zip(wanted.peers, ("10.88.0.11", "10.88.0.12"), strict=True):
        assert peer.endpoint is None
        assert peer.keepalive_s == 0
        assert IPv4Network(address) in peer.allowed_ips
        assert {network.num_addresses for network in peer.allowed_ips} == {1}
        assert {network.version for network in peer.allowed_ips} == {4, 6}


def test_no_two_nodes_share_an_allowed_address_on_the_hub() -> None:
    roster = make_roster(["hub-1", *(f"node-{number}" for number in range(1, 60))])
    wanted = plan_hub(roster, make_grant("hub-1"), NOW)
    assert wanted is not None
    addresses = [address for peer in wanted.peers for address in peer.allowed_ips]
    assert len(addresses) == len(set(addresses)) == 118


def test_an_address_comes_with_the_route_to_the_whole_overlay() -> None:
    assert ROSTER.plan is not None
    v4, v6 = overlay_addresses(ROSTER.plan, 11)
    assert v4 == IPv4Interface("10.88.0.11/24")
    assert v6.network == ROSTER.plan.ula
    assert overlay_ip(ROSTER.plan, find(ROSTER, "node-1")) == v4.ip
    assert host_routes(ROSTER.plan, 11) == {ip_network(v4.ip), ip_network(v6.ip)}


@pytest.mark.parametrize(("names", "peers"), [(["hub-1", "node-1"], 1), (["node-1"], 0)])
def test_without_a_hub_a_node_has_nobody_to_call(names: list[str], peers: int) -> None:
    wanted = plan_node(make_roster(names), make_grant("node-1"), NOW)
    assert wanted is not None
    assert len(wanted.peers) == peers


def test_a_revoked_node_is_no_peer_of_the_hub_and_a_revoked_hub_no_peer_of_a_node() -> None:
    revoked = frozenset({make_grant("node-1").id, make_grant("hub-1").id})
    roster = make_roster(["node-2"], revoked=revoked)
    hub, node = plan_hub(roster, make_grant("hub-1"), NOW), plan_node(roster, make_grant("node-2"), NOW)
    assert hub is not None
    assert node is not None
    assert [peer.name for peer in hub.peers] == ["node-2"]
    assert node.peers == ()


@pytest.mark.parametrize("plan_interface", [plan_node, plan_hub])
def test_a_machine_for_which_the_address_plan_has_no_room_is_told_to_get_a_new_token(
    plan_interface: Callable[[Roster, Grant, float], InterfaceSpec | None],
) -> None:
    roster = make_roster(["hub-1"], cidr="10.88.0.0/28")
    assert plan_interface(roster, make_grant("node-1", number=14), NOW) is not None
    with pytest.raises(InputError, match=r"10\.88\.0\.0/28 has no room for node-1") as caught:
        plan_interface(roster, make_grant("node-1", number=15), NOW)
    assert caught.value.code is Code.DOCUMENT_CHAIN
    assert "spokewire node token node-1" in caught.value.hint


def test_a_node_learns_both_endpoints_of_a_hub_for_every_peer_behind_it() -> None:
    record = make_record(make_grant("hub-1"), sequence=2, endpoint6="[2001:db8::1]:51820")
    roster = take(make_roster(relay=Relay.SEALED), record, NOW)
    spec = plan_node(roster, make_grant("node-1"), NOW)
    assert spec is not None
    assert {peer.endpoint6 for peer in spec.peers} == {"[2001:db8::1]:51820"}
    assert {peer.endpoint for peer in spec.peers} == {"203.0.113.1:51820"}
