"""When each loop of a daemon turned last: the watchdog sees that the event loop lives, not that every loop in it does."""

from dataclasses import dataclass, field

from spokewire.errors import SpokewireError
from spokewire.host import clock
from spokewire.network.late import find_late, tell_overdue
from spokewire.network.status import Issue


@dataclass
class Turns:
    """The loops that turn by themselves; one that waits for news, which may never come, does not belong here."""

    _turned: dict[str, float] = field(default_factory=dict)
    """By name, in monotonic seconds."""

    def note(self, loop: str, _: SpokewireError | None = None) -> None:
        """A loop has turned, however that went."""
        self._turned[loop] = clock.monotonic()

    def ages(self) -> dict[str, float]:
        """Seconds since each turned."""
        now = clock.monotonic()
        return {loop: now - turned for loop, turned in self._turned.items()}

    def issues(self) -> list[Issue]:
        """The loops that are late."""
        return find_late(self.ages(), clock.wall())

    def overdue(self) -> str:
        """Which loops hang beyond hope, as a sentence; "" if none does."""
        return tell_overdue(self.ages())
