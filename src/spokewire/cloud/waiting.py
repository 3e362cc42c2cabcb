"""Waiting for a cloud: the clock that it is measured with, and the pace of repeated attempts. Tests bring a clock of their own."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from spokewire.errors import Code, TemporaryError
from spokewire.host import clock


@dataclass(frozen=True)
class Clock:
    """What time it is, and how to let it pass."""

    monotonic: Callable[[], float] = clock.monotonic
    wall: Callable[[], float] = clock.wall
    sleep: Callable[[float], None] = time.sleep

    def watch(self, limit_s: float, interval_s: float) -> Iterator[float]:
        """Yield the seconds gone, at once and then every `interval_s`, until `limit_s` is over; the last look is at the limit or after it."""
        begun = self.monotonic()
        while True:
            gone_s = self.monotonic() - begun
            yield gone_s
            if gone_s >= limit_s:
                return
            self.sleep(min(interval_s, max(limit_s - gone_s, 0.001)))


class TimeIsOverError(TemporaryError):
    """A command has waited as long as it may."""


@dataclass
class Patience:
    """How long a command may wait in all, whatever it waits for: its providers' clocks sleep by this. Nothing is limited before `begin`.

    What is sent already is not taken back, and what needs no waiting is not cut short.
    """

    monotonic: Callable[[], float] = clock.monotonic
    rest: Callable[[float], None] = time.sleep
    _limit_s: float = math.inf
    _ends_at: float = math.inf

    def begin(self, limit_s: float) -> None:
        """Count from now."""
        self._limit_s, self._ends_at = limit_s, self.monotonic() + limit_s

    def left_s(self, limit_s: float) -> float:
        """How much of a time is left: all of it, if no limit ends it sooner."""
        return max(0.0, min(limit_s, self._ends_at - self.monotonic()))

    def sleep(self, seconds: float) -> None:
        """Sleep, but not beyond the end; TimeIsOverError when that has come."""
        left_s = self._ends_at - self.monotonic()
        if left_s <= 0:
            raise TimeIsOverError(
                Code.TIMEOUT,
                f"it was not ready within {self._limit_s:.0f} s",
                hint="Run spokewire deploy again; it goes on from what exists.",
            )
        self.rest(min(seconds, left_s))


@dataclass(frozen=True)
class Pace:
    """How a request is repeated: the waits double from the first to the longest, and no attempt begins after the limit."""

    limit_s: float = 60.0
    busy_limit_s: float = 180.0
    """Where the cloud asks for patience (429): its limits count minutes, and twenty machines are made at once."""
    first_wait_s: float = 0.5
    longest_wait_s: float = 8.0

    def wait_s(self, attempt: int) -> float:
        """How long to wait after the attempt of that number, counted from 0."""
        return float(min(self.first_wait_s * 2 ** min(attempt, 16), self.longest_wait_s))
