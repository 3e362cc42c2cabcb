"""Time that stands still for a process, and time that is set back for a machine: seconds later all is as before, and told so.

A process is stopped (SIGSTOP) and continued, as by a debugger, a full cgroup or a frozen virtual machine.

Nobody touches the clock of the computer that runs this: a node's hub and its peer are made to believe that it was set back. What a clock does to WireGuard is
that handshakes are refused from then on, by everybody who has seen a later one. The real clock is set in `make test-kernel`, where the machine is an emulated one.
"""

import json
import os
import time
from typing import Any

import pytest

from tests.lab import breakage
from tests.lab.conftest import MakeNetwork
from tests.lab.initiator import forget_sessions, send_from_the_future
from tests.lab.promises.promise import ROUNDS, Promise, Record, keep
from tests.lab.promises.pulse import HUB, Pulse, answer
from tests.lab.world import DAEMON, Network, nodes, wait_until

pytestmark = pytest.mark.promise

ADDRESS = {"node-1": "10.88.0.11", "node-2": "10.88.0.12", HUB: "10.88.0.1"}
SECONDS_S = 6.0
LONG_S = float(os.environ.get("PROMISE_STOPPED_S") or 120)
LIMIT_S = 5.0
REFUSED_S = 1.5
"""A handshake that nobody refuses takes a round trip."""
WATCH_S = 7.0
NO_GAP_S = 1.0
"""Packets do not need an agent."""


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    made = make_module_network(nodes(count=2))
    made.deploy()
    answer(made, "node-1", "node-2")
    return made


@pytest.fixture(scope="module")
def pulse(network: Network) -> Pulse:
    """Traffic from node-1 to its peer and its hub."""
    made = Pulse(network, "node-1", {name: ADDRESS[name] for name in ("node-2", HUB)})
    made.wait_for_flow()
    return made


def is_told_well(network: Network) -> bool:
    """Whether both nodes say that they and all others are connected, and that nothing is wrong."""
    for machine in ("node-1", "node-2"):
        text = network.exec(machine, "curl", "-s", "-m", "1", "http://127.0.0.1:8000/status", expect=None).out
        told: Any = json.loads(text or "{}")
        others = [one["state"] for one in [*told.get("hubs", []), *told.get("peers", [])]]
        if [told.get("state"), *others] != ["connected"] * 3 or told["issues"]:
            return False
    return True


SHORT = pytest.mark.lab
LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("machine", "pattern", "what", "stopped_s"),
    [
        pytest.param("node-1", DAEMON, "a node's agent", SECONDS_S, marks=SHORT, id="agent"),
        pytest.param(HUB, DAEMON, "the hub's daemon", SECONDS_S, marks=SHORT, id="hub"),
        pytest.param("node-1", DAEMON, "a node's agent", LONG_S, marks=LONG, id="agent, long"),
        pytest.param(HUB, DAEMON, "the hub's daemon", LONG_S, marks=LONG, id="hub, long"),
        pytest.param("node-1", breakage.DEVICE, "a node's wireguard-go", LONG_S, marks=LONG, id="device, long"),
    ],
)
def test_all_is_well_and_told_so_seconds_after_what_was_stopped_is_continued(
    network: Network, pulse: Pulse, record_property: Record, *, machine: str, pattern: str, what: str, stopped_s: float
) -> None:
    wait_until(lambda: is_told_well(network), 40, "all is well before")
    pulse.wait_for_flow()
    [process] = map(str, network.find(machine, pattern))
    stopped_at = time.time()
    network.exec(machine, "kill", "-STOP", process)
    time.sleep(stopped_s)
    since = time.time()
    # A device that is deaf for long is replaced by the agent: then there is nothing left to continue.
    network.exec(machine, "kill", "-CONT", process, expect=None)
    wait_until(lambda: is_told_well(network), 40, "both nodes say that all is well")
    told_s = time.time() - since
    flows_s = max(pulse.measure(name, since, 3.0) for name in ("node-2", HUB))
    if pattern == DAEMON:
        assert pulse.longest_gap_s("node-2", stopped_at) < NO_GAP_S
    print(f"measured: {what} stopped for {stopped_s:g} s: told after {told_s:.2f} s, traffic after {flows_s:.2f} s")
    keep(record_property, Promise(f"{what} stopped for {stopped_s:g} s and continued", LIMIT_S), [max(told_s, flows_s)])


@pytest.mark.lab
@pytest.mark.parametrize(("struck", "other"), [("node-1", "node-2"), ("node-2", "node-1")])
def test_a_node_whose_clock_was_set_back_loses_its_traffic_for_seconds_when_its_sessions_end(
    network: Network, record_property: Record, struck: str, other: str
) -> None:
    """Of two nodes the one with the lower number calls first: either may be the one that is refused."""
    pulse = Pulse(network, struck, {name: ADDRESS[name] for name in (other, HUB)})
    figures: dict[str, list[float]] = {other: [], HUB: []}
    for _ in range(ROUNDS):
        pulse.wait_for_flow()
        for target in figures:
            send_from_the_future(network, struck, target)
        time.sleep(1)
        since = time.time()
        forget_sessions(network, struck)
        for name, found in figures.items():
            found.append(pulse.measure(name, since, WATCH_S))
    assert min(min(found) for found in figures.values()) > REFUSED_S, f"nothing was refused: {figures}"
    caller = "it calls first" if struck == "node-1" else "the other calls first"
    keep(record_property, Promise(f"clock set back 1 h, sessions over: to the hub ({caller})", LIMIT_S), figures[HUB])
    keep(record_property, Promise(f"clock set back 1 h, sessions over: to a peer ({caller})", LIMIT_S), figures[other])
