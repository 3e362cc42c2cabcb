"""A disk that is full or read-only, and files that are damaged: traffic never stops, daemons start again, say what is wrong, and repair what they can."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.lab import breakage
from tests.lab.conftest import MakeNetwork
from tests.lab.promises.promise import FIRST_ANSWER_S, Promise, Record, keep, keep_word
from tests.lab.promises.pulse import HUB, Pulse, answer
from tests.lab.world import DAEMON, Network, nodes, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.promise]

NODE, OTHER = "node-1", "node-2"
ADDRESS = {NODE: "10.88.0.11", OTHER: "10.88.0.12", HUB: "10.88.0.1"}
STATE = breakage.STATE
DOCUMENTS = 4
"""The settings, and the records of a hub and two nodes."""
GAP_S = 3.0
"""Silence is disconnection after three seconds; a daemon that starts again on a bad disk must not even cause that."""
SMALL = f"""
set -e
mkdir -p /run/small
mount -n -t tmpfs -o size=2m small /run/small
cp -a {STATE}/. /run/small
mount -n --bind /run/small {STATE}
"""
"""The state folder with all that is in it, on a disk of its own that is small."""
FULL = f"dd if=/dev/zero of={STATE}/filler bs=4k oflag=append conv=notrunc; test -s {STATE}/filler"
ROOM = f"rm {STATE}/filler"
READ_ONLY = f"for _ in $(seq 100); do mount -n -o remount,ro,bind {STATE} && exit 0; sleep 0.05; done; exit 1"
"""The kernel refuses (EBUSY) while something is just being written there."""
WRITABLE = f"mount -n -o remount,rw,bind {STATE}"
GARBAGE = "for file in {files}; do head -c 20000 /dev/urandom > $file; done"
LATE_S = 2.5
"""How much later than the others one machine hands in its documents."""


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    made = make_module_network(nodes(count=2))
    made.deploy()
    answer(made, NODE, OTHER)
    return made


@pytest.fixture(scope="module")
def pulse(network: Network) -> Pulse:
    made = Pulse(network, OTHER, {name: ADDRESS[name] for name in (NODE, HUB)})
    made.wait_for_flow()
    return made


@pytest.fixture(params=[NODE, HUB])
def machine(network: Network, request: pytest.FixtureRequest) -> Iterator[str]:
    """A machine whose state folder is on a small disk of its own, until the end of the test."""
    name = str(request.param)
    shell(network, name, SMALL)
    yield name
    # The daemon holds no file of that folder open but its lock.
    network.exec(name, "umount", "-l", STATE)


def shell(network: Network, machine: str, script: str) -> None:
    network.exec(machine, "sh", "-c", script)


def issues(network: Network, machine: str) -> list[str]:
    """What a machine says of its disk."""
    status = network.status()
    found = next(entry for entry in [*status["hubs"], *status["nodes"]] if entry["name"] == machine)
    return [str(issue["text"]) for issue in found["issues"] if issue["code"] == "disk"]


def start_again(network: Network, machine: str, record: Record, what: str) -> None:
    """Kill the daemon and start it, and wait until it is at work."""
    before = network.daemon(machine)
    breakage.kill_daemon(network, machine)
    start(network, machine, record, what)

    def works() -> bool:
        status = network.status()
        states = {entry["name"]: entry["state"] for entry in [*status["hubs"], *status["nodes"]]}
        return states[machine] == "connected" and set(states.values()) <= {"connected", "degraded"}

    wait_until(works, 40, f"{machine}'s daemon is at work again")
    assert network.daemon(machine) != before


def start(network: Network, machine: str, record: Record, what: str) -> None:
    """Start the daemon; that of a node must answer at once."""
    if machine == HUB:
        breakage.start_daemon(network, machine)
        return
    first_s = breakage.time_start(network, machine)
    keep(record, Promise(f"status server's first answer, {what}", FIRST_ANSWER_S), [first_s])


@pytest.mark.parametrize(
    ("what", "spoil", "mend", "words"),
    [
        ("disk full", FULL, ROOM, "no space is left"),
        ("disk read-only", READ_ONLY, WRITABLE, "ead-only"),
    ],
    ids=["full", "read-only"],
)
def test_a_bad_disk_is_told_and_stops_nothing_not_even_a_start(
    network: Network,
    pulse: Pulse,
    record_property: Record,
    *,
    machine: str,
    what: str,
    spoil: str,
    mend: str,
    words: str,
) -> None:
    pulse.wait_for_flow()
    begun = time.time()
    shell(network, machine, spoil)
    start_again(network, machine, record_property, what)
    # The daemon's start may have set room free: what its database kept beside itself goes with the one that was killed.
    shell(network, machine, spoil)
    [told] = wait_until(lambda: issues(network, machine), 20, "the status says what is wrong with the disk")
    assert words in told
    shell(network, machine, mend)
    wait_until(lambda: not issues(network, machine), 40, "the status says nothing of the disk any more")
    finish(pulse, record_property, f"{who(machine)}: {what}, and its daemon killed and restarted", begun)


def test_damaged_files_of_a_node_are_told_and_made_anew(
    network: Network, pulse: Pulse, record_property: Record
) -> None:
    begun = time.time()
    files = " ".join(f"{STATE}/{name}" for name in ("roster.json", "history.sqlite", "journal.json"))
    breakage.kill_daemon(network, NODE)
    shell(network, NODE, GARBAGE.format(files=files))
    start(network, NODE, record_property, "roster, history and journal corrupt")
    network.wait_for_node(NODE, "connected")
    told = network.exec(NODE, "curl", "-s", "http://127.0.0.1:8000/history").data["events"]
    assert "history-repaired" in {event["code"] for event in told}

    def repaired() -> bool:
        return all(is_json(network, f"{STATE}/{name}") for name in ("roster.json", "journal.json"))

    wait_until(repaired, 20, "the files are good again")
    assert network.node(NODE)["issues"] == []
    finish(pulse, record_property, "node: roster, history and journal corrupt at its start", begun)


def test_a_hubs_damaged_documents_are_told_set_aside_and_collected_anew(
    network: Network, pulse: Pulse, record_property: Record
) -> None:
    begun = time.time()
    breakage.kill_daemon(network, HUB)
    # The log too: while all pages are still in it, SQLite needs nothing of the file itself, and is right to find no damage.
    shell(network, HUB, GARBAGE.format(files=f"{STATE}/hub.sqlite {STATE}/hub.sqlite-wal {STATE}/labels.json"))
    # Documents come one after the other: nobody may be cut off because his are not there yet.
    [agent] = map(str, network.find(NODE, DAEMON))
    network.exec(NODE, "kill", "-STOP", agent)
    breakage.start_daemon(network, HUB)
    time.sleep(LATE_S)
    network.exec(NODE, "kill", "-CONT", agent)
    [told] = wait_until(lambda: hub_issues(network), 40, "the hub says that its file was damaged")
    assert "was set aside" in told
    network.exec(HUB, "test", "-s", f"{STATE}/hub.sqlite.corrupt")
    wait_until(lambda: network.status()["state"] == "connected", 40, "the hub knows everybody again")
    count = (
        "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM document').fetchone())"
    )

    def is_whole() -> bool:
        return int(network.python(HUB, count, f"{STATE}/hub.sqlite").out) == DOCUMENTS

    wait_until(is_whole, 20, "every document is in the new file")
    network.prove()
    finish(pulse, record_property, "hub: database corrupt at its start", begun)


def hub_issues(network: Network) -> list[str]:
    """None while the hub does not answer."""
    hubs = network.status()["hubs"]
    return [str(issue["text"]) for hub in hubs for issue in hub["issues"] if issue["code"] == "disk"]


def is_json(network: Network, path: str) -> bool:
    try:
        return bool(json.loads(network.exec(NODE, "cat", path, expect=None).out))
    except ValueError:
        return False


def who(machine: str) -> str:
    return "hub" if machine == HUB else "node"


def finish(pulse: Pulse, record: Record, fault: str, begun: float) -> None:
    """Nobody missed any traffic."""
    pulse.wait_for_flow()
    gap_s = max(pulse.longest_gap_s(name, begun) for name in (NODE, HUB))
    measured = f"told; longest time without an answer {gap_s:.2f} s"
    keep_word(record, fault, "keeps running, says so, repairs itself", measured, is_kept=gap_s < GAP_S)
