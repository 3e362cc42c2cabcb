"""Echoes to every hub and peer, about one a second each, and what they say."""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from statistics import median

from spokewire.host import clock
from spokewire.host.echo import EchoService
from spokewire.network.handshakes import ANSWERER_WAITS_S, Peer, Silence, choose_handshakes, hear
from spokewire.network.health import ANSWER_TIMEOUT_S, EchoWindow, Health, judge_echo
from spokewire.network.names import WireGuardKey
from spokewire.network.status import State

INTERVAL_S = 1.0


@dataclass(frozen=True)
class Target:
    """A machine to watch. `peer`: its key where it is a WireGuard peer of ours, None where its packets come through a hub that is.

    `calls`: whether we call it first; else we wait a moment for its call, because two handshakes that cross end each other.
    """

    name: str
    is_hub: bool
    peer: WireGuardKey | None
    calls: bool


@dataclass
class Watched:
    """One machine that we send echoes to. `since` is wall time."""

    target: Target
    address: str
    window: EchoWindow
    health: Health
    since: float
    silence: Silence

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.target.name


class Prober:
    """Sends echoes and judges the answers."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.service = EchoService(answered=self._answered, asked=self._heard)
        self.watched: dict[str, Watched] = {}
        """By overlay address."""
        self._changed = changed
        self._sequence = 0
        self._measuring: dict[int, float | None] = {}
        self._measured = asyncio.Event()

    def watch(self, targets: Mapping[str, Target], ask_now: Collection[WireGuardKey] = ()) -> None:
        """Watch exactly these machines, by overlay address. One that is reached in another way than before is watched anew.

        Those peers of `ask_now` get an echo at once: it begins the handshake.
        """
        self.watched = {
            address: known
            if (known := self.watched.get(address)) is not None and known.target == target
            else _begin(target, address)
            for address, target in targets.items()
        }
        for watched in self.watched.values():
            if watched.target.peer in ask_now:
                self.ask(watched)

    async def step(self) -> None:
        """Judge what has come back, and send one echo to everybody, spread over the interval."""
        self.judge()
        now = clock.monotonic()
        targets = [watched for watched in self.watched.values() if watched.window.started_at <= now]
        random.shuffle(targets)
        for watched in targets:
            self.ask(watched)
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

    def ask(self, watched: Watched) -> None:
        """Send one echo."""
        self._sequence += 1
        watched.window.sent(self._sequence, clock.monotonic())
        self.service.ask(watched.address, self._sequence)

    def force_handshakes(self) -> set[WireGuardKey]:
        """Choose the silent peers with which to shake hands anew, and note that it is done."""
        now = clock.monotonic()
        peers = {w.target.peer: w for w in self.watched.values() if w.target.peer is not None}
        chosen = choose_handshakes(
            [Peer(key, w.target.is_hub, w.target.calls, w.silence) for key, w in peers.items()], now
        )
        for key in chosen:
            silence = peers[key].silence
            peers[key].silence = replace(silence, forced_at=now, forced=silence.forced + 1)
        return set(chosen)

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

    def _answered(self, address: str, sequence: int, now: float) -> None:
        if sequence in self._measuring:
            self._measuring[sequence] = now
            self._measured.set()
            return
        self._heard(address, now)
        watched = self.watched.get(address)
        if (
            watched is not None
            and watched.window.answered(sequence, now)
            and watched.health.state in (State.STARTING, State.DISCONNECTED)
        ):
            self.judge()

    def _heard(self, address: str, now: float) -> None:
        """A sign of life. What comes from an overlay address was encrypted by its owner, or by the hub that routes for it."""
        watched = self.watched.get(address)
        if watched is None:
            return
        watched.silence = hear(watched.silence, now)
        if watched.window.started_at > now:
            watched.window.started_at = now
            self.ask(watched)


def _begin(target: Target, address: str) -> Watched:
    now = clock.monotonic()
    begins_at = now if target.calls or target.peer is None else now + ANSWERER_WAITS_S
    health = Health(State.STARTING, "no echo has come back yet")
    return Watched(target, address, EchoWindow(begins_at), health, clock.wall(), Silence(now))
