"""The only place that reads a clock. Deadlines use `monotonic`, records `wall`."""

import time


def wall() -> float:
    """Seconds since 1970, UTC."""
    return time.time()


def monotonic() -> float:
    """Seconds since some start, never set back."""
    return time.monotonic()
