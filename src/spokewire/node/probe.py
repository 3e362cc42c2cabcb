"""Echoes to every hub and peer, about one a second each, and what they say."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from spokewire.host import clock
from spokewire.host.echo import EchoService
from spokewire.network.health import ANSWER_TIMEOUT_S, EchoWindow, Health, judge_echo
from spokewire.network.status import State

INTERVAL_S = 1.0


@dataclass
class Watched:
    """One machine that we send echoes to. `since` is wall time."""

    name: str
    address: str
    window: EchoWindow
    health: Health
    since: float


class Prober:
    """Sends echoes and judges the answers."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.service = EchoService(answered=self._answered)
        self.watched: dict[str, Watched] = {}
        """By overlay address."""
        self._changed = changed
        self._sequence = 0
        self._measuring: dict[int, float | None] = {}
        self._measured = asyncio.Event()

    def watch(self, machines: dict[str, str]) -> None:
        """Watch exactly these machines, given as overlay address to name."""
        now, wall = clock.monotonic(), clock.wall()
        self.watched = {
            address: self.watched.get(address)
            or Watched(name, address, EchoWindow(now), Health(State.STARTING, "no echo has come back yet"), wall)
            for address, name in machines.items()
        }

    async def step(self) -> None:
        """Judge what has come back, and send one echo to everybody, spread over the interval."""
        self.judge()
        targets = list(self.watched.values())
        random.shuffle(targets)
        for watched in targets:
            self._ask(watched)
            if len(targets) > 1:
                await asyncio.sleep(INTERVAL_S / 2 / len(targets) * random.random())  # noqa: S311 - jitter

    def judge(self) -> None:
        """Judge every watched machine by the echoes until now."""
        now, wall, changed = clock.monotonic(), clock.wall(), False
        for watched in self.watched.values():
            health = judge_echo(watched.window, watched.health.state, now)
            if health.state is not watched.health.state:
                watched.since = wall
                changed = True
            watched.health = health
        if changed:
            self._changed()

    async def measure(self, address: str, count: int, spacing_s: float) -> tuple[float | None, float]:
        """Send that many echoes to an address; return the median round trip in ms (None: none came back) and the loss in percent."""
        sent: dict[int, float] = {}
        for _ in range(count):
            self._sequence += 1
            self._measuring[self._sequence] = None
            sent[self._sequence] = clock.monotonic()
            self.service.ask(address, self._sequence)
            await asyncio.sleep(spacing_s)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                while any(self._measuring[sequence] is None for sequence in sent):
                    await self._measured.wait()
                    self._measured.clear()
        except TimeoutError:
            pass
        times = [(at - sent[sequence]) * 1000 for sequence in sent if (at := self._measuring.pop(sequence)) is not None]
        return (median(times) if times else None), 100.0 * (count - len(times)) / count

    def _ask(self, watched: Watched) -> None:
        self._sequence += 1
        watched.window.sent(self._sequence, clock.monotonic())
        self.service.ask(watched.address, self._sequence)

    def _answered(self, address: str, sequence: int, now: float) -> None:
        if sequence in self._measuring:
            self._measuring[sequence] = now
            self._measured.set()
            return
        watched = self.watched.get(address)
        if (
            watched is not None
            and watched.window.answered(sequence, now)
            and watched.health.state in (State.STARTING, State.DISCONNECTED)
        ):
            self.judge()
