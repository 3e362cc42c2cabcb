"""Running other programs, and finding processes."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spokewire.errors import Code, PermanentError, TemporaryError
from spokewire.host.logs import log

TIMEOUT_S = 60.0
"""Far above what `wg`, `ip` or `nft` need: only a hung kernel call takes longer. On an emulated machine under load `ip` was seen to need more than 30 s."""

INTERRUPT_S = 2.0
"""How long an interrupted program may take to end by itself."""

PACKAGES = {
    "wg": "wireguard-tools",
    "wireguard-go": "wireguard-go",
    "nft": "nftables",
    "ip": "iproute2",
    "tc": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}
"""Debian's package of each program we run."""


@dataclass(frozen=True)
class Outcome:
    """What a finished program left: its exit status and its output."""

    status: int
    stdout: str
    stderr: str


def tool_missing(program: str) -> PermanentError:
    """The error for a program that is not installed."""
    package = PACKAGES.get(program, program)
    return PermanentError(
        Code.TOOL_MISSING, f"The program {program} is not installed.", hint=f"Install it: apt-get install {package}."
    )


def attempt(argv: Sequence[str], *, stdin: str = "", timeout_s: float = TIMEOUT_S) -> Outcome:
    """Run a program to its end and return what it left, whatever its exit status."""
    log.debug("[#] run", argv=list(argv))
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False, errors="replace"
        )
    except FileNotFoundError as error:
        raise tool_missing(argv[0]) from error
    except subprocess.TimeoutExpired as error:
        raise TemporaryError(Code.TIMEOUT, f"{argv[0]} did not finish within {timeout_s:.0f} s.") from error
    return Outcome(done.returncode, done.stdout, done.stderr)


def run(argv: Sequence[str], *, stdin: str = "", timeout_s: float = TIMEOUT_S) -> str:
    """Run a program that must succeed; return its standard output."""
    outcome = attempt(argv, stdin=stdin, timeout_s=timeout_s)
    if outcome.status != 0:
        words = outcome.stderr.strip() or outcome.stdout.strip() or f"exit status {outcome.status}"
        raise PermanentError(Code.COMMAND_FAILED, f"{' '.join(argv[:4])} failed: {words}", hint=_hint(words))
    return outcome.stdout


def spawn(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    log_path: Path | None = None,
    detach: bool = True,
) -> int:
    """Start a program that goes on by itself, in a session of its own; return its process id.

    Its output is appended to `log_path`, or dropped.
    """
    log.debug("[#] spawn", argv=list(argv))
    with (log_path or Path(os.devnull)).open("ab") as sink:
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=environment, start_new_session=detach
            )
        except FileNotFoundError as error:
            raise tool_missing(argv[0]) from error
    _children[process.pid] = process
    return process.pid


_children: dict[int, "subprocess.Popen[bytes]"] = {}
"""Programs we started, so that their end can be collected."""


def replace_self(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Become another program; does not return."""
    os.execvpe(argv[0], list(argv), dict(environment))  # noqa: S606 - no shell is wanted


def call(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run a program on our own terminal and return its exit status (128 + n if signal n ended it).

    The terminal sends an interrupt to the program as well as to us, so we leave it the time to end by itself.
    """
    process = subprocess.Popen(argv, env=environment)
    try:
        status = process.wait()
    except KeyboardInterrupt:
        try:
            process.wait(timeout=INTERRUPT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    return status if status >= 0 else 128 - status


def capture(argv: Sequence[str], environment: Mapping[str, str]) -> Outcome:
    """Run a program that may take its time, with our standard input; return what it left (128 + n if signal n ended it)."""
    try:
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, errors="replace")
    except FileNotFoundError as error:
        raise tool_missing(argv[0]) from error
    return Outcome(done.returncode if done.returncode >= 0 else 128 - done.returncode, done.stdout, done.stderr)


def lines(argv: Sequence[str]) -> Iterator[str]:
    """Run a program and yield its lines as they come, until it ends or nobody wants more."""
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, errors="replace")
    assert process.stdout is not None
    try:
        for line in process.stdout:
            yield line.rstrip("\n")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def installed(program: str) -> bool:
    """Whether a program is on the PATH."""
    return shutil.which(program) is not None


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot (field 22 of proc(5) stat): with the id it names a process for ever.

    None if there is no such process, or only its zombie.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def is_alive(pid: int, started: int) -> bool:
    """Whether the process that had this id and start time still runs."""
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        del _children[pid]
    return start_time(pid) == started


def end(pid: int, started: int) -> None:
    """Kill a process at once, if it is still the one we mean."""
    if is_alive(pid, started):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise PermanentError(Code.PERMISSION, f"Process {pid} belongs to another user.") from error
    is_alive(pid, started)


def wait_until_gone(pid: int, started: int, limit_s: float) -> None:
    """Wait until a process has ended; TemporaryError if it takes longer."""
    deadline = time.monotonic() + limit_s
    while is_alive(pid, started):
        if time.monotonic() > deadline:
            raise TemporaryError(Code.TIMEOUT, f"Process {pid} does not end.")
        pause(0.01)


def pause(seconds: float) -> None:
    """Wait, in code that has no loop to keep running."""
    time.sleep(seconds)


async def wait_for_end(pid: int, started: int) -> None:
    """Wait until a process ends, whoever started it (pidfd_open(2))."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    import asyncio  # only daemons have a loop, and it takes a command 30 ms to load

    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        if is_alive(pid, started):
            await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    is_alive(pid, started)


def command_lines() -> Iterator[tuple[int, list[str]]]:
    """Every process that we may see, with its command line."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        yield int(entry.name), command_line(int(entry.name))


def command_line(pid: int, proc: Path = Path("/proc")) -> list[str]:
    """The command line of a process; [] if it is gone, or only its zombie. `proc` chooses whose process ids are meant."""
    try:
        words = (proc / str(pid) / "cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return []
    return [word.decode(errors="replace") for word in words]


def namespace_ids(pid: int) -> list[int]:
    """The ids that a process has in each PID namespace, ours first (NSpid of proc(5) status); [] if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return []
    return [int(word) for line in lines if line.startswith("NSpid:") for word in line.split()[1:]]


def _hint(words: str) -> str:
    lowered = words.lower()
    if "not permitted" in lowered or "permission denied" in lowered:
        return "Run it as root, or see `spokewire doctor`."
    return "See `spokewire doctor`."
