"""Waiting for a cloud: the clock that it is measured with, and the pace of repeated attempts. Tests bring a clock of their own."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

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
