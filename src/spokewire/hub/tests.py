"""Tests under way: results travel from the nodes through here to the operator."""

import asyncio
from dataclasses import dataclass, field

from spokewire.errors import Code, TemporaryError

MAX_TESTS = 16
"""An operator runs one; this bounds what a forgotten loop may hold."""


@dataclass
class RunningTest:
    """One test: the results that have come, to be handed on."""

    results: asyncio.Queue[str] = field(default_factory=asyncio.Queue)


class Tests:
    """The tests under way, by id."""

    def __init__(self) -> None:
        self._running: dict[str, RunningTest] = {}

    def begin(self, test: str) -> RunningTest:
        """Begin a test."""
        if len(self._running) >= MAX_TESTS:
            raise TemporaryError(Code.BUSY, "Too many tests are under way.", hint="Wait for them to end.")
        running = RunningTest()
        self._running[test] = running
        return running

    def end(self, test: str) -> None:
        """Forget a test."""
        self._running.pop(test, None)

    def deliver(self, test: str, result: str) -> bool:
        """Hand a node's signed result to whoever waits for it; False if nobody does."""
        running = self._running.get(test)
        if running is None:
            return False
        running.results.put_nowait(result)
        return True
