"""What to do about a tunnel that stays silent, the mildest first: each rung of the ladder only after those below it have had their time. Pure.

    endpoint     looked up again and set where it differs: done at every look, whether a tunnel is silent or not (`wireguard/configuration.py`)
    handshake    the peer removed and added again, with the endpoint looked up anew (`handshakes.py`), with growing pauses, for ever
    device       the interface made anew, and with it the program behind it where that is in user space
    report       an issue that says what was tried and what to do next

Making the device anew ends every session. So it is done only where nothing is heard of anybody, while the hub's API, reached over the same line, answers:
a machine without a line, or whose hub is away, has nothing to gain by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

HANDSHAKES = 3
"""Forced in vain before anything stronger is tried."""
SILENT_S = 10.0
"""And at least so long nothing was heard: three handshakes over a line that loses a fifth of all packets fail once in a hundred times."""
PAUSE_S = 60.0
"""From one new device to the next."""
BUDGET = 3
BUDGET_S = 3600.0
"""So many new devices an hour: if three did not help, the fault is not here."""
SETTLED_S = 5.0
"""What answers so long after the tunnel fell silent did not fall silent with it."""
REPORT_S = 15.0


class Rung(StrEnum):
    """What is due now."""

    WAIT = "wait"
    """Handshakes have not had their time yet."""
    DEVICE = "device"
    REPORT = "report"
    """Nothing that is left could help."""


@dataclass(frozen=True)
class Fault:
    """Nothing is heard of any hub through the tunnel. Instants are monotonic seconds."""

    silent_since: float
    """When a hub gave its last sign of life."""
    handshakes: int
    """How many were forced with the hub since."""
    is_alone: bool
    """Whether hubs and peers are silent, all of them; else it is not this machine's device."""
    api_answered_at: float | None
    """When the hub's API took something from us last; None: never."""

    @property
    def api_answers(self) -> bool:
        """Whether the hub's API answered since the tunnel is silent, so that neither our line nor the hub is away."""
        return self.api_answered_at is not None and self.api_answered_at - self.silent_since >= SETTLED_S


def choose_rung(fault: Fault, remade_at: Sequence[float], now: float) -> Rung:
    """What to do about a silent tunnel; `remade_at`: when the device was made anew because of silence, oldest first."""
    silent_s = now - fault.silent_since
    spent = [at for at in remade_at if now - at < BUDGET_S]
    is_tried = fault.handshakes >= HANDSHAKES and silent_s >= SILENT_S
    has_rested = not spent or now - spent[-1] >= PAUSE_S
    if is_tried and has_rested and len(spent) < BUDGET and fault.is_alone and fault.api_answers:
        return Rung.DEVICE
    return Rung.REPORT if silent_s >= REPORT_S else Rung.WAIT


DEAF_TRIES = 2
DEAF_PAUSE_S = 30.0


@dataclass(frozen=True)
class Deafness:
    """How a user-space device answers when it is asked for its state. Instants are monotonic seconds."""

    unanswered: int = 0
    """Questions in a row that it did not answer in time."""
    remade_at: float | None = None


def is_deaf(deafness: Deafness, now: float) -> bool:
    """Whether the device is to be made anew: it is alive but does not answer, as one that was stopped, or whose locks hang."""
    has_rested = deafness.remade_at is None or now - deafness.remade_at >= DEAF_PAUSE_S
    return deafness.unanswered >= DEAF_TRIES and has_rested
