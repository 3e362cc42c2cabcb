"""`spokewire status --watch` on a terminal: a table that lives, and a terminal that is as it was afterwards."""

import asyncio
import os
import pty
import signal
import struct
import sys
import termios
from fcntl import ioctl
from pathlib import Path
from typing import Self

from tests.component.folders import write_folder
from tests.component.made import Network
from tests.component.served import serve_hub, until

ROWS, COLUMNS = 12, 120
LIMIT_S = 20.0
SHOW, HIDE = "\x1b[?1049h", "\x1b[?1049l"
"""The terminal's other screen (xterm's control sequences): entered, and left."""


class Terminal:
    """A program on a terminal of its own, and all that it has written there."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.set_blocking(self._ours, False)
        self.seen = ""
        self._theirs = theirs
        self._argv = [sys.executable, "-m", "spokewire", *arguments]

    async def __aenter__(self) -> Self:
        environment = {**os.environ, "TERM": "xterm-256color"}
        self._process = await asyncio.create_subprocess_exec(
            *self._argv, stdin=self._theirs, stdout=self._theirs, stderr=self._theirs, env=environment
        )
        asyncio.get_running_loop().add_reader(self._ours, self._read)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._ours)
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    def _read(self) -> None:
        self.seen += os.read(self._ours, 65536).decode(errors="replace")

    async def until(self, words: str, after: int = 0) -> int:
        """Wait until it has written words after a place; return the place behind them."""
        await until(lambda: words in self.seen[after:], LIMIT_S)
        return self.seen.index(words, after) + len(words)

    async def interrupt(self) -> int:
        """Press Ctrl-C; return the exit status."""
        self._process.send_signal(signal.SIGINT)
        async with asyncio.timeout(LIMIT_S):
            return await self._process.wait()


def test_a_watched_status_shows_a_change_within_seconds_and_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    network = Network()

    async def scenario() -> None:
        async with serve_hub(tmp_path / "hub", network) as hub:
            spec = write_folder(tmp_path, network, hub.port)
            async with Terminal("status", "--watch", "--config", str(spec)) as terminal:
                await terminal.until("it has not joined", await terminal.until(SHOW))
                hub.membership.take(network.grant("node-1", 11).record())
                await terminal.until("nothing is heard of it", len(terminal.seen))
                assert await terminal.interrupt() == 130
                await terminal.until(HIDE, terminal.seen.rindex(SHOW))

    asyncio.run(scenario())


def test_a_table_that_is_longer_than_the_terminal_still_tells_how_the_network_is(tmp_path: Path) -> None:
    spec = tmp_path / "spokewire.toml"
    spec.write_text('[network]\nname = "made"\n[[hubs]]\nname = "hub-1"\n[[nodes]]\nname = "node"\ncount = 40\n')

    async def scenario() -> None:
        async with Terminal("status", "--watch", "--config", str(spec)) as terminal:
            await terminal.until("made: disconnected")
            await terminal.until("node-1")

    asyncio.run(scenario())
