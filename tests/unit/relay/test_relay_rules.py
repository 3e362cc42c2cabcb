from dataclasses import replace

import pytest

from spokewire.relay.labels import Install, Label
from spokewire.relay.messages import Index, announce
from spokewire.relay.places import Endpoint
from spokewire.relay.rules import (
    Outside,
    add_place,
    create_table,
    delete_place,
    drop_label,
    install_label,
    map_places,
    set_outside,
    table_name,
)
from tests.unit.relay.test_messages import initiation, response

INSTALL = Install(Label(11, Index(0x0A0B0C0D)), 12)


def test_a_label_is_written_as_the_index_stands_in_the_packet() -> None:
    assert "11 . 0x0d0c0b0a" in install_label("t", INSTALL, 100)


def test_renewing_a_label_adds_removes_and_adds_it_in_one_go() -> None:
    verbs = [line.split()[0] for line in install_label("t", INSTALL, 100).splitlines()]
    assert verbs == ["add", "delete", "add"]
    assert "timeout 100s : 12" in install_label("t", INSTALL, 100.9)


def test_dropping_a_label_works_whether_the_kernel_still_has_it_or_not() -> None:
    assert [line.split()[0] for line in drop_label("t", INSTALL).splitlines()] == ["add", "delete"]


@pytest.mark.parametrize(
    ("outside", "families"),
    [
        (Outside("203.0.113.1", None, 51820), {"ip"}),
        (Outside(None, "2001:db8::1", 51820), {"ip6"}),
        (Outside("203.0.113.1", "2001:db8::1", 51820), {"ip", "ip6"}),
    ],
)
def test_only_the_hubs_own_addresses_are_switched(outside: Outside, families: set[str]) -> None:
    text = create_table(table_name("a-b"), outside)
    assert "spokewire_relay_a_b" in text
    assert {family for family in ("ip", "ip6") if f"jump switch_{family}\n" in text} == families


def test_an_endpoint_goes_to_the_maps_of_its_family() -> None:
    v4, v6 = Endpoint(bytes([203, 0, 113, 5]), 99), Endpoint(bytes.fromhex("20010db8000000000000000000000005"), 99)
    assert map_places({v6: 11}, [(11, v6)]) == {
        ("source_ip6", "2001:db8::5 . 99"): "11",
        ("address_ip6", "11"): "2001:db8::5",
        ("port", "11"): "99",
    }
    assert map_places({v4: 1, v6: 1}, [(1, v4), (1, v6)]) == {
        ("source_ip", "203.0.113.5 . 99"): "1",
        ("source_ip6", "2001:db8::5 . 99"): "1",
        ("address_ip", "1"): "203.0.113.5",
        ("address_ip6", "1"): "2001:db8::5",
        ("port", "1"): "99",
    }


def test_a_place_is_added_with_its_value_and_deleted_by_its_key() -> None:
    assert add_place("t", ("port", "11"), "99") == "add element inet t port { 11 : 99 }\n"
    assert delete_place("t", ("port", "11")) == "delete element inet t port { 11 }\n"


def test_a_label_that_led_elsewhere_is_removed_before_it_leads_here() -> None:
    lines = install_label("t", replace(INSTALL, instead_of=2), 100).splitlines()
    assert [line.split()[0] for line in lines] == ["add", "delete", "add", "delete", "add"]
    assert [line.rstrip(" }").rpartition(" ")[2] for line in lines[::2]] == ["2", "12", "12"]


def test_an_address_that_comes_later_is_switched_without_touching_labels() -> None:
    text = set_outside("t", Outside("203.0.113.1", "2001:db8::1", 51820))
    verbs = [line.split()[:5] for line in text.splitlines()]
    assert verbs[:3] == [["flush", "chain", "inet", "t", chain] for chain in ("ingress", "egress", "forward")]
    assert {tuple(words[:2]) for words in verbs[3:]} == {("add", "rule")}
    assert "ip6 saddr set 2001:db8::1 udp sport set 51820" in text


def test_a_hub_that_forwarded_nothing_before_forwards_only_what_its_relay_switched() -> None:
    outside = Outside("203.0.113.1", None, 51820)
    assert "drop" not in set_outside("t", outside)
    assert 'forward iifname "eth0" oifname "eth0" meta mark != 0x53570000 drop' in set_outside(
        "t", replace(outside, closed_uplink="eth0")
    )


def test_the_kernel_does_not_tell_one_node_where_another_is() -> None:
    text = create_table("t", Outside("203.0.113.1", "2001:db8::1", 51820))
    assert "icmp type redirect drop" in text
    assert "icmpv6 type nd-redirect drop" in text


def test_the_kernel_takes_an_announcement_for_anything_but_data() -> None:
    """It compares the type together with the three bytes that follow."""
    (jump,) = [line for line in set_outside("t", Outside("203.0.113.1", None, 51820)).splitlines() if "jump" in line]
    assert "@th,64,32 0x04000000" in jump
    assert 0x04000000 not in {int.from_bytes(announce(message)[:4], "big") for message in (initiation(), response())}
