"""The journal of what a daemon made on its machine, so that all of it can be undone: at stop, or at the next start after a SIGKILL.

An entry is written before the thing is made and crossed out after it is undone. Undoing is idempotent, so an entry for something that
was never made, or is gone with a reboot, does no harm.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from spokewire.errors import SpokewireError
from spokewire.host import files
from spokewire.host.logs import log

Undo = Callable[[str], None]


class Journal:
    """Entries of (kind, subject) in the order of making; `value` says what undoing needs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[tuple[str, str], str] = {}
        self._is_behind = False
        self.is_damaged = False
        """Whether the file could not be read: what an earlier daemon made is not known then."""
        try:
            text = files.read(path)
            if text is not None:
                self._entries = {(kind, subject): value for kind, subject, value in _parse(text)}
        except (ValueError, TypeError, RecursionError, SpokewireError) as error:
            log.warning("journal unreadable", path=str(path), error=str(error))
            self.is_damaged = True

    def __contains__(self, entry: tuple[str, str]) -> bool:
        return entry in self._entries

    def value(self, kind: str, subject: str) -> str | None:
        """What was written down with an entry; None if there is none."""
        return self._entries.get((kind, subject))

    def write(self, kind: str, subject: str, value: str = "") -> None:
        """Write an entry down, on disk before this returns. An existing entry with the same value costs nothing."""
        if self._entries.get((kind, subject)) != value or self._is_behind:
            self._entries[kind, subject] = value
            self._store()

    def cross_out(self, kind: str, subject: str) -> None:
        """Forget an entry whose thing has been undone."""
        if self._entries.pop((kind, subject), None) is not None:
            self._store()

    def entries(self, kind: str) -> list[str]:
        """The subjects of one kind."""
        return [subject for known, subject in self._entries if known == kind]

    def newest_first(self) -> list[tuple[str, str, str]]:
        """Every entry, the newest first: the order of undoing."""
        return [(kind, subject, value) for (kind, subject), value in reversed(list(self._entries.items()))]

    def _store(self) -> None:
        """A full or read-only disk must not stop a daemon from mending its tunnel: what it makes then is written down as soon as that is possible."""
        try:
            if self._entries:
                files.write(self._path, json.dumps([[*entry, value] for entry, value in self._entries.items()]))
            else:
                files.remove(self._path)
        except SpokewireError as error:
            log.warning("journal not written", code=error.code, error=error.message)
            self._is_behind = True
        else:
            self._is_behind = False


def _parse(text: str) -> Iterator[tuple[str, str, str]]:
    for kind, subject, value in json.loads(text):
        yield str(kind), str(subject), str(value)
