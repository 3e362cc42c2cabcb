"""What a hub says of its disk: an issue and no more, for all that it needs is in memory and in the kernel."""

from collections.abc import Callable
from pathlib import Path

from spokewire.errors import Code, SpokewireError
from spokewire.host import clock, files
from spokewire.hub.store import Store
from spokewire.network.status import Issue

REPAIR_TOLD_S = 30.0
"""How long a hub tells that it had to set its documents aside."""


class Disk:
    """The disk on which a hub keeps its documents and labels. `issue`: what is wrong with it, as of the last look."""

    def __init__(self, folder: Path, store: Store, unsaved: Callable[[], SpokewireError | None]) -> None:
        """`unsaved`: why labels could not be saved; None if they were."""
        self.issue: Issue | None = None
        self._repaired_at: float | None = None
        """When the repair was told first, in monotonic seconds; None: there is none to tell."""
        self._folder, self._store, self._unsaved = folder, store, unsaved

    def look(self, now: float) -> None:
        """Try again to write what waits, and see what is wrong. `now`: seconds since 1970."""
        self._store.try_again()
        error = self._store.problem or self._unsaved() or files.find_trouble(self._folder)
        since = now if self.issue is None else self.issue.since
        if error is not None:
            text = f"{error.message} The hub goes on, and keeps in memory what it cannot write."
            self.issue = Issue(code=error.code, text=text, hint=error.hint, since=since)
        elif self._store.damage and self._tells_on():
            text = f"The file of documents was damaged ({self._store.damage}): it was set aside, and machines hand theirs in again, and what they know of stock clients."
            hint = f"Nothing needs to be done. Why it was damaged is to be found on the disk of {self._folder}."
            self.issue = Issue(code=Code.DISK, text=text, hint=hint, since=since)
        elif self._store.rewritten and self._tells_on():
            text = f"The file of documents {self._store.rewritten} while the hub ran: it was written anew, whole."
            self.issue = Issue(code=Code.DISK, text=text, hint=f"Look who else writes to {self._folder}.", since=since)
        else:
            self.issue, self._store.damage, self._store.rewritten, self._repaired_at = None, "", "", None

    def clock_set(self, jump_s: float) -> None:
        """The wall clock was set: what began before is told by the clock as it is now."""
        if self.issue is not None:
            self.issue = self.issue.model_copy(update={"since": self.issue.since + jump_s})

    def _tells_on(self) -> bool:
        """Whether a repair is still to be told; by the clock that nobody sets."""
        if self._repaired_at is None:
            self._repaired_at = clock.monotonic()
        return clock.monotonic() - self._repaired_at < REPAIR_TOLD_S
