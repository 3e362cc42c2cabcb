"""Hubs come, go and drain while traffic flows: every datagram is counted."""

import time

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.promises.failover import ADDRESS, share, wait_for_hubs
from tests.lab.promises.promise import Record, keep_word
from tests.lab.traffic import Flow
from tests.lab.world import Network, hub, nodes, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.promise]

MOVES_S = 60.0
SETTLES_S = 20.0
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
