"""Kernel settings under /proc/sys."""

from pathlib import Path

from spokewire.errors import Code, PermanentError

_ROOT = Path("/proc/sys")


def read(key: str) -> str | None:
    """Read a setting, its key written with slashes; None where the kernel has none of that name."""
    try:
        return (_ROOT / key).read_text().strip()
    except OSError:
        return None


def write(key: str, value: str) -> None:
    """Write a setting."""
    try:
        (_ROOT / key).write_text(value + "\n")
    except OSError as error:
        raise PermanentError(
            Code.PERMISSION,
            f"The kernel setting {key} cannot be written: {error.strerror}.",
            hint="Run as root, with a writable /proc/sys.",
        ) from error


def names(folder: str) -> list[str]:
    """The names in a folder of settings; none where the kernel has no such folder."""
    try:
        return sorted(entry.name for entry in (_ROOT / folder).iterdir())
    except OSError:
        return []
