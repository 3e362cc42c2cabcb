"""Removal, by whatever way a lab ends: nothing of it may be left on the computer."""

import os
import signal
from typing import Any

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.leftovers import assert_alive, nothing_left
from tests.lab.world import measured, nodes, wait_until

pytestmark = pytest.mark.lab

PROCESSES = 9
"""Of a lab with a hub and a node: its first process and its parent, and of each machine at least its first process, its parent and a daemon."""


def test_destroy_leaves_nothing_and_a_second_destroy_says_that_there_is_nothing(make_network: MakeNetwork) -> None:
    network = make_network(nodes(count=1))
    with nothing_left(network):
        network.deploy()
        assert_alive(network, PROCESSES)
        refused = network.run("destroy", expect=2)
        assert "--force" in refused.text
        assert network.status()["state"] == "connected"
        outcome = network.run("destroy", "--force")
        measured("destroy", outcome.seconds)
        assert "Nothing is left." in outcome.out
    assert sorted(path.name for path in network.folder.iterdir()) == ["spokewire.toml"]
    again = network.run("destroy", "--force")
    assert "Nothing is deployed." in again.out
    assert network.run("lab", "list", expect=2).text.count("No lab of this network is running.") == 1


def test_destroy_finds_the_lab_although_the_operators_folder_was_deleted(make_network: MakeNetwork) -> None:
    network = make_network(nodes(count=1))
    with nothing_left(network):
        network.deploy()
        assert_alive(network, PROCESSES)
        for path in sorted((network.folder / ".spokewire").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        (network.folder / ".spokewire").rmdir()
        outcome = network.run("destroy", "--force", "--json")
        assert outcome.data == {"destroyed": ["hub-1", "node-1"], "left": []}


def test_killing_the_labs_first_process_removes_everything_and_the_next_deploy_begins_anew(
    make_network: MakeNetwork,
) -> None:
    network = make_network(nodes(count=1))
    with nothing_left(network):
        network.deploy()
        assert_alive(network, PROCESSES)
        os.kill(network.first_process(), signal.SIGKILL)
        wait_until(lambda: not network.processes(), 10, "the kernel removed every process")
        assert network.status()["state"] == "disconnected"
        network.deploy()
        assert network.status()["state"] == "connected"
        os.kill(network.first_process(), signal.SIGKILL)
        network.run("destroy", "--force")


def test_a_kill_of_a_machines_own_process_is_that_machines_fault_only(make_network: MakeNetwork) -> None:
    network = make_network(nodes(count=3))
    network.deploy()
    others = {name: network.identity(name) for name in ("hub-1", "node-2")}
    os.kill(network.machine_process("node-1"), signal.SIGKILL)
    network.signal_daemon("node-3", "KILL")

    def look() -> Any:
        found = network.status()
        cut = [node["name"] for node in found["nodes"] if node["state"] == "disconnected"]
        return found if cut == ["node-1", "node-3"] else None

    status = wait_until(look, 30, "two nodes are disconnected")
    reasons = {node["name"]: (node["state"], node["reason"]) for node in status["nodes"]}
    assert reasons["node-1"] == ("disconnected", "the machine is switched off")
    assert "agent is dead" in reasons["node-3"][1]
    assert status["hubs"][0]["state"] == "connected"
    assert reasons["node-2"][0] in ("connected", "degraded"), reasons
    assert {name: network.identity(name) for name in others} == others
    network.run("lab", "restart", "node-3")
    network.deploy()
    network.prove()
    assert {name: network.identity(name) for name in others} == others
