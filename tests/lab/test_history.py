"""The history of a network that runs: told in sentences, and kept through a full disk, a read-only one, a damaged file and a power cut."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.world import Network, environment, measured, nodes, wait_until

pytestmark = pytest.mark.lab

FOLDER = "/run/disk/spokewire/demo"
SMALL_DISK = """
import asyncio, os, subprocess, sys
from pathlib import Path
from spokewire.host import clock
from spokewire.node.history import FILE, History

folder = Path(sys.argv[1])

def mount(*words):
    subprocess.run(["mount", *words, str(folder)], check=True)

async def wait_for(what, condition):
    deadline = clock.monotonic() + 20
    while not await condition():
        assert clock.monotonic() < deadline, what
        await asyncio.sleep(0.02)
    print("seen:", what, flush=True)

async def scenario():
    history = History()
    history.keep_in(folder, "node-1", "demo")
    loop = asyncio.create_task(history.run())

    async def in_trouble():
        problem = history.problem()
        return problem is not None and words in problem.text and not loop.done()

    async def stored():
        told = await history.tell(3600, 1000)
        return any(words in event.text and event.stored for event in told.events) and told.problem is None

    async def waiting():
        told = await history.tell(3600, 1000)
        return any(words in event.text and not event.stored for event in told.events)

    def note(text):
        history.note_event(clock.wall(), "test", "node-1", text)
        return text

    mount("-t", "tmpfs", "-o", "size=1m", "test")
    words = note("all is well")
    await wait_for("stored", stored)
    with (folder / "filler").open("wb", 0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError as error:
            print("the disk is full:", error, flush=True)
    note("while the disk is full")
    words = "no space is left"
    await wait_for("the full disk is told", in_trouble)
    words = "all is well"
    assert await history.tell(3600, 10), words
    words = "while the disk is full"
    await wait_for("what happens meanwhile is told", waiting)
    (folder / "filler").unlink()
    await wait_for("stored when there is room again", stored)
    words = "nothing was lost"
    await wait_for("the gap is told", stored)

    mount("-o", "remount,ro")
    note("while the disk is read-only")
    words = "cannot be written"
    await wait_for("the read-only disk is told", in_trouble)
    words = "all is well"
    assert any(words in event.text for event in (await history.tell(3600, 1000)).events), "a read-only disk can be read"
    mount("-o", "remount,rw")
    note("this wakes it")
    words = "while the disk is read-only"
    await wait_for("stored when the disk can be written again", stored)
    loop.cancel()
    history.close()
    print("files:", sorted(os.listdir(folder)), flush=True)

asyncio.run(scenario())
"""


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    network = make_module_network(nodes(count=2))
    network.deploy()
    return network


def codes(network: Network, node: str) -> list[str]:
    """What kinds of events a node tells."""
    told = network.run("history", node, "--json", expect=None).data
    return [event["code"] for each in told["nodes"] for event in each["events"]]


def cut(network: Network, node: str) -> None:
    """Make something happen: a node without its link, until it says so."""
    network.run("lab", "link", node, "down")
    network.wait_for_node(node, "disconnected")
    network.run("lab", "link", node, "up")
    network.wait_for_node(node, "connected")


def stored_changes(network: Network, name: str) -> set[str]:
    """The kinds of machines whose changes a node has safely on its disk."""
    [node] = network.run("history", name, "--json").data["nodes"]
    return {event["kind"] for event in node["events"] if event["stored"] and event["kind"] is not None}


def test_a_full_or_read_only_disk_is_told_and_the_history_goes_on_when_it_is_well_again(
    tmp_path: Path, cache: Path
) -> None:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    done = subprocess.run(
        ["unshare", *user, "--mount", sys.executable, "-c", SMALL_DISK, str(tmp_path)],
        env=environment(cache),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "files: ['history.sqlite']" in done.stdout


def test_a_node_with_a_full_disk_runs_on_says_so_and_tells_the_whole_story_when_there_is_room(network: Network) -> None:
    wait_until(lambda: len(stored_changes(network, "node-1")) >= 3, 10, "what happened before is on the real disk")
    network.exec("node-1", "mount", "-t", "tmpfs", "-o", "size=1m", "test", FOLDER)
    network.exec("node-1", "dd", "if=/dev/zero", f"of={FOLDER}/filler", "bs=4k", expect=1)
    network.exec("node-1", "test", "-s", f"{FOLDER}/filler")
    cut(network, "node-2")

    def issues() -> list[str]:
        return [issue["text"] for issue in network.node("node-1").get("issues", []) if issue["code"] == "disk"]

    told = wait_until(issues, 20, "the status says that the disk is full")
    assert "no space is left" in told[0]
    assert network.node("node-1")["state"] == "connected"
    network.prove()
    begun = time.monotonic()
    network.exec("node-1", "rm", f"{FOLDER}/filler")
    wait_until(lambda: "history-resumed" in codes(network, "node-1"), 30, "the history goes on and tells the gap")
    measured("room on the disk to a history that goes on", time.monotonic() - begun)
    wait_until(lambda: not issues(), 10, "the status says nothing of the disk any more")

    story = network.run("history", "--since", "1h").out
    assert re.search(r"node-2 was disconnected for \d+ s: .*no echo for", story), story
    network.exec("node-1", "umount", FOLDER)


def test_the_story_begins_with_the_start_names_no_endpoint_and_knows_its_nodes(network: Network) -> None:
    story = network.run("history").out
    assert "node-1: the agent started" in story
    assert "node-1 was granted its place in the network" in story

    assert stored_changes(network, "node-1") >= {"node", "hub", "peer"}
    assert "203.0.113." not in network.exec("node-1", "curl", "-s", "http://127.0.0.1:8000/history").out
    assert "node-1, node-2" in network.run("history", "node-9", expect=2).text


def test_a_node_tells_its_power_cut_and_sets_a_damaged_history_aside(network: Network) -> None:
    before = codes(network, "node-2")
    network.run("lab", "kill", "node-2")
    assert "node-2 tells nothing: its machine is switched off" in network.run("history", expect=3).text
    network.run("lab", "restart", "node-2")
    network.wait_for_node("node-2", "connected")
    assert "it was killed, or crashed" in network.run("history", "node-2").out
    assert codes(network, "node-2")[: len(before)] == before

    network.exec("node-2", "dd", "if=/dev/urandom", f"of={FOLDER}/history.sqlite", "bs=4k", "count=4", "conv=notrunc")
    network.run("lab", "restart", "node-2")
    network.wait_for_node("node-2", "connected")
    wait_until(lambda: "history-repaired" in codes(network, "node-2"), 20, "the history was repaired")
    network.exec("node-2", "test", "-s", f"{FOLDER}/history.sqlite.corrupt")
    assert network.node("node-2")["issues"] == []
