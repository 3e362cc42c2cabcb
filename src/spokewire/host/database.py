"""A SQLite file that a full disk, a power cut or another program may have harmed.

It is opened for each piece of work and closed after it, so that a file that was removed, replaced or made read-only meanwhile is noticed, and nothing
is held in memory between. WAL mode with every commit synced: what was committed survives a `kill -9` and a power cut (sqlite.org/pragma.html#pragma_synchronous).
"""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from spokewire.errors import Code, PermanentError
from spokewire.host import files

BUSY_TIMEOUT_S = 2.0
"""How long another program may lock the file before we say so."""
_PRIMARY = 0xFF
"""The part of a result code that names its kind (sqlite.org/rescode.html)."""
_DISK = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOLFS,
)
"""What the file is not to blame for. All else (not a database, malformed, a table that is missing) is damage: our statements never change."""


class DamagedError(Exception):
    """The file is not, or no longer, a database of ours."""


@dataclass(frozen=True)
class Schema:
    """The tables of a file, and the number of that design."""

    version: int
    script: str


class Database:
    """One file with a schema. Every method may be called from any thread; one at a time may write."""

    def __init__(self, path: Path, schema: Schema, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.path = path
        self._busy_timeout_s = busy_timeout_s
        self._schema = schema
        self._log = path.with_name(f"{path.name}-wal")
        self._index = path.with_name(f"{path.name}-shm")
        self.aside = path.with_name(f"{path.name}.corrupt")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open the file to write, make it if there is none. DamagedError, or PermanentError if the disk or its file system refuses."""
        connection: sqlite3.Connection | None = None
        try:
            connection = self.open()
            yield connection
        except (sqlite3.DatabaseError, OSError) as error:
            raise self.translate(error) from error
        finally:
            if connection is not None:
                connection.close()

    def open(self) -> sqlite3.Connection:
        """Open the file to write, for one who writes so often that he keeps it open. Raises what SQLite and the system raise: see `translate`."""
        self._make()
        connection = self._connect("mode=rw")
        try:
            self._prepare(connection)
        except (sqlite3.Error, OSError, DamagedError):
            connection.close()
            raise
        return connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """Open the file to read; None if there is none, or nothing is in it yet. Raises as `writing` does."""
        connection: sqlite3.Connection | None = None
        try:
            connection = self._connect_to_read() if self.path.exists() else None
            version = 0 if connection is None else _version(connection)
            yield connection if version == self._schema.version else None
        except (sqlite3.DatabaseError, OSError) as error:
            raise self.translate(error) from error
        finally:
            if connection is not None:
                connection.close()

    def check(self) -> None:
        """Read the whole file; DamagedError if it does not hold together."""
        with self.reading() as connection:
            if connection is not None:
                [(found,)] = connection.execute("PRAGMA quick_check(1)").fetchall()
                if found != "ok":
                    raise DamagedError(" ".join(str(found).split()))

    def set_aside(self, *, with_log: bool = True) -> None:
        """Put the file out of the way, in place of an earlier one; PermanentError if that cannot be. No file is none in the way.

        Not `with_log`: the log that lies beside it belongs to another file, and goes.
        """
        aside_log = self.aside.with_name(f"{self.aside.name}-wal")
        try:
            aside_log.unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                self._log.replace(aside_log) if with_log else self._log.unlink()
            self._index.unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                self.path.replace(self.aside)
        except OSError as error:
            raise self.translate(error) from error

    def identify(self) -> tuple[int, int] | None:
        """Which file it is now (device and inode); None if there is none, or it cannot be seen."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def size_bytes(self) -> int:
        """How much of the disk it takes, its log included."""
        return _size(self.path) + _size(self._log)

    def disk_bytes(self) -> int:
        """The size of the file system that it is on; PermanentError if it cannot be told."""
        try:
            return shutil.disk_usage(self.path.parent).total
        except OSError as error:
            raise self.translate(error) from error

    def _make(self) -> None:
        files.make_private_folder(self.path.parent)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.PRIVATE))

    def _connect(self, mode: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"file:{quote(str(self.path.absolute()))}?{mode}",
            uri=True,
            isolation_level=None,
            timeout=self._busy_timeout_s,
        )

    def _connect_to_read(self) -> sqlite3.Connection:
        """On a full or read-only disk SQLite cannot make the files that belong to WAL mode; without a log the file alone is whole."""
        connection = self._connect("mode=rw")
        try:
            connection.execute("PRAGMA query_only = 1")
            _version(connection)
        except sqlite3.OperationalError as error:
            connection.close()
            if _kind(error) not in _DISK or _size(self._log):
                raise
            connection = self._connect("mode=ro&immutable=1")
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = _version(connection)
        if version > self._schema.version:
            raise DamagedError(f"it was written by a newer release (schema {version})")
        if version == 0 and connection.execute("SELECT 1 FROM sqlite_schema").fetchall():
            raise DamagedError("another program made it")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("PRAGMA synchronous = FULL")
        if version == 0:
            connection.executescript(
                f"BEGIN IMMEDIATE; {self._schema.script} PRAGMA user_version = {self._schema.version}; COMMIT;"
            )

    def translate(self, error: sqlite3.DatabaseError | OSError) -> Exception:
        """What an error of SQLite or the system means: DamagedError, PermanentError, or itself where we ourselves are to blame."""
        if isinstance(error, sqlite3.ProgrammingError):
            return error
        if isinstance(error, sqlite3.DatabaseError) and _kind(error) not in _DISK:
            return DamagedError(str(error))
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        full = isinstance(error, sqlite3.DatabaseError) and not _is_room_left(self.path.parent)
        return PermanentError(
            Code.DISK,
            f"{self.path.name}: {'no space is left on the disk' if full else words}.",
            hint=f"Look at {self.path.parent}: space, rights, read-only mount.",
        )


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        # SQLite itself has rolled back after some errors, such as a full disk.
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _kind(error: sqlite3.Error) -> int:
    """What kind of failure it is; SQLITE_CORRUPT where Python found text that is none."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)) & _PRIMARY


def _version(connection: sqlite3.Connection) -> int:
    [(version,)] = connection.execute("PRAGMA user_version").fetchall()
    return int(version)


def _is_room_left(folder: Path) -> bool:
    """Whether a page of a database would find room."""
    try:
        return shutil.disk_usage(folder).free >= 2 * 4096
    except OSError:
        return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
