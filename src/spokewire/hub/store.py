"""The hub's documents on disk: SQLite, every change one transaction, and a hub that goes on whatever the disk says.

A `kill -9` at any moment leaves the state before or after a change, never between. What the disk refuses stays in memory and is tried again. A file
that is damaged is set aside: every document is held by somebody else too, and comes back when its owner, or a node that knows the settings, calls.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from spokewire.errors import Code, PermanentError
from spokewire.host.database import DamagedError, Database, Schema, transaction
from spokewire.host.logs import log

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE document (
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL,
    text    TEXT NOT NULL,
    PRIMARY KEY (kind, subject)
) STRICT;
"""

Row = tuple[str, str, str]
"""Kind, subject, text."""


class Store:
    """The documents that this hub keeps, by kind and subject. Nothing here raises an error of ours: see `problem`."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, Schema(SCHEMA_VERSION, _SCHEMA))
        self._waiting: list[Row] | None = None
        self._connection: sqlite3.Connection | None = None
        self._unread = False
        """Whether the file may hold documents that we have not seen: then none is deleted from it."""
        self.problem: PermanentError | None = None
        """Why the file is not what it should be; None if it is."""
        self.damage = ""
        """What was wrong with the file that was set aside, until somebody who has told it makes it empty; "" if none was."""

    def load(self) -> list[str]:
        """Every document, settings first: records are judged by them. None of them if the file cannot be read, or is damaged."""
        try:
            self._database.check()
            return self._read()
        except DamagedError as damage:
            self._repair(str(damage))
        except PermanentError as error:
            log.warning("documents not read", code=error.code, error=error.message)
            self.problem = error
            self._unread = True
        return []

    def replace(self, documents: Iterable[Row]) -> None:
        """Make these all that is stored, in one transaction; only differences are written. What the disk refuses waits for `try_again`."""
        self._waiting = list(documents)
        self.try_again()

    def try_again(self) -> None:
        """Write what waits, if anything does."""
        if self._waiting is None:
            return
        try:
            self._write(self._waiting)
        except DamagedError as damage:
            self._repair(str(damage))
        except PermanentError as error:
            if self.problem is None:
                log.warning("documents not written", code=error.code, error=error.message)
            self.problem = error
        else:
            self._waiting = self.problem = None

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _read(self) -> list[str]:
        with self._database.reading() as connection:
            if connection is None:
                return []
            rows = connection.execute("SELECT text FROM document ORDER BY kind DESC, subject").fetchall()
            return [str(text) for (text,) in rows]

    def _write(self, rows: list[Row]) -> None:
        wanted = {(kind, subject): text for kind, subject, text in rows}
        try:
            # It stays open: a thousand nodes may join at once, and to close it costs more than to write.
            self._connection = connection = self._connection or self._database.open()
            with transaction(connection):
                stored = _find_stored(connection)
                gone = [] if self._unread else [key for key in stored if key not in wanted]
                new = [(*key, text) for key, text in wanted.items() if stored.get(key) != text]
                connection.executemany("DELETE FROM document WHERE kind = ? AND subject = ?", gone)
                connection.executemany("INSERT OR REPLACE INTO document VALUES (?, ?, ?)", new)
        except (sqlite3.DatabaseError, OSError) as error:
            self.close()
            raise self._database.translate(error) from error

    def _repair(self, damage: str) -> None:
        self.damage = damage
        try:
            self._database.set_aside()
            if self._waiting is not None:
                self._write(self._waiting)
        except (DamagedError, PermanentError) as error:
            log.warning("damaged documents not set aside", reason=damage, error=str(error))
            self.problem = PermanentError(
                Code.DISK,
                f"{self._database.path.name} is damaged ({damage}) and cannot be replaced: {error}",
                hint=f"Look at {self._database.path.parent}: space, rights, read-only mount.",
            )
        else:
            log.warning("documents set aside", reason=damage, file=str(self._database.aside))
            self._waiting = self.problem = None
            self._unread = False


def _find_stored(connection: sqlite3.Connection) -> dict[tuple[str, str], str]:
    rows = connection.execute("SELECT kind, subject, text FROM document")
    return {(kind, subject): text for kind, subject, text in rows}
