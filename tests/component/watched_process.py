"""A daemon whose event loop hangs in its first life: `python -m tests.component.watched_process FOLDER HOW`. It says on its standard output when it lives."""

import asyncio
import os
import sys
import threading
from pathlib import Path

from spokewire.host.loops import Ending, run_until_stopped
from spokewire.host.watchdog import Watchdog

HUNG_S = 3.0
"""Three beats: a machine under load may miss one."""


async def live(folder: Path, how: str, begun: list[int]) -> None:
    lives = folder / "lives"
    before = lives.read_text() if lives.exists() else ""
    lives.write_text(f"{before}x")
    begun.append(len(before) + 1)
    print(os.getpid(), len(before) + 1, os.environ.pop("SECRET", ""), flush=True)
    if how == "hang" and not before:
        threading.Event().wait(30)
        sys.exit("the watchdog has not noticed")
    end_with_parent = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, end_with_parent.set)
    await end_with_parent.wait()
    sys.exit("the test is gone")


async def close(ending: Ending) -> None:
    print(ending, flush=True)


async def main(folder: Path, how: str) -> None:
    begun: list[int] = []
    """Which life this is, once it has begun."""

    def overdue() -> str:
        return "one loop" if how == "overdue" and begun == [1] else ""

    await run_until_stopped(
        {"watchdog": Watchdog(overdue, hung_s=HUNG_S).run(), "live": live(folder, how, begun)},
        close,
    )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
