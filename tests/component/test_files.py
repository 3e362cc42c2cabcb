"""Files, locks and the journal: whole or absent, with the mode they need, whatever kills us."""

import itertools
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from spokewire.errors import Code, PermanentError, TemporaryError
from spokewire.host import files
from spokewire.host.journal import Journal

REPOSITORY = Path(__file__).parents[2]
WRITER = """
import sys
from pathlib import Path
from spokewire.host import files
path, n = Path(sys.argv[1]), 0
print("ready", flush=True)
while True:
    n += 1
    files.write(path, f"{n} " * 20_000)
"""
SMALL_DISK = """
import subprocess, sys
from pathlib import Path
from spokewire.host import files
folder = Path(sys.argv[1])
def mount(*words):
    subprocess.run(["mount", "-n", *words, str(folder)], check=True)
def look():
    trouble = files.find_trouble(folder)
    return "well" if trouble is None else trouble.message.removeprefix(f"{folder}: ")
mount("-t", "tmpfs", "-o", "size=1m", "test")
lock = files.Lock(folder / "lock", "taken")
lock.acquire(); lock.release()
print(look())
(folder / "filler").write_bytes(bytes((1 << 20) - 8192))
print(look())
(folder / "filler").unlink()
mount("-o", "remount,ro")
print(look())
lock.acquire()
print("locked on a read-only disk")
"""
KEEPER = """
import os, signal, sys
from pathlib import Path
from spokewire.host.journal import Journal
steps = iter(range(10_000))
def maybe_die(*_):
    if next(steps) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(lambda event, _: maybe_die() if event in ("open", "os.rename", "os.remove") else None)
journal = Journal(Path(sys.argv[1]))
for n in range(4):
    journal.write("device", f"wg-{n}", "made")
for n in range(4):
    journal.cross_out("device", f"wg-{n}")
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("wanted", [files.PRIVATE, files.PUBLIC])
def test_a_file_has_the_mode_that_was_asked_for_whatever_it_had_before(tmp_path: Path, wanted: int) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o777)
    before = os.umask(0o077)
    try:
        files.write(path, "new", wanted)
    finally:
        os.umask(before)
    assert (files.read(path), mode(path)) == ("new", wanted)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_private_folder_and_those_above_it_are_closed_to_others(tmp_path: Path) -> None:
    files.make_private_folder(tmp_path / "a" / "b" / "c")
    files.make_private_folder(tmp_path / "a" / "b" / "c")
    assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/c")] == [0o700] * 3


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for delay_s in (0.0, 0.001, 0.004, 0.01, 0.02, 0.03):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline()
            try:
                writer.wait(delay_s)
            except subprocess.TimeoutExpired:
                writer.send_signal(signal.SIGKILL)
        words = (files.read(path) or "").split()
        assert len(set(words)) <= 1
        assert len(words) in (0, 20_000)


@pytest.mark.parametrize("place", ["file/below", "x" * 300, "missing/folder"])
def test_a_file_that_cannot_be_written_is_an_error_with_its_place_and_a_hint(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(PermanentError) as refused:
        files.write(tmp_path / place, "text")
    assert (refused.value.code, bool(refused.value.hint)) == (Code.DISK, True)
    assert str(tmp_path) in refused.value.message


def test_a_folder_that_cannot_be_made_is_an_error_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(PermanentError) as refused:
            files.make_private_folder(path)
        assert str(path) in refused.value.message


def test_what_is_not_text_is_an_error_and_what_is_not_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PermanentError) as refused:
        files.read(tmp_path / "binary")
    assert "not text" in refused.value.message
    assert files.read(tmp_path / "absent") is None
    files.remove(tmp_path / "absent")
    files.remove_folder(tmp_path / "absent")
    assert files.free_gigabytes(tmp_path / "absent") == 0.0
    assert files.free_gigabytes(tmp_path) > 0


def test_a_lock_is_held_once_and_freed_by_release_or_by_death(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first, second = files.Lock(path, "Another one runs."), files.Lock(path, "Another one runs.")
    first.acquire()
    with pytest.raises(TemporaryError, match=r"Another one runs\."):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
    code = (
        f"from pathlib import Path; from spokewire.host import files; files.Lock(Path({str(path)!r}), '').acquire(); "
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code + "print('held', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(TemporaryError):
            first.acquire()
        holder.kill()
        holder.wait()
        first.acquire()
        first.release()


def test_a_journal_killed_between_any_two_steps_names_at_least_what_was_made(tmp_path: Path) -> None:
    """The oracle: entries appear in order and go in order, so any whole state is a run of consecutive names."""
    finished, seen = False, set()
    for step in itertools.count():
        path = tmp_path / f"journal-{step}.json"
        done = subprocess.run(
            [sys.executable, "-c", KEEPER, str(path), str(step)], cwd=REPOSITORY, check=False, capture_output=True
        )
        entries = Journal(path).entries("device")
        numbers = [int(name.removeprefix("wg-")) for name in entries]
        assert numbers == list(range(min(numbers, default=0), max(numbers, default=-1) + 1))
        assert all(Journal(path).value("device", name) == "made" for name in entries)
        seen.add(tuple(numbers))
        if done.returncode == 0:
            finished = True
            assert not path.exists()
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert finished
    assert seen >= {(), (0,), (0, 1, 2, 3), (3,)}, "the deaths did not fall between the writes"


def test_a_full_and_a_read_only_disk_are_told_and_a_daemon_can_still_lock_its_folder_there(tmp_path: Path) -> None:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", *user, "--mount", sys.executable, "-c", SMALL_DISK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, cwd=REPOSITORY)
    wanted = ["well", "no space is left on the disk.", "the file system is read-only.", "locked on a read-only disk"]
    assert done.stdout.splitlines() == wanted, done.stderr


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[[1]]", b'{"a": 1}', b"null", b'[["device"]]', b"[" * 100_000, b"\xff\xfe" * 100]
)
def test_a_damaged_journal_is_an_empty_one_and_says_so(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "journal.json"
    path.write_bytes(data)
    journal = Journal(path)
    assert (journal.newest_first(), journal.is_damaged) == ([], True)
    journal.write("device", "wg-a")
    assert ("device", "wg-a") in Journal(path)
    assert not Journal(path).is_damaged


def test_the_journal_survives_a_restart_and_is_undone_newest_first(tmp_path: Path) -> None:
    path = tmp_path / "journal.json"
    journal = Journal(path)
    journal.write("sysctl", "net/ipv4/ip_forward", "0")
    journal.write("device", "wg-a")
    journal.write("sysctl", "net/ipv4/ip_forward", "0")
    again = Journal(path)
    assert [subject for _, subject, _ in again.newest_first()] == ["wg-a", "net/ipv4/ip_forward"]
    assert again.value("sysctl", "net/ipv4/ip_forward") == "0"
    assert (("device", "wg-a") in again, ("device", "wg-b") in again) == (True, False)
    assert mode(path) == files.PRIVATE
    for kind, subject, _ in again.newest_first():
        again.cross_out(kind, subject)
    assert not path.exists()
