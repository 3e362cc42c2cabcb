"""Loops that should have turned long ago, though the event loop lives. Pure."""

from collections.abc import Mapping

from spokewire.errors import Code
from spokewire.network.status import Issue

LATE_S = 120.0
"""Twice the longest interval of a loop, and more than a program may take that a loop waits for (60 s)."""
OVERDUE_S = 300.0
"""Beyond hope: the daemon starts again."""


def find_late(ages: Mapping[str, float], now: float) -> list[Issue]:
    """An issue for each loop that is late. `ages`: seconds since each turned; `now`: seconds since 1970."""
    return [
        Issue(
            code=Code.LOOP_HUNG,
            text=f"The loop {name} has not turned for more than {LATE_S:.0f} s.",
            hint=f"After {OVERDUE_S:.0f} s the daemon starts again by itself; if a thread waits in the kernel it cannot: look at the disk (dmesg).",
            since=now - age_s,
            subject=name,
        )
        for name, age_s in ages.items()
        if age_s > LATE_S
    ]


def tell_overdue(ages: Mapping[str, float]) -> str:
    """A sentence that names the loops beyond hope; "" if there are none."""
    names = [name for name, age_s in ages.items() if age_s > OVERDUE_S]
    return f"Not turned for {OVERDUE_S:.0f} s: {', '.join(names)}." if names else ""
