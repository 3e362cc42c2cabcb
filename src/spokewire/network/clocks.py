"""The two clocks of a machine: whether the one that people set has jumped, and whether it is wrong. Pure.

The wall clock tells the time and may be set; the steady clock only counts on. WireGuard puts the wall clock into its handshakes, and refuses one that
is not newer than the last (TAI64N; WireGuard paper sections 5.1 and 5.4.2): whoever knew a machine before its clock was set back refuses its calls.
"""

from dataclasses import dataclass

from spokewire.errors import Code
from spokewire.network.status import Issue

JUMP_S = 2.0
"""A clock that is slewed gains half a millisecond a second (adjtimex(2)): what differs by this much was set."""
WRONG_S = 60.0
"""As far as `documents.CLOCK_TOLERANCE_S` goes: beyond it what this machine signs, and what it is asked, counts as too old or too new."""
RIGHT_S = WRONG_S / 2
"""So far a clock that was wrong must come back, so that one at the edge does not flap."""


@dataclass(frozen=True)
class Reading:
    """Both clocks at one moment, in seconds: `wall` since 1970, `steady` since some start."""

    wall: float
    steady: float


@dataclass(frozen=True)
class Told:
    """What a hub said the time is, when our own clocks showed `at`."""

    hub: str
    time: float
    at: Reading

    def time_at(self, steady: float) -> float:
        """The hub's time when our steady clock shows this, as long as the hub's clock is not set."""
        return self.time + steady - self.at.steady


def find_jump_s(before: Reading, after: Reading) -> float:
    """By how much the wall clock was set between two readings, in seconds, forward positive; 0 if it was not."""
    jump_s = (after.wall - before.wall) - (after.steady - before.steady)
    return jump_s if abs(jump_s) >= JUMP_S else 0.0


def tell_jump(jump_s: float) -> str:
    """A sentence about a jump."""
    return f"the clock was set {'forward' if jump_s > 0 else 'back'} by {abs(jump_s):.0f} s"


def find_wrong(machine: str, told: Told | None, now: Reading, before: Issue | None) -> Issue | None:
    """The issue of a machine whose clock differs from its hub's; None while it is right, or no hub told the time. `before`: the issue as it was."""
    if told is None:
        return None
    ahead_s = now.wall - told.time_at(now.steady)
    if abs(ahead_s) <= (WRONG_S if before is None else RIGHT_S):
        return None
    side = "ahead of" if ahead_s > 0 else "behind"
    return Issue(
        code=Code.CLOCK_WRONG,
        text=f"The clock of {machine} is {abs(ahead_s):.0f} s {side} that of {told.hub}.",
        hint="Set the clock that is wrong (timedatectl set-ntp true). Traffic flows meanwhile; tests are refused, and times that it tells are wrong.",
        since=now.wall if before is None else before.since,
        subject=machine,
    )
