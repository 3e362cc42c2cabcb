"""Files that are whole or absent, with the mode they need."""

import contextlib
import errno
import fcntl
import os
import shutil
from pathlib import Path

from spokewire.errors import Code, PermanentError, TemporaryError

PRIVATE = 0o600
PUBLIC = 0o644
READ_ONLY, FULL = "the file system is read-only", "no space is left on the disk"
LEAST_FREE_BYTES = 1 << 16
"""With less than this a disk is full: the files that daemons write are some kilobytes each."""


def write(path: Path, text: str, mode: int = PRIVATE) -> None:
    """Write a file so that a reader, or a power cut, sees the old text or the new one and nothing between."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise _translate(error, path) from error


def append(path: Path, text: str, mode: int = PRIVATE) -> None:
    """Add to the end of a file, which is made if there is none. A power cut may cost the end."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
    except OSError as error:
        raise _translate(error, path) from error


def read(path: Path) -> str | None:
    """Read a file; None if there is none."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _translate(error, path) from error


def remove(path: Path) -> None:
    """Remove a file if it is there."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _translate(error, path) from error


def make_private_folder(path: Path) -> None:
    """Make a folder, and those above it, that only its owner may look into."""
    try:
        for folder in [*reversed(path.parents), path]:
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise _translate(error, path) from error


def remove_folder(path: Path) -> None:
    """Remove a folder with all that is in it, if it is there."""
    if path.exists():
        try:
            shutil.rmtree(path)
        except OSError as error:
            raise _translate(error, path) from error


def free_gigabytes(path: Path) -> float:
    """Free space of the file system that holds `path`, in GB (10^9 bytes); 0 if it cannot be told."""
    try:
        return shutil.disk_usage(path).free / 1e9
    except OSError:
        return 0.0


def find_trouble(folder: Path) -> PermanentError | None:
    """Why nothing can be written into a folder; None if something can, or if that cannot be told."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    if found.f_flag & os.ST_RDONLY:
        words = READ_ONLY
    elif found.f_bavail * found.f_frsize < LEAST_FREE_BYTES:
        words = FULL
    else:
        return None
    return PermanentError(Code.DISK, f"{folder}: {words}.", hint="Look at the disk: space, rights, read-only mount.")


class Lock:
    """An exclusive lock on a file: held until released or until the process ends, however it ends (flock(2))."""

    def __init__(self, path: Path, taken: str) -> None:
        self._path = path
        self._taken = taken
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock; TemporaryError with the words of `taken` if another process has it."""
        try:
            descriptor = _open_lock(self._path)
        except OSError as error:
            raise _translate(error, self._path) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise TemporaryError(Code.BUSY, self._taken, hint="Wait for it to end, or end it.") from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _open_lock(path: Path) -> int:
    """Where nothing can be written any more, a file from before can still be locked: a daemon must start again there."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _translate(error: OSError | UnicodeDecodeError, path: Path) -> PermanentError:
    if isinstance(error, PermissionError):
        return PermanentError(
            Code.PERMISSION, f"{path} may not be used: permission denied.", hint="Run it as the owner, or as root."
        )
    reason = "not text"
    if isinstance(error, OSError):
        reason = {errno.EROFS: READ_ONLY, errno.ENOSPC: FULL}.get(error.errno or 0, error.strerror or str(error))
    return PermanentError(Code.DISK, f"{path}: {reason}.", hint="Look at the disk: space, rights, read-only mount.")
