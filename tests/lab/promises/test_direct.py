"""Direct paths: which pairs of NATs let them be, by what the nodes say and by what really passes the hub."""

import time
from itertools import combinations_with_replacement

import pytest

from tests.lab import breakage
from tests.lab.conftest import MakeNetwork
from tests.lab.promises.passing import (
    LAN,
    Counters,
    choose_size,
    connect_by_cable,
    count_passing,
    find_endpoint,
    wait_for_pairs,
)
from tests.lab.promises.pulse import Pulse, answer
from tests.lab.world import Network, nodes

pytestmark = [pytest.mark.lab, pytest.mark.promise]

KINDS = {"open": "none", "cone": "full-cone", "port": "port-restricted", "sym": "symmetric"}
NAMES = [f"{kind}-{number}" for kind in KINDS for number in (1, 2)]
MATRIX = [(f"{a}-1", f"{b}-{2 if a == b else 1}") for a, b in combinations_with_replacement(KINDS, 2)]
"""Every kind of NAT with every kind, each by one pair."""
VIA_HUB = {("port-1", "sym-1"), ("sym-1", "sym-2")}
"""A symmetric NAT gives each destination another port, which one that filters by port does not let in (RFC 5128 section 3.3.5)."""
NEIGHBOURS = ("port-2", "sym-2")
"""A pair that needs a hub, unless the two are in one LAN."""
DEAF = ("open-2", "cone-2")
"""A pair of which the second may open no packet socket."""
SIZES = {pair: choose_size(number) for number, pair in enumerate([*MATRIX, NEIGHBOURS, DEAF])}
FIRST_TRIES_S = 45.0
"""One on the first seconds, one ten seconds later, one twenty seconds later."""
WITHOUT_RAW = (
    "setpriv --bounding-set=-net_raw --inh-caps=-net_raw sh /run/disk/boot < /dev/null >> /run/disk/daemon.log 2>&1 &"
)
"""The agent starts as in a container that lacks CAP_NET_RAW."""
NO_TRY_S = 8.0
"""Any other pair would have tried long ago."""
IN_USE = 20
"""Of the datagrams of a pair in use so many pass in the time of a count, or none."""


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    made = make_module_network(*(nodes(f"{kind}-{n}", nat=nat) for kind, nat in KINDS.items() for n in (1, 2)))
    made.spec.write_text(made.spec.read_text().replace("[network]\n", "[network]\ndirect = true\n"))
    made.deploy()
    answer(made, *NAMES)
    return made


@pytest.fixture(scope="module")
def address(network: Network) -> dict[str, str]:
    return {node["name"]: node["overlay_ip"] for node in network.status()["nodes"]}


def talk(network: Network, address: dict[str, str], pairs: list[tuple[str, str]], for_s: float) -> None:
    for source in dict.fromkeys(one for one, _ in pairs):
        targets = [other for one, other in pairs if one == source]
        pulse = Pulse(
            network,
            source,
            {name: address[name] for name in targets},
            for_s,
            {name: SIZES[source, name] for name in targets},
        )
        pulse.wait_for_flow()


def test_each_pair_of_nats_goes_directly_where_it_can_and_no_datagram_of_it_passes_the_hub(
    network: Network, address: dict[str, str]
) -> None:
    talk(network, address, MATRIX, 3600)
    hub = Counters(network, "hub-1", SIZES.values())
    ends = {name: Counters(network, name, SIZES.values()) for name in NAMES}
    wait_for_pairs(network, {pair: pair not in VIA_HUB for pair in MATRIX}, FIRST_TRIES_S)
    at_hub, at_nodes = count_passing([hub], ends)
    for one, other in MATRIX:
        size, told = SIZES[one, other], "via hub-1" if (one, other) in VIA_HUB else "direct"
        line = f"{at_nodes[size]} datagrams at the nodes, {at_hub[size]} at the hub"
        print(
            f"measured: {KINDS[one[:-2]]} and {KINDS[other[:-2]]}: {told}; {line}; to {find_endpoint(network, one, other)}"
        )
    for pair in MATRIX:
        size = SIZES[pair]
        assert at_nodes[size] >= IN_USE, pair
        assert at_hub[size] >= IN_USE if pair in VIA_HUB else at_hub[size] == 0, pair


def test_two_nodes_in_one_lan_find_each_other_there_whatever_their_nats_are(
    network: Network, address: dict[str, str]
) -> None:
    connect_by_cable(network, *NEIGHBOURS)
    talk(network, address, [NEIGHBOURS], 3600)
    wait_for_pairs(network, {NEIGHBOURS: True}, FIRST_TRIES_S)
    print(f"measured: port-restricted and symmetric in one LAN: direct; to {find_endpoint(network, *NEIGHBOURS)}")
    places = [find_endpoint(network, one, other).rpartition(":")[0] for one, other in (NEIGHBOURS, NEIGHBOURS[::-1])]
    assert places == [LAN[1], LAN[0]]


def test_a_node_that_may_open_no_packet_socket_uses_its_hub_and_says_so_once(
    network: Network, address: dict[str, str]
) -> None:
    breakage.kill_daemon(network, DEAF[1])
    network.exec(DEAF[1], "sh", "-c", WITHOUT_RAW)
    talk(network, address, [DEAF], 3600)
    node = network.wait_for_node(DEAF[1], "connected")
    time.sleep(NO_TRY_S)
    wait_for_pairs(network, {DEAF: False}, 5)
    assert [issue["code"] for issue in node["issues"]] == ["permission"], node["issues"]
    log = network.run("lab", "logs", DEAF[1]).out.splitlines()
    assert sum("may not open a packet socket" in line for line in log) == 1
