"""The one shape of a loop, and of a daemon."""

import asyncio
import ctypes
import random
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from spokewire.errors import PermanentError, SpokewireError
from spokewire.host.logs import log

FIRST_BACKOFF_S = 0.25
MAX_THREADS = 2
"""For the few calls that block: running `wg`, asking the kernel."""
_M_ARENA_MAX, _M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -8, -3, -1
_LARGE_BYTES, _SPARE_BYTES = 512 * 1024, 1024 * 1024
"""What is larger is given back to the kernel as soon as it is freed, and what is free beyond the spare. glibc's own thresholds grow with use. asyncio
takes a buffer of 256 kB for each datagram: that one must not be asked of the kernel each time.
"""
LONGEST_BACKOFF_S = 15.0
"""After an outage of any length we look again within a quarter of a minute."""
PERMANENT_BACKOFF_S = 10.0
"""A fault that cannot cure itself may still be cured by hand: look again, seldom."""


@dataclass
class Backoff:
    """Waits that double from the first to the longest, with jitter, until a success resets them."""

    first_s: float = FIRST_BACKOFF_S
    longest_s: float = LONGEST_BACKOFF_S
    _failures: int = 0

    def next_s(self) -> float:
        """How long to wait after one more failure."""
        wait: float = min(self.longest_s, self.first_s * 2 ** min(self._failures, 30))
        self._failures += 1
        return wait * random.uniform(0.7, 1.0)  # noqa: S311 - jitter, not a secret

    def reset(self) -> None:
        """Forget failures, after a success."""
        self._failures = 0


async def repeat(
    name: str,
    step: Callable[[], Awaitable[None]],
    interval_s: float | Callable[[], float],
    *,
    wake: asyncio.Event | None = None,
    report: Callable[[SpokewireError | None], None] = lambda _: None,
    backoff: Backoff | None = None,
) -> None:
    """Run a step for ever: every `interval_s`, at once when `wake` is set, with growing waits while it fails.

    An interval that is a function is asked after each step that worked.

    An error of ours is told to `report` (None when the step works again), logged when it changes, and survived. Anything else is a defect:
    it ends the daemon, which its supervisor starts again.
    """
    backoff = backoff or Backoff()
    told = ""
    while True:
        try:
            await step()
        except SpokewireError as error:
            if told != error.message:
                log.warning("step failed", step=name, code=error.code, error=error.message)
                told = error.message
            report(error)
            wait_s = PERMANENT_BACKOFF_S if isinstance(error, PermanentError) else backoff.next_s()
        else:
            if told:
                log.info("step works again", step=name)
                told = ""
            report(None)
            backoff.reset()
            wait_s = interval_s() if callable(interval_s) else interval_s
        await sleep_or_wake(wait_s, wake)


async def sleep_or_wake(wait_s: float, wake: asyncio.Event | None) -> None:
    """Wait that long, or until `wake` is set, which is cleared."""
    if wake is None:
        await asyncio.sleep(wait_s)
        return
    try:
        async with asyncio.timeout(wait_s):
            await wake.wait()
    except TimeoutError:
        return
    wake.clear()


class Ending(StrEnum):
    """How a daemon was told to end."""

    STOP = "stop"
    """For good: undo everything."""
    HAND_OVER = "hand over"
    """For the next one, which is about to start: leave the tunnel and the kernel's tables as they are."""


SIGNALS = {
    signal.SIGTERM: Ending.STOP,
    signal.SIGINT: Ending.STOP,
    signal.SIGHUP: Ending.STOP,
    signal.SIGUSR1: Ending.HAND_OVER,
}
"""What systemd sends at a restart is set by RestartKillSignal= (systemd.kill(5)): SIGUSR1 keeps traffic flowing meanwhile."""


class _Stop(Exception):  # noqa: N818 - a request, not an error
    """Raised inside the daemon's task group to end it."""


def keep_small() -> None:
    """Keep a daemon's memory small: few threads, and few heaps for them (mallopt(3), M_ARENA_MAX; musl has no such thing and needs none)."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="worker"))
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _SPARE_BYTES)


async def run_until_stopped(
    parts: Mapping[str, Coroutine[object, object, None]], close: Callable[[Ending], Awaitable[None]]
) -> None:
    """Run named parts side by side until a signal of SIGNALS; if one fails, all end and its error is raised. Then `close`.

    After a defect, too, the tunnel stays as it is: whatever starts the daemon again finds it working.
    """
    ending = Ending.HAND_OVER
    try:
        ending = await _run(parts)
    except SpokewireError:
        ending = Ending.STOP
        raise
    finally:
        await close(ending)


async def _run(parts: Mapping[str, Coroutine[object, object, None]]) -> Ending:
    told: asyncio.Queue[Ending] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number, ending in SIGNALS.items():
        loop.add_signal_handler(number, told.put_nowait, ending)

    async def wait_for_stop() -> None:
        ending = await told.get()
        told.put_nowait(ending)
        raise _Stop

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(wait_for_stop(), name="stop")
            for name, part in parts.items():
                group.create_task(part, name=name)
    except BaseExceptionGroup as failures:
        error = _find_cause(failures)
        if error is not None:
            raise error from None
    ending = told.get_nowait()
    log.info("stopping", ending=ending)
    return ending


def _find_cause(failures: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """What ended a daemon: its one error, the whole group if there are several or a defect is among them, None if it was told to stop."""
    _, others = failures.split(_Stop)
    if others is None:
        return None
    first: BaseException = others
    while isinstance(first, BaseExceptionGroup) and len(first.exceptions) == 1:
        first = first.exceptions[0]
    return first if isinstance(first, SpokewireError) else others
