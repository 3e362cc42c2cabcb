"""The hub's documents on disk: killed at any moment, damaged, or written by a release to come."""

import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spokewire.errors import Code, PermanentError
from spokewire.hub.store import SCHEMA_VERSION, Store

REPOSITORY = Path(__file__).parents[2]
ROUNDS = 24
DOCUMENTS = 20
WRITER = f"""
import sys
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
        store.close()
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
    store.close()
    again = Store(tmp_path / "hub.sqlite")
    assert again.load() == ["1", "4"]
    again.close()


def test_a_file_of_a_newer_release_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(PermanentError) as refused:
        Store(path)
    assert (refused.value.code, "newer" in refused.value.message) == (Code.DISK, True)
    assert "Upgrade" in refused.value.hint


def whole_file(path: Path) -> bytes:
    store = Store(path)
    store.replace([("record", f"node-{n}", "x" * 2000) for n in range(50)])
    store.close()
    return path.read_bytes()


@pytest.mark.parametrize("damage", ["garbage", "cut short", "pages overwritten", "a folder", "no table"])
def test_a_damaged_file_is_one_sentence_with_a_hint_and_no_trace(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "hub.sqlite"
    whole = whole_file(path)
    match damage:
        case "garbage":
            path.write_bytes(b"this is no database" * 500)
        case "cut short":
            path.write_bytes(whole[: len(whole) // 3])
        case "pages overwritten":
            path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
        case "a folder":
            path.unlink()
            path.mkdir()
        case _:
            with contextlib.closing(sqlite3.connect(path)) as database:
                database.execute("DROP TABLE document")
    with pytest.raises(PermanentError) as refused:
        Store(path).load()
    assert refused.value.code is Code.DISK
    assert str(path) in refused.value.message
    assert refused.value.hint


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    store = Store(path)
    store.replace([("record", "a", "1")])
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TRIGGER refuse BEFORE INSERT ON document BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        other.commit()
    begun = time.monotonic()
    with pytest.raises(PermanentError):
        store.replace([("record", "b", "2")])
    assert store.load() == ["1"]
    assert time.monotonic() - begun < 5
    store.close()
