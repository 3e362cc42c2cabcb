"""What was tried against a fault, and what looking again showed."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from spokewire.host import clock
from spokewire.network.events import EventCode
from spokewire.network.status import Fix, Outcome

KEPT = 50
QUIET_S = 60.0
VERIFY_S = 4.0
"""After a forced handshake an echo is back within a round trip; this is for one that had to be repeated."""

Note = Callable[[float, str, str, str], None]
"""The history's `note_event`: when (wall), code, subject, text."""


@dataclass(frozen=True)
class _Attempt:
    code: str
    subject: str
    text: str
    tried_at: float
    """Monotonic seconds."""
    at: float
    """Seconds since 1970."""


class Fixes:
    """The newest attempts, each with its outcome once it is known."""

    def __init__(self, note: Note) -> None:
        self.newest: deque[Fix] = deque(maxlen=KEPT)
        self._note = note
        self._open: dict[str, _Attempt] = {}
        """By subject."""

    @property
    def awaited(self) -> bool:
        """Whether the outcome of any attempt is not known yet."""
        return bool(self._open)

    def tried(self, code: str, subject: str, text: str) -> None:
        """Something was tried; whether it helped will show."""
        self.look(lambda _: False)
        self._open[subject] = _Attempt(code, subject, text, clock.monotonic(), clock.wall())

    def cured(self, code: str, subject: str, text: str) -> None:
        """Something was put right, and looked at again. The same again within a minute is not told again: it goes on."""
        now = clock.wall()
        if any(
            0 <= now - fix.at < QUIET_S and (fix.code, fix.subject, fix.text) == (code, subject, text)
            for fix in self.newest
        ):
            return
        self._close(_Attempt(code, subject, text, clock.monotonic(), clock.wall()), Outcome.CURED)

    def noted(self, code: EventCode, subject: str, text: str) -> None:
        """An issue was opened or closed: the history tells it beside what was done about it."""
        self._note(clock.wall(), code, subject, text)

    def look(self, is_well: Callable[[str], bool]) -> None:
        """Look again at what was tried, by subject."""
        now = clock.monotonic()
        for subject, attempt in list(self._open.items()):
            if is_well(subject):
                self._close(attempt, Outcome.CURED)
                del self._open[subject]
            elif now - attempt.tried_at > VERIFY_S:
                self._close(attempt, Outcome.NO_CHANGE)
                del self._open[subject]

    def _close(self, attempt: _Attempt, outcome: Outcome) -> None:
        fix = Fix(code=attempt.code, subject=attempt.subject, at=attempt.at, outcome=outcome, text=attempt.text)
        self.newest.append(fix)
        code = EventCode.FIX_WORKED if outcome is Outcome.CURED else EventCode.FIX_FAILED
        self._note(clock.wall(), code, attempt.subject, attempt.text)
