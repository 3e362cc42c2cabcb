"""The hub's documents on disk: killed at any moment, damaged, or refused."""

import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spokewire.errors import Code
from spokewire.hub.store import SCHEMA_VERSION, Store

REPOSITORY = Path(__file__).parents[2]
ROUNDS = 24
DOCUMENTS = 20
WRITER = f"""
import sys
import time
from pathlib import Path
from spokewire.hub.store import Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
generation = int(sys.argv[2])
while True:
    generation += 1
    store.replace([("record", f"node-{{n}}", f"{{generation}}") for n in range({DOCUMENTS} - generation % 3)])
"""


def test_a_hub_killed_while_it_writes_finds_a_whole_state_again(tmp_path: Path) -> None:
    path, seed = tmp_path / "hub.sqlite", random.randrange(2**32)
    moments, generation = random.Random(seed), 0
    for _ in range(ROUNDS):
        command = [sys.executable, "-c", WRITER, str(path), str(generation)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            with contextlib.suppress(subprocess.TimeoutExpired):
                writer.wait(moments.uniform(0.0, 0.05))
            writer.send_signal(signal.SIGKILL)
        store = Store(path)
        texts = store.load()
        assert len(set(texts)) <= 1, f"seed {seed}: two states in one"
        if texts:
            assert int(texts[0]) >= generation, f"seed {seed}: an old state came back"
            generation = int(texts[0])
            assert len(texts) == DOCUMENTS - generation % 3, f"seed {seed}: not whole"
    assert generation > 0, f"seed {seed}: nothing was ever written"


def test_what_was_stored_is_there_after_a_restart_settings_first(tmp_path: Path) -> None:
    store = Store(tmp_path / "hub.sqlite")
    store.replace([("spokewire-record", "b", "2"), ("spokewire-settings", "n", "1"), ("spokewire-record", "a", "3")])
    store.replace([("spokewire-record", "b", "4"), ("spokewire-settings", "n", "1")])
    again = Store(tmp_path / "hub.sqlite")
    assert again.load() == ["1", "4"]


def whole_file(path: Path) -> bytes:
    store = Store(path)
    store.replace([("record", f"node-{n}", "x" * 2000) for n in range(50)])
    store.close()
    return path.read_bytes()


@pytest.mark.parametrize("damage", ["garbage", "cut short", "pages overwritten", "no table", "of a newer release"])
def test_a_damaged_file_is_set_aside_and_the_store_goes_on_with_a_new_one(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "hub.sqlite"
    whole = whole_file(path)
    match damage:
        case "garbage":
            path.write_bytes(b"this is no database" * 500)
        case "cut short":
            path.write_bytes(whole[: len(whole) // 3])
        case "pages overwritten":
            path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
        case "no table":
            with contextlib.closing(sqlite3.connect(path)) as database:
                database.execute("DROP TABLE document")
        case _:
            with contextlib.closing(sqlite3.connect(path)) as database:
                database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    damaged = path.read_bytes()
    store = Store(path)
    assert store.load() == []
    store.replace([("record", "a", "1")])
    assert (store.problem, bool(store.damage)) == (None, True)
    assert Store(path).load() == ["1"]
    store.close()
    assert path.with_name("hub.sqlite.corrupt").read_bytes() == damaged


def test_a_file_that_cannot_be_used_is_one_sentence_with_a_hint_and_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    path.mkdir()
    store = Store(path)
    assert store.load() == []
    store.replace([("record", "a", "1")])
    problem = store.problem
    assert problem is not None
    assert (problem.code, "hub.sqlite" in problem.message, bool(problem.hint)) == (Code.DISK, True, True)
    path.rmdir()
    store.try_again()
    assert store.problem is None
    assert Store(path).load() == ["1"]
    store.close()


def test_a_write_that_fails_is_tried_again_and_until_then_what_was_there_is_there(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    store = Store(path)
    store.replace([("record", "a", "1")])
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.replace([("record", "b", "2")])
        told = "" if store.problem is None else store.problem.message
        assert "locked" in told
        assert Store(path).load() == ["1"]
        other.execute("ROLLBACK")
    store.try_again()
    assert store.problem is None
    assert Store(path).load() == ["2"]
    store.close()


def test_a_file_that_is_found_damaged_while_the_hub_runs_is_written_anew_with_all_that_the_hub_knows(
    tmp_path: Path,
) -> None:
    path = tmp_path / "hub.sqlite"
    store = Store(path)
    store.replace([("record", "a", "1")])
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE document")
    store.replace([("record", "a", "1"), ("record", "b", "2")])
    assert (store.problem, bool(store.damage)) == (None, True)
    assert Store(path).load() == ["1", "2"]
    store.close()


@pytest.mark.parametrize("fate", ["removed", "replaced by an older one", "replaced by garbage"])
@pytest.mark.parametrize("restarted", [False, True], ids=["it was written", "it was only read"])
def test_a_file_that_is_removed_or_replaced_under_the_hub_is_written_anew_and_that_is_told(
    tmp_path: Path, fate: str, *, restarted: bool
) -> None:
    path, older = tmp_path / "hub.sqlite", tmp_path / "older.sqlite"
    for where, rows in ((older, [("record", "a", "1"), ("record", "z", "9")]), (path, [("record", "a", "2")])):
        first = Store(where)
        first.replace(rows)
        first.close()
    store = Store(path)
    assert store.load() == ["2"]
    if not restarted:
        store.replace([("record", "a", "3")])
    match fate:
        case "removed":
            path.unlink()
        case "replaced by an older one":
            older.replace(path)
        case _:
            older.write_bytes(b"this is no database" * 500)
            older.replace(path)
    store.try_again()
    assert store.problem is None
    assert "removed" in store.rewritten or "replaced" in store.rewritten
    assert Store(path).load() == ["2" if restarted else "3"]
    store.rewritten = ""
    store.try_again()
    assert store.rewritten == "", "the new file is ours"
    store.close()


def test_another_program_that_locks_the_file_does_not_hold_up_the_hub(tmp_path: Path) -> None:
    store = Store(tmp_path / "hub.sqlite")
    store.replace([("record", "a", "1")])
    with contextlib.closing(sqlite3.connect(tmp_path / "hub.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        store.replace([("record", "b", "2")])
        assert time.monotonic() - begun < 1.0
        assert store.problem is not None
    store.close()
