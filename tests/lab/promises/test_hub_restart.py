"""The hub's processes are killed and started again: pairs in use and idle ones, sealed and routed."""

import time

import pytest

from tests.lab import breakage
from tests.lab.conftest import MakeNetwork
from tests.lab.promises.promise import ROUNDS, Promise, Record, keep
from tests.lab.promises.pulse import HUB, Pulse, answer
from tests.lab.traffic import ApiWatch
from tests.lab.world import Network, nodes

pytestmark = [pytest.mark.lab, pytest.mark.promise]

IN_USE_S, IDLE_S, DEVICE_S = 2.0, 5.0, 3.0
DOWN_S = 3.0
"""How long the hub stays away: longer than silence takes to be noticed."""
WATCH_S = 4.0
START_S = 90.0
"""Waited for, not promised: the promise is counted from the first answer of the hub's API."""
IDLE_PULSE_S = 12.0
IDLE_AGAIN_S = 12.0
"""An agent takes a pair for one in use until ten seconds after its last traffic."""
ADDRESS = {"node-1": "10.88.0.11", "node-2": "10.88.0.12", "node-3": "10.88.0.13", HUB: "10.88.0.1"}


@pytest.fixture(scope="module", params=["sealed", "routed"])
def relay(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork, relay: str) -> Network:
    made = make_module_network(nodes(count=3))
    made.spec.write_text(made.spec.read_text().replace('"sealed"', f'"{relay}"'))
    made.deploy()
    answer(made, "node-1", "node-2", "node-3")
    return made


@pytest.fixture(scope="module")
def in_use(network: Network) -> Pulse:
    pulse = Pulse(network, "node-1", {name: ADDRESS[name] for name in ("node-2", HUB)})
    pulse.wait_for_flow()
    return pulse


@pytest.fixture(scope="module")
def api(network: Network) -> ApiWatch:
    return ApiWatch(network, "node-3")


def test_no_traffic_stops_while_the_hubs_daemon_is_killed_and_restarted(
    network: Network, relay: str, in_use: Pulse, api: ApiWatch, record_property: Record
) -> None:
    """Between the nodes it is never interrupted; the limit is that of a pair in use, counted from the kill."""
    figures = []
    for _ in range(ROUNDS):
        in_use.wait_for_flow()
        since = time.time()
        breakage.kill_daemon(network, HUB)
        breakage.start_daemon(network, HUB)
        api.wait_for_answer(since, START_S)
        figures.append(max(in_use.measure(name, since, WATCH_S) for name in ("node-2", HUB)))
    keep(record_property, Promise(f"hub's daemon killed and restarted, {relay}, pair in use", IN_USE_S), figures)


def test_traffic_flows_again_after_the_hubs_wireguard_go_is_killed(
    network: Network, relay: str, in_use: Pulse, record_property: Record
) -> None:
    figures = []
    for _ in range(ROUNDS):
        in_use.wait_for_flow()
        since = time.time()
        breakage.kill_device(network, HUB)
        figures.append(max(in_use.measure(name, since, WATCH_S) for name in ("node-2", HUB)))
    keep(record_property, Promise(f"hub's wireguard-go killed, {relay}, pair in use", DEVICE_S), figures)


def test_pairs_in_use_and_idle_ones_hear_each_other_soon_after_all_of_the_hub_was_killed_and_is_back(
    network: Network, relay: str, in_use: Pulse, api: ApiWatch, record_property: Record
) -> None:
    """Counted from the first answer of the hub's API, which comes before its tunnel is up."""
    used, idle, ended_at = [], [], time.time()
    for number in range(ROUNDS):
        in_use.wait_for_flow()
        time.sleep(max(0.0, ended_at + IDLE_AGAIN_S - time.time()) if number else 0.0)
        breakage.kill_all_of_ours(network, HUB)
        time.sleep(DOWN_S)
        begun = time.time()
        breakage.start_daemon(network, HUB)
        back_at = api.wait_for_answer(begun, START_S)
        pulse = Pulse(network, "node-3", {"node-2": ADDRESS["node-2"]}, for_s=IDLE_PULSE_S)
        used.append(max(in_use.measure(name, back_at, WATCH_S) for name in ("node-2", HUB)))
        idle.append(pulse.measure("node-2", back_at, WATCH_S))
        ended_at = back_at + IDLE_PULSE_S
    what = f"hub's daemon and wireguard-go killed, 3 s later restarted, {relay}"
    line = [Promise(f"{what}, pair in use", IN_USE_S), Promise(f"{what}, pair idle", IDLE_S)]
    keep(record_property, line[0], used)
    keep(record_property, line[1], idle)
