"""Lines that lose packets for minutes: a hub that loses many is left, and a node that loses some makes no pair go back and forth."""

import os
import time

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.promises.failover import find_moves, mend, share, wait_for_hubs
from tests.lab.promises.promise import Promise, Record, keep, keep_word
from tests.lab.world import Network, hub, nodes, wait_until

pytestmark = [pytest.mark.long, pytest.mark.promise]

DURATION_S = float(os.environ.get("PROMISE_SECONDS") or 600)
MOVES_S = 90.0
LEFT_S = 90.0
"""Loss is judged by the last minute, and has to be worse for fifteen seconds."""


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    made = make_module_network(hub("hub-2"), nodes(count=3))
    made.deploy()
    wait_until(lambda: made.status()["state"] == "connected", 30, "all is connected")
    return made


def test_no_pair_goes_back_and_forth_on_a_line_that_loses_a_tenth(network: Network, record_property: Record) -> None:
    wait_for_hubs(network, share("hub-1", "hub-2"), MOVES_S)
    network.run("lab", "link", "node-1", "loss=10%")
    since = time.time()
    time.sleep(DURATION_S)
    moves = find_moves(network, since)
    print(*moves, sep="\n")
    mend(network, "node-1")
    fault = f"10 % loss each way at one node for {DURATION_S / 60:.2g} minutes"
    keep_word(record_property, fault, "no pair changes its path", f"{len(moves)} changes", is_kept=not moves)


def test_a_hub_that_loses_a_third_of_its_packets_is_left(network: Network, record_property: Record) -> None:
    wait_for_hubs(network, share("hub-1", "hub-2"), MOVES_S)
    since = time.time()
    network.run("lab", "link", "hub-2", "loss=30%")
    wait_for_hubs(network, {"hub-1"}, LEFT_S)
    keep(record_property, Promise("a hub loses 30 % each way: all pairs have left it", LEFT_S), [time.time() - since])
    mend(network, "hub-2")
