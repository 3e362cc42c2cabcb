"""The only place that reads a clock. Deadlines use `monotonic`, records `wall`."""

import time

READ_WITHIN_S = 0.01
"""Two clocks are read at one moment if nothing came between for longer than this."""


def wall() -> float:
    """Seconds since 1970, UTC."""
    return time.time()


def monotonic() -> float:
    """Seconds since some start, never set back."""
    return time.monotonic()


def steady() -> float:
    """Seconds since the machine's start, never set, counted also while the machine sleeps (CLOCK_BOOTTIME of clock_gettime(2))."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def read() -> tuple[float, float]:
    """`wall` and `steady` at one moment: what is interrupted is read again."""
    while True:
        before, now = steady(), wall()
        if steady() - before < READ_WITHIN_S:
            return now, before
