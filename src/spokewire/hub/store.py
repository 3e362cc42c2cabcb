"""The hub's documents on disk: SQLite in WAL mode, one writer, every change one transaction.

A `kill -9` at any moment leaves the state before or after a change, never between.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from spokewire.errors import Code, PermanentError

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE document (
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL,
    text    TEXT NOT NULL,
    PRIMARY KEY (kind, subject)
) STRICT;
"""


class Store:
    """The documents that this hub keeps, by kind and subject."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._migrate()
        except sqlite3.Error as error:
            raise _translate(error, path) from error

    def load(self) -> list[str]:
        """Every document, settings first: records are judged by them."""
        try:
            rows = self._connection.execute("SELECT text FROM document ORDER BY kind DESC, subject").fetchall()
        except sqlite3.Error as error:
            raise _translate(error, self._path) from error
        return [text for (text,) in rows]

    def replace(self, documents: Iterable[tuple[str, str, str]]) -> None:
        """Make these (kind, subject, text) all that is stored, in one transaction; only differences are written."""
        wanted = {(kind, subject): text for kind, subject, text in documents}
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                stored = {
                    (kind, subject): text
                    for kind, subject, text in self._connection.execute("SELECT kind, subject, text FROM document")
                }
                gone = [key for key in stored if key not in wanted]
                new = [(*key, text) for key, text in wanted.items() if stored.get(key) != text]
                self._connection.executemany("DELETE FROM document WHERE kind = ? AND subject = ?", gone)
                self._connection.executemany("INSERT OR REPLACE INTO document VALUES (?, ?, ?)", new)
        except sqlite3.Error as error:
            raise _translate(error, self._path) from error

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _migrate(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise PermanentError(
                Code.DISK,
                f"{self._path} was written by a newer Spokewire (schema {version}).",
                hint="Upgrade this hub, or restore an older copy.",
            )
        if version == 0:
            with self._connection:
                self._connection.executescript(
                    f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
                )


def _translate(error: sqlite3.Error, path: Path) -> PermanentError:
    return PermanentError(
        Code.DISK,
        f"{path}: {error}.",
        hint="Look at the disk: space, rights; restore the file from a backup if it is damaged.",
    )
