"""A deploy that is killed in the middle, and deployed again."""

import random
import time

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.leftovers import nothing_left
from tests.lab.world import Network, measured, nodes, wait_until

pytestmark = pytest.mark.lab

SEED = 20
"""Of the moments, so that a failure can be repeated."""
ROUNDS = 2
KILLS = 2
LINES = 11
"""About as many lines of progress as a deploy writes to standard error; its plan waits in the buffer of standard output."""


def test_a_deploy_that_is_killed_again_and_again_is_resumed_without_orphans_or_duplicates(
    make_network: MakeNetwork,
) -> None:
    dice = random.Random(SEED)
    for _ in range(ROUNDS):
        network = make_network(nodes(count=3))
        with nothing_left(network):
            for _ in range(KILLS):
                kill_deploy(network, dice)
            outcome = network.deploy("--yes")
            measured("resumed deploy", outcome.seconds)
            network.prove()
            assert_one_daemon_each(network, ("hub-1", "node-1", "node-2", "node-3"))
            assert {machine["name"] for machine in network.run("lab", "list", "--json").data} == {
                "hub-1",
                "node-1",
                "node-2",
                "node-3",
            }
            network.run("destroy", "--force")


def kill_deploy(network: Network, dice: random.Random) -> None:
    """Kill a deploy at a random moment after a random line of its progress: its speed does not matter then."""
    log = network.scratch.parent / f"{network.folder.name}.log"
    lines, pause_s = dice.randrange(LINES), dice.uniform(0, 0.3)
    process = network.start("deploy", "--yes", log=log)
    wait_until(lambda: process.poll() is not None or log.read_text().count("\n") >= lines, 60, f"{lines} lines")
    time.sleep(pause_s)
    print(f"measured: deploy killed {pause_s:.2f} s after line {lines}, ended by itself: {process.poll() is not None}")
    process.kill()
    process.wait()
    wait_until(lambda: not deploys(network), 5, f"the killed deploy is gone: {deploys(network)}")


def deploys(network: Network) -> list[str]:
    """The deploys that still run: a killed one must not go on behind our back."""
    return [words for words in network.processes().values() if "spokewire deploy" in words]


def daemons(network: Network) -> tuple[int, int]:
    """How many hubs and nodes run. A daemon that starts another program is seen twice for a moment, until that program has begun."""
    running = list(network.processes().values())
    hub_count, node_count = (
        sum(words.endswith(f"spokewire {role} run ") for words in running) for role in ("hub", "node")
    )
    return hub_count, node_count


def assert_one_daemon_each(network: Network, machines: tuple[str, ...]) -> None:
    running = network.processes().values()
    for name in machines:
        network.daemon(name)
        firsts = [
            words for words in running if words.startswith("sh -c") and words.endswith(f"spokewire-machine {name} ")
        ]
        assert len(firsts) == 1, firsts
    wait_until(lambda: daemons(network) == (1, len(machines) - 1), 10, "there is one daemon on each machine")
    assert sum(words.startswith("wireguard-go") for words in running) in (0, len(machines))
