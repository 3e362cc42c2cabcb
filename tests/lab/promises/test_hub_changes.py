"""Hubs come, go and drain while traffic flows: every datagram is counted."""

import time

import pytest

from spokewire.lab.machine import Machines
from spokewire.lab.world import find_world
from spokewire.network.names import MachineName
from spokewire.network.spec import Nat
from tests.lab import breakage
from tests.lab.conftest import MakeNetwork
from tests.lab.promises.failover import ADDRESS, find_moves, share, wait_for_hubs
from tests.lab.promises.promise import Record, keep_word
from tests.lab.traffic import Flow
from tests.lab.world import Network, hub, nodes, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.promise]

MOVES_S = 60.0
SETTLES_S = 20.0
AWAY_S = 8.0
TABLES = (hub("hub-2"), nodes(count=3))


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    made = make_module_network(*TABLES)
    made.deploy()
    wait_until(lambda: made.status()["state"] == "connected", 30, "all is connected")
    return made


@pytest.fixture(scope="module")
def flows(network: Network) -> list[Flow]:
    """A hundred datagrams a second for each of two pairs."""
    made = [Flow(network, "node-1", name, ADDRESS[name]) for name in ("node-2", "node-3")]
    for flow in made:
        flow.wait_for(50, 20)
    return made


def lost_since(flows: list[Flow], at: float) -> str:
    """Told as the promise tells it; two more seconds pass, in which the last answers may come."""
    for flow in flows:
        flow.wait_for(250, 30)
    return f"{sum(flow.lost_since(at) for flow in flows)} lost of two hundred a second"


def test_draining_a_hub_moves_everything_away_and_loses_nothing(
    network: Network, flows: list[Flow], record_property: Record
) -> None:
    time.sleep(SETTLES_S)
    since = time.time()
    network.want(hub("hub-2", "drain = true"), nodes(count=3))
    network.deploy()
    wait_for_hubs(network, {"hub-1"}, MOVES_S)
    moved_s = time.time() - since
    told = lost_since(flows, since)
    network.want(*TABLES)
    network.deploy()
    wait_for_hubs(network, share("hub-1", "hub-2"), MOVES_S)
    back = lost_since(flows, since + moved_s)
    measured = f"{told}; all had moved {moved_s:.1f} s after the command began; taken back into use: {back}"
    is_kept = told.startswith("0 ") and back.startswith("0 ")
    keep_word(record_property, "a hub drains, and is taken back", "no packet lost", measured, is_kept=is_kept)


def test_a_node_whose_agent_is_away_is_left_where_its_packets_arrive(
    network: Network, flows: list[Flow], record_property: Record
) -> None:
    """Its WireGuard goes on, and announces nothing to other hubs: to move its pairs would be the one thing that could lose packets."""
    since = time.time()
    breakage.kill_daemon(network, "node-2")
    time.sleep(AWAY_S)
    moves = find_moves(network, since, "node-1")
    breakage.start_daemon(network, "node-2")
    wait_until(lambda: network.status()["state"] == "connected", 40, "the agent is back")
    print(*moves, sep="\n")
    measured = f"{lost_since(flows, since)}; pairs moved meanwhile: {len(moves)}"
    is_kept = measured.startswith("0 ") and not moves
    keep_word(record_property, "an agent is away, two hubs", "no packet lost, no pair moved", measured, is_kept=is_kept)


@pytest.mark.long
def test_a_hub_that_is_made_anew_at_another_address_is_learnt_through_the_other(
    network: Network, flows: list[Flow], record_property: Record
) -> None:
    world = find_world(network.folder / ".spokewire/lab")
    assert world is not None
    machines = Machines(world)
    before = find_address(network, "hub-2")
    machines.destroy(machines.find("hub-2"))
    machines.create(MachineName("other-2"), "hub", Nat.NONE, None)
    wait_for_hubs(network, {"hub-1"}, MOVES_S)
    since = time.time()
    assert "hub-2: ready" in network.deploy("--yes").err
    after = find_address(network, "hub-2")
    assert (before, after) == ("203.0.113.2", "203.0.113.3"), "the old address is another machine's by then"
    wait_for_hubs(network, share("hub-1", "hub-2"), MOVES_S)
    told = lost_since(flows, since)
    what = "a hub is made anew, and has another address"
    measured = f"{told}, from the deploy on; its pairs came back to it"
    keep_word(record_property, what, "no packet lost", measured, is_kept=told.startswith("0 "))


def find_address(network: Network, name: str) -> str:
    return str(next(hub["address"] for hub in network.status()["hubs"] if hub["name"] == name))


@pytest.mark.long
def test_a_hub_is_added_drained_and_removed_while_traffic_flows(
    network: Network, flows: list[Flow], record_property: Record
) -> None:
    since = time.time()
    network.want(hub("hub-2"), hub("hub-3"), nodes(count=3))
    network.deploy()
    wait_for_hubs(network, share("hub-1", "hub-2", "hub-3"), MOVES_S)
    added = lost_since(flows, since)
    network.want(hub("hub-2"), hub("hub-3", "drain = true"), nodes(count=3))
    network.deploy()
    wait_for_hubs(network, share("hub-1", "hub-2"), MOVES_S)
    since = time.time()
    network.want(*TABLES)
    network.deploy("--yes")
    removed = lost_since(flows, since)
    measured = f"added: {added}; removed: {removed}"
    is_kept = added.startswith("0 ") and removed.startswith("0 ")
    keep_word(record_property, "a hub is added, later drained and removed", "no packet lost", measured, is_kept=is_kept)
