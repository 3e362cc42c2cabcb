"""One of two hubs fails: how long nothing flows, and whether anything is lost when it is back."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.promises.promise import ROUNDS, Promise, Record, keep
from tests.lab.promises.pulse import Pulse, answer
from tests.lab.world import Network, hub, nodes, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.promise]

IN_USE_S, IDLE_S, RELAY_DEAD_S = 2.0, 5.0, 4.0
WATCH_S = 4.0
BACK_S = 0.3
"""Six questions in a row: less is no interruption."""
SETTLED_S = 60.0
"""A hub has to answer for fifteen seconds before pairs go back to it."""
ADDRESS = {"node-1": "10.88.0.11", "node-2": "10.88.0.12", "node-3": "10.88.0.13"}
HUBS = ("hub-1", "hub-2")

Break = Callable[[Network, str], None]


@dataclass(frozen=True)
class Fault:
    """What happens to a hub, for how long traffic may stop, and how it is mended."""

    what: str
    limit_s: float
    fail: Break
    recover: Break


def switch_off(network: Network, machine: str) -> None:
    network.run("lab", "kill", machine)


def switch_on(network: Network, machine: str) -> None:
    network.run("lab", "restart", machine)


def black_hole(network: Network, machine: str) -> None:
    network.run("lab", "link", machine, "loss=100%")


def mend(network: Network, machine: str) -> None:
    network.run("lab", "link", machine, "up")


def stop_relaying(network: Network, machine: str) -> None:
    """Its API and its echoes answer, but it switches nothing: what a defect of the relay would look like."""
    network.exec(
        machine,
        "nft",
        "add",
        "chain",
        "inet",
        "broken",
        "drop",
        "{ type filter hook forward priority 10; policy drop ; }",
    )


def relay_again(network: Network, machine: str) -> None:
    network.exec(machine, "nft", "delete", "table", "inet", "broken")


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    made = make_module_network(hub("hub-2"), nodes(count=3))
    made.deploy()
    answer(made, *ADDRESS)
    return made


@pytest.fixture(scope="module")
def in_use(network: Network) -> Pulse:
    """node-1 talks to both others, whichever hub each goes through."""
    pulse = Pulse(network, "node-1", {name: ADDRESS[name] for name in ("node-2", "node-3")})
    pulse.wait_for_flow()
    return pulse


def find_paths(network: Network) -> dict[tuple[str, str], str]:
    """The path of each pair, as the nodes tell it."""
    return {(node["name"], peer["name"]): peer["path"] for node in network.status()["nodes"] for peer in node["peers"]}


def gather_on(network: Network, name: str) -> None:
    """Have every pair go through one hub, by cutting the other off for a moment."""
    other = next(hub for hub in HUBS if hub != name)
    black_hole(network, other)
    wait_until(lambda: set(find_paths(network).values()) == {f"via {name}"}, 20, f"all go via {name}")
    mend(network, other)
    wait_until(lambda: network.status()["state"] == "connected", 30, f"{other} is back")


@pytest.mark.parametrize(
    "fault",
    [
        Fault("active hub switched off", IN_USE_S, switch_off, switch_on),
        Fault("active hub black-holed", IN_USE_S, black_hole, mend),
        Fault("active hub's relay dead, its API and echoes alive", RELAY_DEAD_S, stop_relaying, relay_again),
    ],
    ids=["off", "black-holed", "relay dead"],
)
def test_a_pair_in_use_goes_on_through_the_other_hub(
    network: Network, in_use: Pulse, record_property: Record, fault: Fault
) -> None:
    figures, backs = [], []
    for _ in range(ROUNDS):
        gather_on(network, "hub-1")
        in_use.wait_for_flow()
        if fault.fail is stop_relaying:
            network.exec("hub-1", "nft", "add", "table", "inet", "broken")
        since = time.time()
        fault.fail(network, "hub-1")
        for name in ("node-2", "node-3"):
            in_use.measure(name, since, WATCH_S)
            figures.append(in_use.longest_gap_s(name, since))
        back = time.time()
        fault.recover(network, "hub-1")
        wait_until(lambda: network.status()["state"] == "connected", 40, "hub-1 is back")
        backs.append(max(in_use.longest_gap_s(name, back) for name in ("node-2", "node-3")))
    keep(record_property, Promise(f"{fault.what}, pair in use", fault.limit_s), figures)
    keep(record_property, Promise(f"{fault.what}, then back: longest time without an answer", BACK_S), backs)
