"""A node's history on disk: killed, damaged, full to its bound."""

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from spokewire.host import clock
from spokewire.network.events import Event, EventCode
from spokewire.network.status import State
from spokewire.node import history as module
from spokewire.node.chronicle import SCHEMA, Chronicle, Echoes
from spokewire.node.history import FILE
from tests.component.remembered import DAY_S, begin, remembering, texts, wait_until_stored
from tests.component.served import until

REPOSITORY = Path(__file__).parents[2]
NOW = 1_800_000_000.0
ROUNDS = 8
WRITER = """
import sys
from pathlib import Path
from spokewire.network.events import Event
from spokewire.node.chronicle import Chronicle, Echoes
chronicle, number = Chronicle(Path(sys.argv[1]), 2**20, 1e9), int(sys.argv[2])
print("ready", flush=True)
while True:
    number += 1
    chronicle.write([Event(at=number, code="test", subject="node-1", text=str(number))], [Echoes(number, "hub-1", 1, 0, 1.0, 1.0)], "")
    print(number, flush=True)
"""


def event(number: int, text: str = "no echo for 4 s") -> Event:
    return Event(at=NOW + number, code="test", subject="node-2", text=text)


def test_a_history_killed_while_it_writes_opens_again_and_has_all_that_was_told_as_stored(tmp_path: Path) -> None:
    path, seed, stored = tmp_path / FILE, random.randrange(2**32), 0
    moments = random.Random(seed)
    for _ in range(ROUNDS):
        command = [sys.executable, "-c", WRITER, str(path), str(stored)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            with pytest.raises(subprocess.TimeoutExpired):
                writer.wait(moments.uniform(0.0, 0.3))
            writer.send_signal(signal.SIGKILL)
            told = [int(line) for line in writer.stdout.read().split()]
        stored = max([stored, *told])
        chronicle = Chronicle(path, 2**20, 1e9)
        chronicle.database.check()
        found = [int(item.text) for item in chronicle.read(0, 0, 10**6).events]
        assert found == list(range(1, len(found) + 1)), f"seed {seed}: lost, doubled or out of order"
        assert len(found) - stored in (0, 1), f"seed {seed}: {stored} were told as stored, {len(found)} are there"
        sums = chronicle.read(0, 10**9, 1).echoes
        assert sum(item.sent for item in sums) == len(found), f"seed {seed}: events and echoes differ"
        stored = len(found)
    assert stored > ROUNDS, f"seed {seed}: hardly anything was written"
    print(f"measured: {stored} commits in {ROUNDS} lives")


def test_what_an_agent_noted_is_there_after_its_restart_and_the_restart_tells_how_it_ended(tmp_path: Path) -> None:
    async def live(at: float, *, stop: bool) -> list[str]:
        async with remembering(begin(tmp_path)) as history:
            history.note_start(at, "node-1", "0.1.0")
            history.note_event(at, "test", "node-1", f"written at {at}")
            told = await wait_until_stored(history, f"written at {at}")
            if stop:
                history.note_stop(at + 1, "node-1", "stop")
        return [text for text in texts(told) if "agent" in text]

    now = clock.wall()
    assert asyncio.run(live(now - 300, stop=True)) == ["the agent started (0.1.0)"]
    assert asyncio.run(live(now - 200, stop=False))[1:] == [
        "the agent was told to stop",
        "the agent started (0.1.0); it had been stopped 99 s before",
    ]
    [*_, third] = asyncio.run(live(now - 100, stop=False))
    assert third == "the agent started (0.1.0); its last sign was 100 s before: it was killed, or crashed"
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        database.execute("UPDATE fact SET value = 'another run of the kernel'")
        database.commit()
    [*_, fourth] = asyncio.run(live(now, stop=False))
    assert fourth.endswith("100 s before: the machine was restarted, or lost power")


def test_the_newest_events_are_told_at_once_and_said_to_be_not_stored_yet(tmp_path: Path) -> None:
    async def scenario() -> None:
        history = begin(tmp_path)
        history.note_change(clock.wall(), "node-2", "peer", State.CONNECTED, State.DISCONNECTED, "no echo for 4 s")
        told = await history.tell(60, 10)
        assert [(item.after, item.stored) for item in told.events] == [(State.DISCONNECTED, False)]
        assert (told.node, told.network, told.complete) == ("node-1", "demo", True)
        async with remembering(history):
            told = await wait_until_stored(history, "no echo")
        assert len(told.events) == 1

    asyncio.run(scenario())


def fill(folder: Path) -> None:
    """A file with a few hundred pages in it."""
    chronicle = Chronicle(folder / FILE, 2**24, 1e9)
    chronicle.write([event(n, f"{n} " + "x" * 200) for n in range(3000)], [], "")


@pytest.mark.parametrize(
    "damage", ["garbage", "cut short", "pages overwritten", "no table", "a newer release", "foreign"]
)
def test_a_damaged_file_is_set_aside_a_new_one_begun_and_the_history_tells_it(tmp_path: Path, damage: str) -> None:
    fill(tmp_path)
    path = tmp_path / FILE
    whole = path.read_bytes()
    match damage:
        case "garbage":
            path.write_bytes(b"this is no database" * 500)
        case "cut short":
            path.write_bytes(whole[: len(whole) // 3])
        case "pages overwritten":
            path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
        case "foreign":
            path.unlink()
            with closing(sqlite3.connect(path)) as database:
                database.execute("CREATE TABLE event (other TEXT)")
        case _:
            with closing(sqlite3.connect(path)) as database:
                newer = f"PRAGMA user_version = {SCHEMA.version + 1}"
                database.execute("DROP TABLE event" if damage == "no table" else newer)
    harmed = path.read_bytes()

    async def scenario() -> None:
        async with remembering(begin(tmp_path)) as history:
            history.note_event(clock.wall(), "test", "node-1", "after the damage")
            await wait_until_stored(history, "after the damage")
            told = await wait_until_stored(history, "was damaged")
            assert EventCode.HISTORY_REPAIRED in {item.code for item in told.events}
            assert history.problem() is None

    asyncio.run(scenario())
    header = 100
    assert (tmp_path / f"{FILE}.corrupt").read_bytes()[header:] == harmed[header:], (
        "it is kept for whoever wants to look"
    )
    assert sorted(found.name for found in tmp_path.iterdir()) == [FILE, f"{FILE}.corrupt"]


def test_damage_that_happens_while_the_agent_runs_is_found_by_whoever_asks_and_repaired(tmp_path: Path) -> None:
    fill(tmp_path)

    async def scenario() -> None:
        async with remembering(begin(tmp_path)) as history:
            history.note_event(clock.wall(), "test", "node-1", "before")
            await wait_until_stored(history, "before")
            whole = (tmp_path / FILE).read_bytes()
            (tmp_path / FILE).write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
            await history.tell(DAY_S, 10)
            history.note_event(clock.wall(), "test", "node-1", "after")
            await wait_until_stored(history, "was damaged")

    asyncio.run(scenario())


def test_a_file_that_somebody_removes_is_made_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with remembering(begin(tmp_path / "folder")) as history:
            history.note_event(clock.wall(), "test", "node-1", "before")
            await wait_until_stored(history, "before")
            (tmp_path / "folder").rename(tmp_path / "gone")
            history.note_event(clock.wall(), "test", "node-1", "after")
            told = texts(await wait_until_stored(history, "after"))
            # Where the writer meets the folder gone it says so too; a folder that is there again before leaves nothing to say.
            assert [text for text in told if not text.startswith("the history is written again")] == ["after"]

    asyncio.run(scenario())


def test_while_the_file_cannot_be_written_the_status_says_so_and_the_newest_is_kept(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()

    async def scenario() -> None:
        async with remembering(begin(tmp_path)) as history:
            for number in range(module.MAX_WAITING_EVENTS + 7):
                history.note_event(clock.wall(), "test", "node-1", f"event {number}")
            await until(lambda: history.problem() is not None)
            issue = history.problem()
            assert issue is not None
            assert (issue.code, "cannot be written" in issue.text, bool(issue.hint)) == ("disk", True, True)
            told = await history.tell(DAY_S, 1000)
            assert texts(told)[-1] == f"event {module.MAX_WAITING_EVENTS + 6}"
            assert not any(item.stored for item in told.events)
            assert told.problem == issue
            (tmp_path / FILE).rmdir()
            history.note_event(clock.wall(), "test", "node-1", "there is room again")
            told = await wait_until_stored(history, "is written again")
            assert "8 events and 0 measurements were lost" in texts(told)[-1]
            assert history.problem() is None

    asyncio.run(scenario())


@pytest.mark.parametrize(("kind", "nodes", "happenings"), [("echoes", 200, 1), ("events", 2, 100)])
def test_the_file_never_grows_beyond_its_bound_and_the_oldest_goes_first(
    tmp_path: Path, kind: str, nodes: int, happenings: int
) -> None:
    bound, largest, minutes = 512 * 1024, 0, 150
    chronicle = Chronicle(tmp_path / FILE, bound, 30 * DAY_S)
    for minute in range(minutes):
        at = NOW + 60 * minute
        echoes = [Echoes(at, f"node-{n}", 60, 1, 1.5, 9.0) for n in range(nodes)]
        events = [event(60 * minute + n, f"{minute}") for n in range(happenings)]
        chronicle.write(events, echoes, "")
        largest = max(largest, chronicle.database.size_bytes())
        chronicle.trim(at)
        largest = max(largest, chronicle.database.size_bytes())
    now = NOW + 60 * minutes
    told = chronicle.read(0, now, 10**6)
    print(f"measured: {kind}: at most {largest} bytes of {bound}, {len(told.events)} events kept")
    assert bound / 2 < largest <= bound
    kept = [int(item.text) for item in told.events]
    assert kept[-1] == minutes - 1
    assert kept == sorted(kept)
    if kind == "echoes":
        assert kept[0] == 0, "events are small: they stay when echoes go"
    else:
        assert kept[0] > 0
    hour = chronicle.read(now - 3600, now, 1).echoes
    assert [item.sent for item in hour] == [3600] * nodes
    smaller = Chronicle(tmp_path / FILE, bound // 2, 30 * DAY_S)
    smaller.trim(now)
    assert smaller.database.size_bytes() <= bound / 2, "what is thrown away is given back to the disk"


def test_what_is_too_old_goes_minutes_after_a_day_the_rest_after_thirty(tmp_path: Path) -> None:
    chronicle = Chronicle(tmp_path / FILE, 2**24, 30 * DAY_S)
    for days in (0, 0.5, 2, 29, 31):
        at = NOW - days * DAY_S
        chronicle.write(
            [Event(at=at, code="test", subject="node-2", text=f"{days}")], [Echoes(at, "node-2", 60, 6, 1.0, 2.0)], ""
        )
    chronicle.trim(NOW)
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        rows = dict(database.execute("SELECT span_s, count(*) FROM echoes GROUP BY span_s").fetchall())
    assert rows == {60: 2, 600: 4}
    assert "31" not in {item.text for item in chronicle.read(0, NOW, 100).events}
    [summary] = chronicle.read(NOW - 3 * DAY_S, NOW, 100).echoes
    assert (summary.sent, summary.lost, summary.rtt_ms_avg, summary.rtt_ms_max) == (180, 18, 1.0, 2.0)
    assert summary.worst_loss_pct == 10.0
