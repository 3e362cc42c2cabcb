"""One identity on two machines: whoever has it, and the operator, are told by name what is going on."""

import json
import os
import subprocess
import time
from typing import Any

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.world import COMMAND, Network, measured, nodes, wait_until

pytestmark = pytest.mark.lab

AGENT = [*COMMAND, "node", "run", "--state-dir", "/run/disk/agent"]
LIMIT_S = 15.0


@pytest.fixture(scope="module")
def token(network: Network) -> str:
    """The token of laptop, which runs on the bare machine bare-1."""
    network.run("lab", "add", "bare-1")
    token = network.run("node", "token", "laptop").out.strip()
    network.background("bare-1", *AGENT, env={"SPOKEWIRE_TOKEN": token})
    network.wait_for_node("laptop", "connected")
    return token


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    network = make_module_network(nodes(count=1))
    network.deploy()
    return network


def own_issues(network: Network, machine: str) -> dict[str, str]:
    """What a machine itself says is wrong: text by code."""
    text = network.exec(machine, "curl", "-s", "-m", "2", "http://127.0.0.1:8000/status", expect=None).out
    return {issue["code"]: issue["text"] for issue in json.loads(text or '{"issues": []}')["issues"]}


def hub_issues(network: Network) -> list[tuple[str, str]]:
    """What the hub tells the operator: codes and whom they are about."""
    status: Any = network.status()
    return [(issue["code"], issue["subject"]) for issue in status["hubs"][0]["issues"]]


def copy_disk(network: Network, source: str, target: str) -> None:
    """Let one machine have what is on the other's disk, as a restored backup or a cloned virtual machine has."""
    user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    enter = ["nsenter", *user, "--mount", "--target", str(network.first_process()), "--"]
    disks = "/run/lab/disks"
    subprocess.run([*enter, "cp", "-a", f"{disks}/{source}/agent", f"{disks}/{target}/"], check=True, timeout=20)


def test_a_token_on_two_machines_is_told_to_both_and_to_the_operator_and_the_first_one_keeps_it(
    network: Network, token: str
) -> None:
    network.run("lab", "add", "bare-2")
    key = network.public_key("bare-1")
    begun = time.monotonic()
    network.background("bare-2", *AGENT, env={"SPOKEWIRE_TOKEN": token})
    wait_until(lambda: ("grant-in-use", "laptop") in hub_issues(network), LIMIT_S, "the operator is told")
    wait_until(lambda: "grant-in-use" in own_issues(network, "bare-1"), LIMIT_S, "the first machine is told")
    wait_until(lambda: "grant-in-use" in own_issues(network, "bare-2"), LIMIT_S, "the second machine is told")
    measured("token used twice: until all are told", time.monotonic() - begun)
    assert (
        "hub-1 says: another machine tries to join with the token of laptop"
        in own_issues(network, "bare-1")["grant-in-use"]
    )
    assert "grant-in-use" in network.run("status", expect=None).out
    assert network.node("laptop")["state"] == "connected"
    assert network.public_key("bare-1") == key
    network.run("lab", "remove", "bare-2")


def test_a_copied_disk_is_told_on_both_machines_and_to_the_operator(network: Network, token: str) -> None:
    network.run("lab", "add", "bare-3")
    copy_disk(network, "bare-1", "bare-3")
    begun = time.monotonic()
    network.background("bare-3", *AGENT)
    wait_until(lambda: ("machine-copied", "laptop") in hub_issues(network), LIMIT_S, "the operator is told")
    for machine in ("bare-1", "bare-3"):
        wait_until(lambda at=machine: "machine-copied" in own_issues(network, at), LIMIT_S, f"{machine} is told")  # type: ignore[misc]
    measured("disk copied: until all are told", time.monotonic() - begun)
    assert network.public_key("bare-3") == network.public_key("bare-1")
    assert "its disk or state folder was copied" in own_issues(network, "bare-3")["machine-copied"]
    network.run("lab", "remove", "bare-3")
    network.wait_for_node("laptop", "connected")
