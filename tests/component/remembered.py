"""A node's history as the daemon runs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from spokewire.host import clock
from spokewire.network.events import NodeHistory
from spokewire.node.history import History

DAY_S = 86400.0


def texts(told: NodeHistory) -> list[str]:
    return [item.text for item in told.events]


@asynccontextmanager
async def remembering(history: History) -> AsyncIterator[History]:
    """Run a history's loop, and close it as the daemon does."""
    loop = asyncio.create_task(history.run())
    try:
        yield history
    finally:
        loop.cancel()
        await asyncio.wait([loop])
        await asyncio.to_thread(history.close)


async def wait_until_stored(history: History, text: str) -> NodeHistory:
    """Wait until an event with that text is told as stored."""
    deadline = clock.monotonic() + 15
    while True:
        told = await history.tell(DAY_S, 1000)
        if any(item.stored and text in item.text for item in told.events):
            return told
        assert clock.monotonic() < deadline, f"{text!r} was not stored: {told}"
        await asyncio.sleep(0.02)


def begin(folder: Path) -> History:
    history = History()
    history.keep_in(folder, "node-1", "demo")
    return history
