"""A daemon that hangs starts again by itself, and its supervisor is told how it is."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spokewire.host.supervisor import ALIVE, READY, STOPPING, Supervisor
from spokewire.host.watchdog import LOOK_S, STOPPED_S, Pulse, find_stuck

REPOSITORY = Path(__file__).parents[2]


@contextmanager
def daemon(folder: Path, how: str, **more: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.component.watched_process", str(folder), how]
    pipe, environment = subprocess.PIPE, {**os.environ, "SECRET": "s3", **more}
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=REPOSITORY, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def supervisor(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.bind(address)
        yield sock


def read_line(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


@pytest.mark.parametrize(("how", "reason"), [("hang", "The event loop has not turned for"), ("overdue", "one loop")])
def test_a_daemon_that_hangs_starts_again_as_the_same_process_with_the_environment_it_was_given(
    tmp_path: Path, how: str, reason: str
) -> None:
    with daemon(tmp_path, how) as process:
        lives = [read_line(process), read_line(process)]
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        last, errors = process.communicate(timeout=20)
    assert lives == [[str(process.pid), "1", "s3"], [str(process.pid), "2", "s3"]]
    assert (last.strip(), process.returncode) == ("stop", 0)
    assert "hung: starting again" in errors
    assert reason in errors


def test_the_log_says_where_the_loop_hung(tmp_path: Path) -> None:
    with daemon(tmp_path, "hang") as process:
        for _ in range(2):
            read_line(process)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        _, errors = process.communicate(timeout=20)
    assert "watched_process.py" in errors
    assert "MainThread" in errors
    assert "threading.Event().wait(30)" in errors


@pytest.mark.parametrize("abstract", [False, True])
def test_a_supervisor_hears_that_a_daemon_is_ready_alive_and_about_to_end(tmp_path: Path, abstract: bool) -> None:
    name = f"spokewire-test-{os.getpid()}"
    address, told = (f"\0{name}", f"@{name}") if abstract else (str(tmp_path / "notify"), str(tmp_path / "notify"))
    with supervisor(address) as sock, daemon(tmp_path, "live", NOTIFY_SOCKET=told, WATCHDOG_USEC="9000000") as process:
        heard = [sock.recv(100).decode() for _ in range(3)]
        process.send_signal(signal.SIGTERM)
        while heard[-1] == ALIVE:
            heard.append(sock.recv(100).decode())
        process.communicate(timeout=20)
    assert heard[:3] == [READY, ALIVE, ALIVE]
    assert heard[-1] == STOPPING


def test_without_a_supervisor_or_with_one_that_is_gone_nothing_is_said_and_nothing_fails(tmp_path: Path) -> None:
    Supervisor({}).tell(READY)
    Supervisor({"NOTIFY_SOCKET": str(tmp_path / "gone")}).tell(READY)
    with supervisor(str(tmp_path / "notify")) as sock:
        to = Supervisor({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        to.tell(ALIVE)
        to.tell(STOPPING)
        assert sock.recv(100).decode() == STOPPING, "no watchdog was asked for"


@pytest.mark.parametrize(
    ("script", "silence_s"),
    [
        pytest.param([("look", 1), ("look", 2)], 2, id="the loop does not turn"),
        pytest.param([("beat", 1), ("look", 1), ("look", 2)], 1, id="it turned a second ago"),
        pytest.param([("look", 1), ("look", 121)], 0, id="the whole process was stopped for two minutes"),
        pytest.param([("look", 1), ("look", 121), ("look", 122)], 1, id="and the loop does not turn after it"),
        pytest.param([("look", n) for n in range(1, 12)], 11, id="the loop hangs for eleven seconds"),
        pytest.param([("look", n * (LOOK_S + STOPPED_S)) for n in range(1, 7)], 12, id="on a slow machine"),
    ],
)
def test_only_a_loop_that_hangs_while_the_process_runs_counts_as_hung(
    script: list[tuple[str, float]], silence_s: float
) -> None:
    pulse, last = Pulse(0.0, 0.0), 0.0
    for what, at in script:
        if what == "beat":
            pulse.beat(at)
        else:
            last = pulse.silence_s(at)
    assert last == silence_s


def test_a_thread_that_waits_in_the_kernel_is_found(tmp_path: Path) -> None:
    for number, state in ((11, "S"), (12, "D"), (13, "R")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "stat").write_text(f"{number} (a ) D) {state} 1 1 1")
    (tmp_path / "14").mkdir()
    assert find_stuck(tmp_path) == ["12"]
