from ipaddress import IPv6Address

import pytest

from spokewire.errors import Code, InputError
from spokewire.lab.plan import (
    LinkFault,
    Wiring,
    configure_machine,
    configure_router,
    loss_rules,
    nat_rules,
    parse_fault,
    wire_lan,
    wire_public,
    wire_router,
)
from spokewire.network.spec import Family, Nat

GOOD = LinkFault()
PUBLIC, HIDDEN = Wiring(1, Nat.NONE), Wiring(11, Nat.PORT_RESTRICTED)


@pytest.mark.parametrize(
    ("words", "before", "after"),
    [
        ((), GOOD, GOOD),
        (("up",), LinkFault(down=True, loss_pct=5, rate="1mbit", mtu=1280), GOOD),
        (("down",), GOOD, LinkFault(down=True)),
        (("down",), LinkFault(loss_pct=5), LinkFault(down=True, loss_pct=5)),
        (("loss=5%",), GOOD, LinkFault(loss_pct=5.0)),
        (("loss=5",), GOOD, LinkFault(loss_pct=5.0)),
        (("loss=0.01%",), GOOD, LinkFault(loss_pct=0.01)),
        (("loss=100%",), GOOD, LinkFault(loss_pct=100.0)),
        (("loss=0%",), LinkFault(loss_pct=5), GOOD),
        (("rate=10mbit",), GOOD, LinkFault(rate="10mbit")),
        (("rate=0.5mbit",), GOOD, LinkFault(rate="0.5mbit")),
        (("rate=1kbit",), GOOD, LinkFault(rate="1kbit")),
        (("rate=1000gbit",), GOOD, LinkFault(rate="1000gbit")),
        (("mtu=576",), GOOD, LinkFault(mtu=576)),
        (("mtu=1500",), LinkFault(mtu=1280), GOOD),
        (("loss=5%", "rate=1mbit", "mtu=1280"), GOOD, LinkFault(loss_pct=5.0, rate="1mbit", mtu=1280)),
        (("up", "mtu=1280"), LinkFault(down=True), LinkFault(mtu=1280)),
    ],
)
def test_a_link_is_broken_and_mended_in_words(words: tuple[str, ...], before: LinkFault, after: LinkFault) -> None:
    assert parse_fault(words, before) == after


@pytest.mark.parametrize(
    "word",
    [
        "",
        "sideways",
        "up=1",
        "down=now",
        "loss",
        "loss=",
        "loss=%",
        "loss=-1%",
        "loss=101%",
        "loss=nan%",
        "loss=inf",
        "loss=1e1%",
        "loss=5%%",
        "loss=0.001%",
        "loss=\u0665%",
        "loss= 5%",
        "loss=1_0%",
        "rate=",
        "rate=10",
        "rate=mbit",
        "rate=0mbit",
        "rate=0.5kbit",
        "rate=0.0001mbit",
        "rate=1001mbit",
        "rate=-1mbit",
        "rate=1_0mbit",
        "rate=1e2mbit",
        "rate=\u0665mbit",
        "rate=1mbit burst 1",
        "rate=10mbps",
        "mtu=",
        "mtu=575",
        "mtu=1501",
        "mtu=1280.5",
        "mtu=0x500",
        "mtu=nan",
    ],
)
def test_a_word_that_no_link_can_be_is_refused_with_what_to_say(word: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_fault((word,), GOOD)
    assert caught.value.code is Code.REQUEST_INVALID
    assert repr(word) in caught.value.message
    assert "loss=5%, rate=10mbit" in caught.value.hint


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (GOOD, "up"),
        (LinkFault(down=True), "down"),
        (LinkFault(loss_pct=5.0), "loss=5%"),
        (LinkFault(loss_pct=0.25), "loss=0.25%"),
        (LinkFault(down=True, loss_pct=99.99, rate="10mbit", mtu=1280), "down loss=99.99% rate=10mbit mtu=1280"),
    ],
)
def test_a_fault_is_shown_in_the_words_that_make_it(fault: LinkFault, words: str) -> None:
    assert fault.describe() == words
    assert parse_fault(tuple(words.split()), GOOD) == fault


@pytest.mark.parametrize(("loss_pct", "share"), [(0.01, 1), (5.0, 500), (33.33, 3333), (99.99, 9999)])
def test_loss_is_rolled_both_ways_with_the_share_asked_for(loss_pct: float, share: int) -> None:
    rules = loss_rules(HIDDEN, LinkFault(loss_pct=loss_pct))
    assert rules.count(f"numgen random mod 10000 < {share} drop") == 4
    assert 'iifname "up-11"' in rules
    assert 'oifname "up-11"' in rules


def test_total_loss_leaves_nothing_to_chance() -> None:
    rules = loss_rules(HIDDEN, LinkFault(loss_pct=100.0))
    assert "numgen" not in rules
    assert rules.count("drop;") == 4


def test_a_link_without_loss_has_no_rules_left() -> None:
    assert loss_rules(HIDDEN, GOOD) == "table bridge loss_11 {}\ndelete table bridge loss_11\n"
    assert loss_rules(HIDDEN, LinkFault(loss_pct=5)).startswith(loss_rules(HIDDEN, GOOD))


@pytest.mark.parametrize("nat", [nat for nat in Nat if nat is not Nat.NONE])
def test_every_nat_hides_its_node_and_lets_tcp_8000_through(nat: Nat) -> None:
    rules = nat_rules(nat)
    assert 'iifname "wan" tcp dport 8000 dnat to 192.168.1.2' in rules
    assert 'oifname "wan" masquerade' in rules
    assert "policy drop" in rules
    assert rules.count("{") == rules.count("}")


@pytest.mark.parametrize(
    ("nat", "fully_random", "open_cone", "blocked"),
    [
        (Nat.FULL_CONE, False, True, False),
        (Nat.PORT_RESTRICTED, False, False, False),
        (Nat.SYMMETRIC, True, False, False),
        (Nat.UDP_BLOCKED, False, False, True),
    ],
)
def test_each_kind_of_nat_maps_and_filters_udp_as_its_name_says(
    nat: Nat, fully_random: bool, open_cone: bool, blocked: bool
) -> None:
    rules = nat_rules(nat)
    assert ("masquerade fully-random" in rules) is fully_random
    assert ('iifname "wan" meta l4proto udp dnat to 192.168.1.2' in rules) is open_cone
    assert ('iifname "wan" meta l4proto udp accept' in rules) is open_cone
    assert ("meta l4proto udp drop" in rules) is blocked


def test_a_machine_without_nat_has_the_public_address_itself() -> None:
    assert str(PUBLIC.public_address) == "203.0.113.1"
    assert PUBLIC.router is None
    assert "addr add 203.0.113.1/24 dev eth0" in configure_machine(PUBLIC)
    assert "default via 203.0.113.254" in configure_machine(PUBLIC)
    assert "netns 77\n" in wire_public(PUBLIC, 77)


def test_a_machine_behind_nat_has_a_private_address_and_its_router_the_public_one() -> None:
    assert HIDDEN.router == "nat-11"
    assert "addr add 192.168.1.2/24 dev eth0" in configure_machine(HIDDEN)
    assert "default via 192.168.1.1" in configure_machine(HIDDEN)
    assert "addr add 203.0.113.11/24 dev wan" in configure_router(HIDDEN)
    assert "netns nat-11" in wire_router(HIDDEN)
    assert "addr add 192.168.1.1/24 dev lan" in wire_lan(HIDDEN, 77)


@pytest.mark.parametrize(
    ("family", "address", "address6", "lines"),
    [
        (
            Family.IPV4,
            "203.0.113.11",
            None,
            ["addr add 203.0.113.11/24 dev eth0", "route add default via 203.0.113.254"],
        ),
        (
            Family.IPV6,
            "2001:db8::11",
            None,
            ["addr add 2001:db8::11/64 dev eth0 nodad", "route add default via 2001:db8::254"],
        ),
        (
            Family.BOTH,
            "203.0.113.11",
            "2001:db8::11",
            [
                "addr add 203.0.113.11/24 dev eth0",
                "addr add 2001:db8::11/64 dev eth0 nodad",
                "route add default via 203.0.113.254",
                "route add default via 2001:db8::254",
            ],
        ),
    ],
)
def test_a_machine_has_an_address_and_a_way_out_of_each_of_its_families_and_of_no_other(
    family: Family, address: str, address6: str | None, lines: list[str]
) -> None:
    wiring = Wiring(11, Nat.NONE, family)
    assert str(wiring.public_address) == address
    assert wiring.public_address6 == (None if address6 is None else IPv6Address(address6))
    commands = configure_machine(wiring).splitlines()
    assert [line for line in commands if not line.startswith("link")] == lines


def test_no_two_machines_of_a_lab_share_a_cable_a_card_or_an_address() -> None:
    wirings = [Wiring(number, Nat.SYMMETRIC) for number in range(1, 251)]
    assert len({wiring.uplink for wiring in wirings}) == 250
    assert len({wiring.router for wiring in wirings}) == 250
    assert len({wiring.public_address for wiring in wirings}) == 250
    assert len({Wiring(number, Nat.NONE, Family.IPV6).public_address for number in range(1, 251)}) == 250
    assert len({wiring.mac(card) for wiring in wirings for card in (1, 2, 3)}) == 750
    assert max(len(wiring.uplink) for wiring in wirings) <= 15
