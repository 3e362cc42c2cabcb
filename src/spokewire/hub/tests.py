"""Tests under way: results travel from the nodes through here to the operator."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from spokewire.errors import Code, TemporaryError

MAX_TESTS = 16
"""An operator runs one; this bounds what a forgotten loop may hold."""


@dataclass
class RunningTest:
    """One test: the signed request, who is still to answer, and the results that have come, to be handed on."""

    request: str
    awaited: set[str]
    """Names of nodes. One result each is taken, so that no node can speak for another, or fill our memory."""
    results: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    @property
    def is_over(self) -> bool:
        """Whether everybody has answered and everything has been handed on."""
        return not self.awaited and self.results.empty()


class Tests:
    """The tests under way, by id."""

    def __init__(self) -> None:
        self._running: dict[str, RunningTest] = {}

    def refuse_more(self) -> None:
        """Raise if there is no room for one more test."""
        if len(self._running) >= MAX_TESTS:
            raise TemporaryError(Code.BUSY, "Too many tests are under way.", hint="Wait for them to end.")

    def begin(self, test: str, request: str, nodes: Iterable[str]) -> RunningTest:
        """Begin a test that these nodes are to answer."""
        running = RunningTest(request, set(nodes))
        self._running[test] = running
        return running

    def list_awaited(self, node: str) -> list[str]:
        """The requests that a node is still to answer. One that follows anew may not have read them from its stream of before."""
        return [running.request for running in self._running.values() if node in running.awaited]

    def end(self, test: str) -> None:
        """Forget a test."""
        self._running.pop(test, None)

    def deliver(self, test: str, node: str, result: str) -> bool:
        """Hand a node's signed result to whoever waits for it; False if nobody does."""
        running = self._running.get(test)
        if running is None or node not in running.awaited:
            return False
        running.awaited.discard(node)
        running.results.put_nowait(result)
        return True
