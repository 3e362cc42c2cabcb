"""The hub's documents on disk: SQLite, every change one transaction, and a hub that goes on whatever the disk says.

A `kill -9` at any moment leaves the state before or after a change, never between. What the disk refuses stays in memory and is tried again. A file
that is damaged is set aside: every document is held by somebody else too, and comes back when its owner, or a node that knows it, calls. A file that is removed or
replaced while the hub runs is written anew from what was stored last.
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

BUSY_TIMEOUT_S = 0.1
"""How long another program may lock the file before what is to be written waits for the next try: nothing else happens meanwhile in the hub's daemon."""

Row = tuple[str, str, str]
"""Kind, subject, text."""


class Store:
    """The documents that this hub keeps, by kind and subject. Nothing here raises an error of ours: see `problem`."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, Schema(SCHEMA_VERSION, _SCHEMA), BUSY_TIMEOUT_S)
        self._waiting: list[Row] | None = None
        self._stored: list[Row] = []
        """What the file holds as far as we know."""
        self._file: tuple[int, int] | None = None
        """The file that holds it; None: none of which we know."""
        self._connection: sqlite3.Connection | None = None
        self._unread = False
        """Whether the file may hold documents that we have not seen: then none is deleted from it."""
        self.problem: PermanentError | None = None
        """Why the file is not what it should be; None if it is."""
        self.damage = ""
        """What was wrong with the file that was set aside, until somebody who has told it makes it empty; "" if none was."""
        self.rewritten = ""
        """What became of a file that was then written anew, told in the same way."""

    def load(self) -> list[str]:
        """Every document, settings first: records are judged by them. None of them if the file cannot be read, or is damaged."""
        try:
            self._database.check()
            self._stored = self._read()
            self._file = self._database.identify()
            return [text for _, _, text in self._stored]
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
        """Write what waits, if anything does, and all of it where the file is not the one that we wrote."""
        try:
            self._look_at_file()
            if self._waiting is None:
                return
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

    def _look_at_file(self) -> None:
        """See whether the file is the one that we know; another one is set aside, and all that was stored waits to be written anew."""
        found = self._database.identify()
        if self._file is None or found == self._file:
            return
        what = "was removed" if found is None else "was replaced by another"
        log.warning("file of documents is not ours any more", what=what, file=str(self._database.path))
        self.close()
        self._database.set_aside(with_log=False)
        self.rewritten, self._file = what, None
        if self._waiting is None:
            self._waiting = self._stored

    def _read(self) -> list[Row]:
        with self._database.reading() as connection:
            if connection is None:
                return []
            rows = connection.execute("SELECT kind, subject, text FROM document ORDER BY kind DESC, subject").fetchall()
            return [(str(kind), str(subject), str(text)) for kind, subject, text in rows]

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
            self._stored, self._file = rows, self._database.identify()
        except (sqlite3.DatabaseError, OSError) as error:
            self.close()
            raise self._database.translate(error) from error

    def _repair(self, damage: str) -> None:
        self.damage, self._file = damage, None
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
