"""What a hub says of itself: its state by its nodes' echoes, and what stops it."""

from collections.abc import Callable

from spokewire.errors import SpokewireError
from spokewire.host import clock
from spokewire.host.logs import log
from spokewire.network.health import Guest, Health, judge_hub
from spokewire.network.status import Issue, State


class Standing:
    """The state of one hub. `since` is wall time."""

    def __init__(self, guests: Callable[[], list[Guest]], has_settings: Callable[[], bool]) -> None:
        self.health = Health(State.STARTING, "the hub is starting")
        self.since = clock.wall()
        self.issue: Issue | None = None
        """Why the machine is not in line with the roster; None if it is."""
        self._guests, self._has_settings = guests, has_settings
        self._was_reconciled = False

    def report(self, error: SpokewireError | None) -> None:
        """Take note of how `reconcile` went."""
        self._was_reconciled = True
        if error is None:
            self.issue = None
        else:
            since = clock.wall() if self.issue is None else self.issue.since
            self.issue = Issue(code=error.code, text=error.message, hint=error.hint, since=since)
        self.look()

    def look(self) -> None:
        """Judge now."""
        if not self._was_reconciled:
            return
        blocking = "" if self.issue is None else self.issue.text
        if self._has_settings() or blocking:
            found = judge_hub(self._guests(), self.health.state, blocking)
        else:
            found = Health(State.STARTING, "waiting for the operator's settings")
        if found.state is not self.health.state:
            log.info("state changed", state=found.state, reason=found.reason)
            self.since = clock.wall()
        self.health = found

    def clock_set(self, jump_s: float) -> None:
        """Instants of before are told by the clock as it is now."""
        self.since += jump_s
        if self.issue is not None:
            self.issue = self.issue.model_copy(update={"since": self.issue.since + jump_s})
