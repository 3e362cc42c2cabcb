"""The hub's API is away, and a node is rebooted meanwhile: traffic flows."""

import os
import time

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.promises.promise import Record, keep_word
from tests.lab.promises.pulse import HUB, Pulse, answer
from tests.lab.world import Network, nodes, wait_until

pytestmark = pytest.mark.promise

DURATION_S = float(os.environ.get("PROMISE_SECONDS") or 600)
SECONDS_S = 12.0
ADDRESS = {"node-1": "10.88.0.11", "node-2": "10.88.0.12", "node-3": "10.88.0.13", HUB: "10.88.0.1"}
CUT = "table inet away { chain i { type filter hook input priority -300; tcp dport 443 drop; }; }"
"""A table of the test's own: the hub's daemon and its tunnel run on, and nobody reaches its API."""
GAP_S = 3.0
"""What is promised is that traffic flows: answers that are late are not missing, and the test machine is slow at times."""
BOOT_S = 15.0
"""From power on to traffic: the agent starts, reads its roster from its disk, and shakes hands. Nothing is promised here but that it comes."""


@pytest.mark.parametrize(
    "away_s",
    [
        pytest.param(SECONDS_S, marks=pytest.mark.lab, id="seconds"),
        pytest.param(DURATION_S, marks=pytest.mark.long, id="ten minutes"),
    ],
)
def test_traffic_flows_while_the_hubs_api_is_away_with_a_node_that_is_rebooted_meanwhile(
    make_network: MakeNetwork, record_property: Record, away_s: float
) -> None:
    network = make_network(nodes(count=3))
    network.deploy()
    answer(network, "node-1", "node-2", "node-3")
    pulse = Pulse(network, "node-1", {name: ADDRESS[name] for name in ("node-2", "node-3", HUB)})
    pulse.wait_for_flow()
    network.exec(HUB, "nft", CUT)
    begun_at = time.time()
    wait_until(lambda: not follows(network), 60, "the nodes have lost the API")
    time.sleep(max(0.0, begun_at + away_s / 2 - time.time()))

    network.run("lab", "kill", "node-3")
    time.sleep(2)
    booted_at = time.time()
    network.run("lab", "restart", "node-3")
    answer(network, "node-3")
    back_s = pulse.measure("node-3", booted_at, 3.0)
    back_s = max(back_s, own(network).measure("node-1", booted_at, 3.0))
    time.sleep(max(0.0, begun_at + away_s - time.time()))
    assert not follows(network), "the API was away all the time"
    gaps_s = {name: pulse.longest_gap_s(name, begun_at) for name in ("node-2", HUB)}
    pulse.wait_for_flow()
    network.exec(HUB, "nft", "delete table inet away")
    wait_until(lambda: network.status()["state"] == "connected", 40, "all is well again")

    how_long = f"{away_s / 60:g} minutes" if away_s >= 60 else f"{away_s:g} s"
    measured = (
        f"longest time without an answer {max(gaps_s.values()):.2f} s; the rebooted node {back_s:.1f} s after power on"
    )
    kept = max(gaps_s.values()) < GAP_S and back_s < BOOT_S
    fault = f"hub API away for {how_long}, node rebooted meanwhile"
    keep_word(record_property, fault, "traffic flows", measured, is_kept=kept)


def own(network: Network) -> Pulse:
    """Traffic of the rebooted node's own."""
    return Pulse(network, "node-3", {"node-1": ADDRESS["node-1"]}, for_s=30.0)


def follows(network: Network) -> bool:
    """Whether a node that was not rebooted gets news from the hub's API."""
    status = network.exec("node-1", "curl", "-s", "http://127.0.0.1:8000/status").data
    return bool(status["roster_age_s"] == 0.0)
