"""What is promised for each fault, how a measured figure is held against it, and how both are told.

The promise itself and the slack for the test machine are different constants: the first is what docs/reliability.md says, the second is for two
cores that run every machine of the network, the traffic and the test at once. What is printed is what was measured.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

ROUNDS = int(os.environ.get("PROMISE_ROUNDS") or 1)
"""How often each fault strikes: once in `make test`, more often in `make promises`."""
SLACK_S = float(os.environ.get("PROMISE_SLACK") or 0.5)
"""For two labs side by side, as in `make test`; `make promises` runs five of them, each waiting for a core."""


FIRST_ANSWER_S = 1.0
"""A node's status server, whatever else does not work."""


@dataclass(frozen=True)
class Promise:
    """After this fault traffic flows again, or things are as before, within `limit_s`."""

    fault: str
    limit_s: float
    slack_s: float = SLACK_S

    def tell(self, figures_s: Sequence[float]) -> str:
        """The line of this promise."""
        shown = f"median {median(figures_s):.2f} s, worst {max(figures_s):.2f} s of {len(figures_s)}"
        return tell(self.fault, f"within {self.limit_s:g} s", shown)

    def is_kept(self, figures_s: Sequence[float]) -> bool:
        return bool(figures_s) and max(figures_s) <= self.limit_s + self.slack_s


def tell(fault: str, promised: str, measured: str) -> str:
    return f"{fault} | {promised} | {measured}"


Record = Callable[[str, object], None]
"""The fixture `record_property`: what is recorded is told at the end of the run."""


def keep(record: Record, promise: Promise, figures_s: Sequence[float]) -> None:
    """Print what was measured; the promise must be kept."""
    line = promise.tell(figures_s)
    _note(record, line)
    assert promise.is_kept(figures_s), f"{line}: {[round(figure, 2) for figure in figures_s]}"


def keep_word(record: Record, fault: str, promised: str, measured: str, *, is_kept: bool) -> None:
    """The same for a promise that is no length of time."""
    line = tell(fault, promised, measured)
    _note(record, line)
    assert is_kept, line


def _note(record: Record, line: str) -> None:
    print(f"promise: {line}", flush=True)
    record("promise", line)
