"""Lines that lose packets for ten minutes: what every status says of them, twice a second."""

import json
import os
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.promises.promise import Record, keep_word
from tests.lab.promises.pulse import HUB, Pulse, answer
from tests.lab.world import nodes
from tests.soak.programs import READER

pytestmark = [pytest.mark.long, pytest.mark.promise]

DURATION_S = float(os.environ.get("PROMISE_SECONDS") or 600)
CLEAN = "clean"
LOSSES = {"lossy-1": 1, "lossy-5": 5, "lossy-20": 20}
"""Percent that the uplink loses each way; of questions with their answers nearly twice as many are lost."""
JUDGED_S = 75.0
"""Loss is judged by the last minute, so that long a line that has just become bad may still count as a good one."""


@dataclass(frozen=True)
class Seen:
    """What one status said of one machine: at each instant a state."""

    who: str
    states: tuple[tuple[float, str], ...]

    def count(self, state: str) -> int:
        return sum(said == state for _, said in self.states)

    def changes(self, since: float) -> int:
        """How often it changed after an instant."""
        later = [state for at, state in self.states if at >= since]
        return sum(before != after for before, after in pairwise(later))


@pytest.fixture(scope="module")
def told(make_module_network: MakeNetwork) -> tuple[float, dict[str, list[Seen]], dict[str, float]]:
    """Ten minutes of it: when they began, what was said about each lossy line, and what our own traffic lost there."""
    network = make_module_network(nodes(CLEAN), *(nodes(name) for name in LOSSES))
    network.deploy()
    addresses = {node["name"]: str(node["overlay_ip"]) for node in network.status()["nodes"]}
    answer(network, *addresses)
    # Traffic in use: then every agent asks every second.
    pulse = Pulse(network, CLEAN, {name: addresses[name] for name in LOSSES})
    pulse.wait_for_flow()
    readers = {name: network.script(name, READER) for name in addresses}
    for name, loss_pct in LOSSES.items():
        network.run("lab", "link", name, f"loss={loss_pct}%")
    begun_at = time.time()
    time.sleep(DURATION_S)
    lost = {name: pulse.lost_pct(name) for name in LOSSES}
    return begun_at, {name: find_told(readers, name, begun_at) for name in LOSSES}, lost


def find_told(readers: dict[str, Path], name: str, begun_at: float) -> list[Seen]:
    """What was said about a line: by the node behind it about itself, the hub and the clean node, and by the clean node about it."""
    own, other = read(readers[name], begun_at), read(readers[CLEAN], begun_at)
    assert min(len(own), len(other)) > DURATION_S, "the readers of the statuses did not run"
    return [
        Seen(f"{name} of itself", tuple((at, str(status["state"])) for at, status in own)),
        Seen(f"{name} of the hub", tuple((at, find(status["hubs"], HUB)) for at, status in own)),
        Seen(f"{name} of {CLEAN}", tuple((at, find(status["peers"], CLEAN)) for at, status in own)),
        Seen(f"{CLEAN} of {name}", tuple((at, find(status["peers"], name)) for at, status in other)),
    ]


def read(log: Path, since: float) -> list[tuple[float, Any]]:
    found = (json.loads(line) for line in log.read_text().rpartition("\n")[0].splitlines())
    return [(told["got"], told["status"]) for told in found if told.get("status") and told["got"] >= since]


def find(entries: list[Any], name: str) -> str:
    return next(str(entry["state"]) for entry in entries if entry["name"] == name)


@pytest.mark.parametrize("name", ["lossy-1", "lossy-5"])
def test_a_line_that_loses_little_is_never_called_anything_but_connected(
    told: tuple[float, dict[str, list[Seen]], dict[str, float]], record_property: Record, name: str
) -> None:
    begun_at, said, lost = told
    counts = {seen.who: (seen.count("disconnected"), seen.changes(begun_at)) for seen in said[name]}
    print(f"measured: {counts}")
    false, changes = (sum(column) for column in zip(*counts.values(), strict=True))
    measured = f"{false} false, {changes} changes in {sum(len(seen.states) for seen in said[name])} answers; our own traffic lost {lost[name]:.1f} %"
    fault = f"{LOSSES[name]} % loss each way for {DURATION_S / 60:g} minutes"
    keep_word(record_property, fault, "never disconnected, no flapping", measured, is_kept=(false, changes) == (0, 0))
    assert LOSSES[name] < lost[name] < 3 * LOSSES[name], "the line lost what it should"


def test_a_line_that_loses_a_fifth_is_degraded_and_stays_so(
    told: tuple[float, dict[str, list[Seen]], dict[str, float]], record_property: Record
) -> None:
    begun_at, said, lost = told
    name = "lossy-20"
    firsts = {
        seen.who: next((at - begun_at for at, state in seen.states if state == "degraded"), DURATION_S)
        for seen in said[name]
    }
    changes = {seen.who: seen.changes(begun_at + max(JUDGED_S, firsts[seen.who])) for seen in said[name]}
    ends = {seen.who: seen.states[-1][1] for seen in said[name]}
    print(f"measured: degraded after {firsts}, changes afterwards {changes}, at the end {ends}")
    measured = (
        f"degraded after {max(firsts.values()):.0f} s at the latest, {sum(changes.values())} changes afterwards; "
        f"our own traffic lost {lost[name]:.1f} %"
    )
    kept = max(firsts.values()) <= JUDGED_S and not any(changes.values()) and set(ends.values()) == {"degraded"}
    fault = f"{LOSSES[name]} % loss each way for {DURATION_S / 60:g} minutes"
    keep_word(record_property, fault, "degraded, no flapping", measured, is_kept=kept)
    assert 30 < lost[name] < 42, "the line lost what it should"
