from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_network
from typing import Any

import pytest

from spokewire.network.names import MachineName, WireGuardKey
from spokewire.network.topology import InterfaceSpec, PeerSpec
from spokewire.wireguard.configuration import (
    Change,
    InterfaceObserved,
    PeerObserved,
    RemovePeer,
    SetInterface,
    SetPeer,
    diff_interface,
    find_strays,
    format_peers,
    format_wg_quick,
    parse_dump,
    place_added,
)
from tests.builders import make_wireguard_key

MINE, HUB, OTHER = (make_wireguard_key(word) for word in ("mine", "hub", "other"))
ROUTES: frozenset[IPv4Network | IPv6Network] = frozenset({ip_network("10.88.0.0/24"), ip_network("fd00::/64")})
PEER = PeerSpec(MachineName("hub-1"), HUB, ROUTES, "hub.example.com:51820", 25)
WANTED = InterfaceSpec((IPv4Interface("10.88.0.11/24"), IPv6Interface("fd00::b/64")), (PEER,))
ENDPOINTS = {"hub.example.com:51820": ["192.0.2.1:51820", "192.0.2.2:51820", "[2001:db8::1]:51820"]}


def observe(key: WireGuardKey = HUB, **changes: Any) -> PeerObserved:
    values: dict[str, Any] = {
        "public_key": key,
        "endpoint": "192.0.2.1:51820",
        "allowed_ips": ROUTES,
        "last_handshake_at": 1,
        "received_bytes": 0,
        "sent_bytes": 0,
        "keepalive_s": 25,
    }
    return PeerObserved(**(values | changes))


def found(*peers: PeerObserved, public_key: WireGuardKey | None = MINE, listen_port: int = 40000) -> InterfaceObserved:
    return InterfaceObserved(public_key, listen_port, {peer.public_key: peer for peer in peers})


def test_an_interface_that_is_right_is_not_touched() -> None:
    assert diff_interface(WANTED, MINE, found(observe()), ENDPOINTS) == []


def test_a_peer_at_another_of_its_places_is_left_there() -> None:
    assert diff_interface(WANTED, MINE, found(observe(endpoint="192.0.2.2:51820")), ENDPOINTS) == []


def test_a_peer_whose_place_we_do_not_know_is_left_where_it_roamed() -> None:
    wanted = replace(WANTED, peers=(replace(PEER, endpoint=None),))
    assert diff_interface(wanted, MINE, found(observe(endpoint="198.51.100.9:1234")), {}) == []
    assert diff_interface(WANTED, MINE, found(observe(endpoint="198.51.100.9:1234")), {}) == []


@pytest.mark.parametrize(
    ("observed", "reason"),
    [
        (found(), "it is missing"),
        (found(observe(allowed_ips=frozenset())), "its allowed IPs differ"),
        (found(observe(allowed_ips=ROUTES | {ip_network("0.0.0.0/0")})), "its allowed IPs differ"),
        (found(observe(keepalive_s=0)), "its keepalive differs"),
        (found(observe(endpoint=None)), "it has no endpoint"),
        (found(observe(endpoint="10.0.2.3:51820")), "its endpoint is one that nobody vouches for"),
        (found(observe(endpoint="192.0.2.1:1234")), "its endpoint is one that nobody vouches for"),
        (
            found(observe(endpoint="[2001:db8::1]:51820")),
            "its endpoint is of the family that we have no route for, or no longer prefer",
        ),
    ],
)
def test_a_peer_that_differs_is_set_once_with_the_reason(observed: InterfaceObserved, reason: str) -> None:
    assert diff_interface(WANTED, MINE, observed, ENDPOINTS) == [SetPeer(PEER, "192.0.2.1:51820", reason)]


def test_a_name_that_does_not_resolve_now_does_not_hold_the_peer_back() -> None:
    assert diff_interface(WANTED, MINE, found(), {}) == [SetPeer(PEER, None, "it is missing")]
    assert diff_interface(WANTED, MINE, found(observe(endpoint=None)), {}) == []


@pytest.mark.parametrize(
    ("public_key", "listen_port", "wanted_port", "reason"),
    [
        (None, 51820, 51820, "the private key is not set"),
        (OTHER, 51820, 51820, "the private key is another"),
        (MINE, 4000, 51820, "the listen port is 4000"),
        (None, 4000, None, "the private key is not set"),
    ],
)
def test_a_wrong_key_or_port_is_set_with_the_reason(
    public_key: WireGuardKey | None, listen_port: int, wanted_port: int | None, reason: str
) -> None:
    wanted = InterfaceSpec(WANTED.addresses, (), listen_port=wanted_port)
    observed = found(public_key=public_key, listen_port=listen_port)
    assert diff_interface(wanted, MINE, observed, {}) == [SetInterface(wanted_port, reason)]


def test_a_peer_that_is_added_again_is_called_where_it_was_last_unless_its_endpoint_is_named() -> None:
    roaming, named = PeerSpec(MachineName("n"), OTHER, ROUTES), SetPeer(PEER, "192.0.2.1:51820", "it is missing")
    places = {OTHER: "198.51.100.7:4321", PEER.public_key: "198.51.100.8:1"}
    added = SetPeer(roaming, None, "it is missing")
    assert place_added([added, named], found(), places) == [replace(added, endpoint=places[OTHER]), named]
    assert place_added([added], found(), {}) == [added]
    there = observe(OTHER, endpoint=None)
    assert place_added([added], found(there), places) == [added], "a peer that is there is left where it is"


def test_a_pinned_peer_strays_when_it_is_to_be_set_again_to_where_it_was_set_before() -> None:
    first, second, there = "192.0.2.1:51820", "192.0.2.2:51820", "192.0.2.3:51820"
    places = {place: [place] for place in (first, second, there)}
    peer = replace(PEER, endpoint=first, vouched=frozenset({second, there}), is_pinned=True)
    seen = found(observe(endpoint=second))

    def plan(wanted: PeerSpec, observed: InterfaceObserved) -> list[Change]:
        return diff_interface(replace(WANTED, peers=(wanted,)), MINE, observed, places)

    again = plan(peer, seen)
    assert [change.peer.public_key for change in again if isinstance(change, SetPeer)] == [HUB]
    assert find_strays(again, seen, {}) == {}, "it was not pinned before"
    assert find_strays(again, seen, {HUB: second}) == {}, "it is our own move"
    assert find_strays(again, seen, {HUB: first}) == {HUB: second}
    for wanted, observed in ((peer, found(observe(endpoint=first))), (replace(peer, is_pinned=False), seen)):
        assert plan(wanted, observed) == []
    gone = found()
    assert find_strays(plan(peer, gone), gone, {HUB: first}) == {}, "a peer that is missing is no stray"


def test_who_is_no_member_any_more_is_removed_before_others_are_added() -> None:
    changes = diff_interface(WANTED, MINE, found(observe(OTHER), public_key=None), ENDPOINTS)
    assert [type(change) for change in changes] == [SetInterface, RemovePeer, SetPeer]
    assert changes[1] == RemovePeer(OTHER, "it is not a member")


DUMP = f"(hidden)\t{MINE}\t51820\toff"


def test_what_wg_prints_is_read_whole() -> None:
    peer = f"{HUB}\t(none)\t192.0.2.1:51820\t10.88.0.0/24,fd00::/64\t1700000000\t10\t20\t25"
    bare = f"{OTHER}\t(none)\t(none)\t(none)\t0\t0\t0\toff"
    observed = parse_dump(f"{DUMP}\n{peer}\n{bare}\n")
    assert (observed.public_key, observed.listen_port) == (MINE, 51820)
    assert observed.peers[HUB] == observe(last_handshake_at=1_700_000_000, received_bytes=10, sent_bytes=20)
    assert observed.peers[OTHER] == observe(
        OTHER, endpoint=None, allowed_ips=frozenset(), last_handshake_at=None, keepalive_s=0
    )


def test_an_interface_without_a_key_has_none() -> None:
    assert parse_dump("(none)\t(none)\t0\toff\n") == InterfaceObserved(None, 0, {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "interface: wg0",
        "a\tb\tc",
        "a\tb\tc\td",
        f"{DUMP}\nx",
        f"{DUMP}\n\t\t\t\t\t\t\t",
        f"{DUMP}\n{HUB}\t(none)\t(none)\tnonsense\t0\t0\t0\toff",
        f"{DUMP}\n{HUB}\t(none)\t(none)\t(none)\tnever\t0\t0\toff",
    ],
)
def test_what_is_no_dump_is_refused_instead_of_being_taken_for_an_empty_interface(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_dump(text)


def test_peers_are_written_as_wg_addconf_reads_them() -> None:
    text = format_peers(
        [SetPeer(PEER, "192.0.2.1:51820", ""), SetPeer(PeerSpec(MachineName("n"), OTHER, ROUTES), None, "")]
    )
    assert text == (
        f"[Peer]\nPublicKey = {HUB}\nAllowedIPs = 10.88.0.0/24, fd00::/64\n"
        "Endpoint = 192.0.2.1:51820\nPersistentKeepalive = 25\n\n"
        f"[Peer]\nPublicKey = {OTHER}\nAllowedIPs = 10.88.0.0/24, fd00::/64\nPersistentKeepalive = off\n\n"
    )
    assert format_peers([]) == ""


def test_a_stock_client_gets_a_whole_wg_quick_file() -> None:
    assert format_wg_quick(WANTED, "SECRET=", "phone\nof network demo").splitlines() == [
        "# phone",
        "# of network demo",
        "[Interface]",
        "PrivateKey = SECRET=",
        "Address = 10.88.0.11/24, fd00::b/64",
        "MTU = 1420",
        "",
        "# hub-1",
        "[Peer]",
        f"PublicKey = {HUB}",
        "AllowedIPs = 10.88.0.0/24, fd00::/64",
        "Endpoint = hub.example.com:51820",
        "PersistentKeepalive = 25",
    ]
