"""Looking at every process's command line while something happens."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INTERVAL_S = 0.02


@contextmanager
def watch_command_lines() -> Iterator[set[str]]:
    """Collect the command lines of all processes of this computer, as anybody on it could, until the block ends."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(INTERVAL_S):
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue

    thread = threading.Thread(target=look, name="command lines")
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
