"""`spokewire demo`: the whole story in one command, and nothing left of it however it ends."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.leftovers import nothing_left
from tests.lab.world import Network, measured, wait_until

pytestmark = pytest.mark.lab

SEED = 11
"""Of the moments, so that a failure can be repeated."""
LINES = 40
"""About as many lines as a demo prints until it removes everything."""


def test_the_demo_proves_three_nodes_says_what_it_shows_and_leaves_nothing(make_network: MakeNetwork) -> None:
    network = make_network()
    with nothing_left(network):
        outcome = network.run("demo")
        measured("demo", outcome.seconds)
    assert "6 of 6 pairs proved their traffic: UDP echo, TCP, checksum." in outcome.out
    steps = ("1. A lab", "2. Deploy", "3. Status", "4. Proof", "5. What the hub sees", "6. A hub dies", "7. Removal")
    for step in steps:
        assert step in outcome.out
    assert "node-1 told node-2 a sentence 20 times; node-2 read it 20 times." in outcome.out
    assert "none of them showed it: it saw only ciphertext" in outcome.out
    assert "none arrived, then they came through another hub." in outcome.out
    assert "Nothing is left" in outcome.out


@pytest.mark.parametrize(
    ("number", "times"),
    [(signal.SIGINT, 3), (signal.SIGTERM, 1), (signal.SIGKILL, 3)],
    ids=["SIGINT", "SIGTERM", "SIGKILL"],
)
def test_nothing_is_left_of_a_demo_that_is_stopped_in_the_middle(
    make_network: MakeNetwork, number: signal.Signals, times: int
) -> None:
    dice = random.Random(SEED + number)
    for _ in range(times):
        network = make_network()
        with nothing_left(network):
            status = stop_demo(network, number, dice.randrange(1, LINES), dice.uniform(0, 0.3))
            assert status != 0
            if number is signal.SIGKILL:
                sweep_own_folder(network)


def stop_demo(network: Network, number: signal.Signals, lines: int, pause_s: float) -> int:
    """Stop a demo as a terminal would (every process of the group hears of it), or kill its first process; return its exit status."""
    log = network.scratch.parent / f"{network.folder.name}.log"
    process = network.start("demo", log=log)
    wait_until(lambda: process.poll() is not None or log.read_text().count("\n") >= lines, 60, f"{lines} lines")
    time.sleep(pause_s)
    print(
        f"measured: demo stopped by {number.name} {pause_s:.2f} s after line {lines}; alive: {process.poll() is None}"
    )
    if process.poll() is None:
        if number is signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
    begun = time.monotonic()
    status = process.wait(30)
    measured(f"{number.name} to the end of the demo", time.monotonic() - begun)
    return status


def sweep_own_folder(network: Network) -> None:
    """Whoever is killed cannot remove its temporary folder: that, and nothing else, is what may be left."""
    left = list(network.scratch.iterdir())
    assert len(left) <= 1
    assert all(path.name.startswith("spokewire-demo-") for path in left)
    for folder in left:
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        Path(folder).rmdir()
