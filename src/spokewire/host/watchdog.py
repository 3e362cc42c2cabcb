"""The watchdog: a thread that sees whether the event loop still turns, and starts the daemon again in place if it does not.

In place means execve(2): the process id, the supervisor's word and the user-space device stay, as do the tunnel and the kernel's tables, which the new
daemon finds by its journal as it does after a `kill -9`.
"""

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spokewire.host import clock
from spokewire.host.logs import log
from spokewire.host.processes import replace_self
from spokewire.host.supervisor import ALIVE, READY, STOPPING, Supervisor

BEAT_S = 1.0
LOOK_S = 1.0
HUNG_S = 10.0
"""Nothing of ours holds the loop for a second, also on an emulated machine; whoever waits for an echo waits for three."""
OVERDUE_BEATS = 3
STOPPED_S = 1.0
"""A look that comes this much too late was not made by a hung loop: the whole process was stopped, or the machine slept."""
TELL_S = 2.0
"""The log may be what hangs: longer than this nobody waits for it."""
TASKS = Path("/proc/self/task")


@dataclass
class Pulse:
    """How long the loop has been silent. Pure: `now` in monotonic seconds is an argument."""

    beat_at: float
    looked_at: float

    def beat(self, now: float) -> None:
        """The loop has turned."""
        self.beat_at = now

    def silence_s(self, now: float) -> float:
        """Seconds since the loop turned, asked every LOOK_S. What passed while the whole process was stopped does not count."""
        if now - self.looked_at > LOOK_S + STOPPED_S:
            self.beat_at = now
        self.looked_at = now
        return now - self.beat_at


@dataclass
class Watchdog:
    """Watches the loop that runs `run`, from its first turn on: so it is the first part of a daemon. `overdue` says in a sentence what else hangs beyond hope; "" if nothing does."""

    overdue: Callable[[], str] = lambda: ""
    """Asked at each beat; it counts when it says so OVERDUE_BEATS times in a row: after the process was stopped for long every loop is overdue, and turns at once."""
    hung_s: float = HUNG_S

    def __post_init__(self) -> None:
        now = clock.monotonic()
        self._pulse, self._ended, self._told = Pulse(now, now), threading.Event(), ""

    async def run(self) -> None:
        """Beat until cancelled, and tell the supervisor."""
        supervisor, beats_overdue = Supervisor(), 0
        threading.Thread(target=self._guard, name="watchdog", daemon=True).start()
        supervisor.tell(READY)
        try:
            while True:
                self._pulse.beat(clock.monotonic())
                supervisor.tell(ALIVE)
                words = self.overdue()
                beats_overdue = beats_overdue + 1 if words else 0
                if beats_overdue >= OVERDUE_BEATS:
                    self._start_again(words)
                await asyncio.sleep(BEAT_S)
        finally:
            self._ended.set()
            supervisor.tell(STOPPING)

    def _guard(self) -> None:
        """Runs in the watchdog's thread."""
        while not self._ended.wait(LOOK_S):
            silence_s = self._pulse.silence_s(clock.monotonic())
            if silence_s > self.hung_s:
                try:
                    self._start_again(f"The event loop has not turned for {silence_s:.0f} s.")
                except OSError:
                    # There is no program to become, as after an upgrade that took the old one away: then the supervisor must see us end.
                    os._exit(1)

    def _start_again(self, why: str) -> None:
        """Does not return, unless a thread waits in the kernel: execve(2) would wait for it too, and nothing at all would answer meanwhile."""
        stuck = find_stuck(TASKS)
        event = "hung, and cannot start again while a thread waits in the kernel" if stuck else "hung: starting again"
        if event != self._told:
            self._told = event
            fields = {"reason": why, "threads": stuck, "stacks": format_stacks()}
            teller = threading.Thread(target=log.error, args=(event,), kwargs=fields, daemon=True)
            teller.start()
            teller.join(TELL_S)
        if not stuck:
            replace_self([sys.executable, *sys.orig_argv[1:]], _first_environment())


def format_stacks() -> str:
    """Where every thread is, the most recent call of each last."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"{names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()  # noqa: SLF001 - documented in spite of its name
    )


def find_stuck(tasks: Path) -> Sequence[str]:
    """The threads that wait in the kernel and cannot be interrupted (state D of proc(5) stat), by id."""
    stuck = []
    for task in tasks.iterdir():
        try:
            state = (task / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state == "D":
            stuck.append(task.name)
    return stuck


def _first_environment() -> dict[str, str]:
    """The environment that the supervisor gave us: a token that we have taken out since may still be needed."""
    try:
        words = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return dict(os.environ)
    pairs = (os.fsdecode(word).partition("=") for word in words)
    return {name: value for name, is_pair, value in pairs if is_pair}
