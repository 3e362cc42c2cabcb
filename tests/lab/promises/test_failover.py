"""One of two hubs fails: how long nothing flows, whether a transfer survives, and whether anything is lost when it is back."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import permutations

import pytest

from spokewire.network.documents import HubPolicy
from spokewire.network.names import MachineName
from spokewire.network.paths import DOUBT_S
from spokewire.network.shares import find_share, name_pair
from tests.lab.conftest import MakeNetwork
from tests.lab.promises.failover import (
    ADDRESS,
    HUBS,
    Transfer,
    black_hole,
    find_paths,
    gather_on,
    mend,
    switch_off,
    switch_on,
    wait_for_paths,
)
from tests.lab.promises.promise import ROUNDS, Promise, Record, keep, keep_word
from tests.lab.promises.pulse import Pulse, answer
from tests.lab.traffic import Flow
from tests.lab.world import Network, hub, nodes, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.promise]

IN_USE_S, IDLE_S, RELAY_DEAD_S = 2.0, 5.0, 4.0
WATCH_S = 4.0
IDLE_PULSE_S = 10.0
DOWN_S = 3.0
FAIR_S = 90.0 + DOUBT_S * 2.0**ROUNDS
"""A hub has to answer for fifteen seconds before pairs go back to it, then be better for as long; one whose relay was dead is doubted twice as long each time,
and a fault before may have made a doubt of its own."""

NODE_1_OUTSIDE = "203.0.113.11"
"""Its router's address in the lab's internet."""

Break = Callable[[Network, str], None]
Paths = dict[tuple[str, str], str]


@dataclass(frozen=True)
class Fault:
    """What happens to a hub, for how long traffic may stop, and how it is mended."""

    what: str
    limit_s: float
    fail: Break
    recover: Break


def stop_relaying(network: Network, machine: str) -> None:
    """Its API and its echoes answer, but it switches nothing: what a defect of the relay would look like."""
    text = "add table inet broken; add chain inet broken stop { type filter hook forward priority 10; policy drop; }"
    network.exec(machine, "nft", text)


def relay_again(network: Network, machine: str) -> None:
    network.exec(machine, "nft", "delete", "table", "inet", "broken")


def cut_off(network: Network, machine: str) -> None:
    """node-1 and the hub do not hear each other any more; everybody else does."""
    text = (
        "add table inet broken; add chain inet broken in { type filter hook prerouting priority -400; };"
        f"add rule inet broken in ip saddr {NODE_1_OUTSIDE} drop"
    )
    network.exec(machine, "nft", text)


FAULTS = [
    Fault("active hub switched off", IN_USE_S, switch_off, switch_on),
    Fault("active hub black-holed", IN_USE_S, black_hole, mend),
    Fault("active hub and one of the two nodes do not reach each other", IN_USE_S, cut_off, relay_again),
    Fault("active hub's relay dead, its API and echoes alive", RELAY_DEAD_S, stop_relaying, relay_again),
]


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    made = make_module_network(hub("hub-2"), nodes(count=3))
    made.deploy()
    answer(made, *ADDRESS)
    wait_until(lambda: made.status()["state"] == "connected", 30, "all is connected")
    return made


@pytest.fixture(scope="module")
def fair(network: Network) -> Paths:
    """The path of each pair while nothing is wrong: its share of two equal hubs."""
    hubs = {MachineName(name): HubPolicy() for name in HUBS}
    paths = {(one, other): f"via {find_share(name_pair(one, other), hubs)}" for one, other in permutations(ADDRESS, 2)}
    assert set(paths.values()) == {f"via {name}" for name in HUBS}, "pairs are spread over both hubs"
    wait_for_paths(network, paths, FAIR_S)
    return paths


@pytest.fixture(scope="module")
def in_use(network: Network, fair: Paths) -> Pulse:
    """node-1 talks to both others, whichever hub each goes through."""
    pulse = Pulse(network, "node-1", {name: ADDRESS[name] for name in ("node-2", "node-3")})
    pulse.wait_for_flow()
    return pulse


@pytest.fixture(scope="module")
def flow(network: Network, in_use: Pulse) -> Flow:
    """A hundred datagrams a second between two nodes, each of which is counted."""
    return Flow(network, "node-1", "node-2", ADDRESS["node-2"])


@contextmanager
def told_on_failure(network: Network) -> Iterator[None]:
    """What the nodes have to say when a promise is not kept."""
    try:
        yield
    except AssertionError:
        print(network.run("history", "--since", "5m", expect=None).out)
        raise


def find_victim(network: Network) -> str:
    """The hub that carries every pair: the one that they went to in the test before, or the first."""
    found = set(find_paths(network).values())
    if len(found) > 1:
        gather_on(network, HUBS[0])
        return HUBS[0]
    return found.pop().removeprefix("via ")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(FAULTS[0], id="off"),
        pytest.param(FAULTS[1], id="black-holed", marks=pytest.mark.long),
        pytest.param(FAULTS[2], id="one-sided", marks=pytest.mark.long),
        pytest.param(FAULTS[3], id="relay-dead", marks=pytest.mark.long),
    ],
)
def test_pairs_in_use_and_idle_ones_go_on_through_the_other_hub(
    network: Network, fair: Paths, in_use: Pulse, flow: Flow, record_property: Record, fault: Fault
) -> None:
    """After the first fault, and in `make promises` after each, it is waited until the pairs are back where they were."""
    used, idle, backs = [], [], []
    for _ in range(ROUNDS):
        victim = find_victim(network)
        in_use.wait_for_flow()
        transfer = Transfer(network, "node-1", "node-2", ADDRESS["node-2"])
        since = time.time()
        fault.fail(network, victim)
        pulse = Pulse(network, "node-3", {"node-2": ADDRESS["node-2"]}, for_s=IDLE_PULSE_S)
        used += [in_use.measure(name, since, WATCH_S) for name in ("node-2", "node-3")]
        idle.append(pulse.measure("node-2", since, WATCH_S))
        transfer.wait_for_end()
        back = time.time()
        fault.recover(network, victim)
        wait_until(lambda: network.status()["state"] == "connected", 40, "all is connected")
        if ROUNDS > 1 or fault.fail is switch_off:
            with told_on_failure(network):
                wait_for_paths(network, fair, FAIR_S)
        flow.wait_for(300, 30)
        backs.append(flow.lost_since(back))
    with told_on_failure(network):
        keep(record_property, Promise(f"{fault.what}, pair in use", fault.limit_s), used)
        if fault.fail is not cut_off:
            # That fault does not concern the idle pair.
            keep(record_property, Promise(f"{fault.what}, pair idle", IDLE_S), idle)
        what = f"{sum(backs)} lost of a hundred a second"
        keep_word(record_property, f"{fault.what}, then back", "no packet lost", what, is_kept=not sum(backs))


@pytest.mark.long
def test_traffic_flows_again_when_both_hubs_were_gone_and_one_is_back(
    network: Network, in_use: Pulse, record_property: Record
) -> None:
    """Counted from when the command begins that puts back the cable of one; those of both had been drawn."""
    figures = []
    for _ in range(ROUNDS):
        in_use.wait_for_flow()
        for name in HUBS:
            black_hole(network, name)
        time.sleep(DOWN_S)
        assert all(time.time() - in_use.hears(name) > 1 for name in ("node-2", "node-3"))
        back_at = time.time()
        mend(network, HUBS[1])
        figures.append(max(in_use.measure(name, back_at, WATCH_S) for name in ("node-2", "node-3")))
        mend(network, HUBS[0])
        wait_until(lambda: network.status()["state"] == "connected", 40, "all is connected")
    with told_on_failure(network):
        keep(record_property, Promise("both hubs black-holed, one is back, pair in use", IDLE_S), figures)
