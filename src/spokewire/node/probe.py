"""Echoes to every hub and peer, as often as each matters now, and what they say."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from spokewire.host import clock
from spokewire.host.echo import Answer, EchoService
from spokewire.host.logs import log
from spokewire.network.handshakes import (
    Arrivals,
    Peer,
    ask,
    choose_counts,
    choose_handshakes,
    count,
    hear,
)
from spokewire.network.health import Health, judge_echo
from spokewire.network.names import WireGuardKey
from spokewire.network.probing import (
    ANSWER_TIMEOUT_S,
    BUSY_HUB_INTERVAL_S,
    INTERVAL_S,
    Interest,
    Summary,
    find_interval_s,
    find_median,
)
from spokewire.network.status import State
from spokewire.node.targets import Target
from spokewire.node.watched import Watched, begin

TICK_S = 0.08
"""From one look to the next while an answer is missing. Otherwise we sleep until the next echo is due."""
LONGEST_WAIT_S = 1.0
FLOCK_S = 0.25
"""Idle peers that are due so soon are asked now: waking up costs more than asking."""
LATE_S = 0.5
"""When our own loop did not turn for so long, because the machine was busy or we were stopped, the fault is not the path's."""
HUB_FIRST_S = 1.0
"""How long new peers are not called while a hub has not answered that has just become known: it may be the one that is their share."""
HURRY_PER_S = 20.0
JITTER = 0.1
ACTIVE_S = 10.0
"""How long a peer counts as one with traffic after its last."""
ECHO_WIRE_BYTES = 96
"""What WireGuard counts for one echo packet: 16 of its own head, 64 of padded inner packet, 16 of tag (paper section 5.4.6)."""
IDLE_BYTES = 400
"""Handshakes and keepalives: below this no application spoke."""


Changed = Callable[[Watched, Health], None]
"""Called with a machine whose state has changed, and the health before."""


class Prober:
    """Sends echoes and judges the answers."""

    def __init__(self, changed: Changed, known: Collection[str] = ()) -> None:
        """`known`: the names of machines that we knew when we ran last."""
        self._known = known
        self.service = EchoService(answered=self._answered, asked=self._was_asked)
        self.watched: dict[str, Watched] = {}
        """By overlay address."""
        self.wake = asyncio.Event()
        """Set when there is something to do before `wait_s` is over."""
        self.missing = asyncio.Event()
        """Set when the first answer is missing."""
        self._changed = changed
        self._wakes_at = clock.monotonic()
        self._is_hub_suspect = False
        self._suspects = 0
        self._measuring: dict[int, float | None] = {}
        self._measured = asyncio.Event()
        self._met = asyncio.Event()
        self._measurements = 0

    def watch(self, targets: Mapping[str, Target], ask_now: Collection[WireGuardKey] = ()) -> None:
        """Watch exactly these machines, by overlay address. One that is reached in another way than before is watched anew.

        Those peers of `ask_now` get an echo at once: it begins the handshake. Who is to call us first is still waited for.
        """
        now, before = clock.monotonic(), self.watched
        self.watched = {
            address: known
            if (known := before.get(address)) is not None and known.target == target
            else begin(target, address, now, is_new=target.name not in self._known)
            for address, target in targets.items()
        }
        self._known = ()
        if ask_now or any(watched is not before.get(address) for address, watched in self.watched.items()):
            self.wake.set()
        for address, watched in self.watched.items():
            # Whether it has rivals is no difference of the target's own, and may have changed.
            watched.target = targets[address]
            if watched.target.peer in ask_now and watched.trail.begins_at <= now:
                self._ask(watched, now)

    async def step(self) -> None:
        """Judge everybody, and ask those whose time has come. Then wait for `wait_s`, or until `wake` is set."""
        now = clock.monotonic()
        machines = list(self.watched.values())
        late_s, self._wakes_at = now - self._wakes_at, now
        if late_s > LATE_S:
            log.warning("the agent was late", seconds=round(late_s, 1))
            for watched in machines:
                watched.trail.excuse(now)
        crowd = Counter(watched.interest(now) for watched in machines)
        suspects = sum(watched.is_suspect(now) for watched in machines)
        if suspects and not self._suspects:
            self.missing.set()
        self._suspects = suspects
        is_hub_suspect = any(watched.target.is_hub and watched.is_suspect(now) for watched in machines)
        if is_hub_suspect and not self._is_hub_suspect:
            self.hurry()
        self._is_hub_suspect = is_hub_suspect
        is_alone = self._waits_for_hub(machines, now)
        for watched in machines:
            watched.trail.settle(now)
            self._judge(watched, now)
            interest = watched.interest(now)
            if is_alone and not watched.target.is_hub and watched.trail.sequence == 0:
                continue
            if now >= watched.due_at - (FLOCK_S if interest is Interest.IDLE else 0.0):
                self._ask(watched, now)
                jitter = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - not a secret
                watched.due_at = now + self._find_interval_s(watched, interest, crowd) * jitter
            elif watched.is_suspect(now) and now >= watched.asked_at + watched.missing_interval_s(suspects, now):
                self._ask(watched, now, extra=True)

    def wait_s(self) -> float:
        """For how long there is nothing to do."""
        now = clock.monotonic()
        next_at = min((w.next_look_at(now) for w in self.watched.values()), default=now + LONGEST_WAIT_S)
        wait_s = min(max(next_at - now, TICK_S), LONGEST_WAIT_S)
        self._wakes_at = now + wait_s
        return wait_s

    def hurry(self) -> None:
        """Ask everybody soon: something happened that may concern all of them. Who is to call us first is still waited for."""
        now = clock.monotonic()
        known = (watched for watched in self.watched.values() if watched.trail.begins_at <= now)
        for position, watched in enumerate(known):
            watched.due_at = min(watched.due_at, now + position / HURRY_PER_S)
        self.wake.set()

    def note_traffic(self, counters: Mapping[WireGuardKey, int]) -> None:
        """Take WireGuard's byte counters: a peer with more bytes than our own echoes make has traffic, and is asked more often."""
        now = clock.monotonic()
        for watched in self.watched.values():
            counted = None if watched.target.peer is None else counters.get(watched.target.peer)
            before, packets = watched.bytes_counted, watched.packets
            own_bytes = packets * ECHO_WIRE_BYTES + watched.sized_bytes
            watched.bytes_counted, watched.packets, watched.sized_bytes = counted, 0, 0
            if counted is None or before is None:
                continue
            if counted - before - own_bytes > IDLE_BYTES:
                watched.active_until = now + ACTIVE_S
                watched.due_at = min(watched.due_at, now + INTERVAL_S[Interest.ACTIVE])
                self.wake.set()

    def force_handshakes(self) -> list[Watched]:
        """Choose the silent peers with which to shake hands anew, and note that it is done."""
        now, peers = clock.monotonic(), self._peers()
        chosen = choose_handshakes(_describe(peers), now)
        for key in chosen:
            silence = peers[key].silence
            peers[key].silence = replace(silence, forced_at=now, forced=silence.forced + 1)
        return [peers[key] for key in chosen]

    def wants_counts(self) -> bool:
        """Whether a handshake is about to be forced with somebody, so that it matters what arrives from him."""
        return bool(choose_counts(_describe(self._peers()), clock.monotonic()))

    def note_arrivals(self, counted: Mapping[WireGuardKey, Arrivals]) -> None:
        """Take what WireGuard has received from each peer."""
        for key, watched in self._peers().items():
            if key in counted:
                watched.silence = count(watched.silence, counted[key])

    def _peers(self) -> dict[WireGuardKey, Watched]:
        return {w.target.peer: w for w in self.watched.values() if w.target.peer is not None}

    def clock_set(self, jump_s: float) -> None:
        """The wall clock was set: what began before is told by the clock as it is now. Sessions may be refused soon, so look at everybody."""
        for watched in self.watched.values():
            watched.since += jump_s
        self.hurry()

    def take_summaries(self) -> dict[str, Summary]:
        """What the echoes since the last call say, by the machine's name."""
        return {watched.name: watched.trail.take_summary() for watched in self.watched.values()}

    async def meet(self, address: str) -> None:
        """Wait until a machine that is new to us has answered, or is known not to: two nodes that have just met shake hands first."""
        while (watched := self.watched.get(address)) is not None and watched.health.state is State.STARTING:
            await self._met.wait()
            self._met.clear()

    async def measure(self, address: str, count: int, spacing_s: float) -> tuple[float | None, float]:
        """Send that many echoes to an address; return the median round trip in ms (None: none came back) and the loss in percent."""
        sent: dict[int, float] = {}
        for _ in range(count):
            self._measurements += 1
            self._measuring[self._measurements] = None
            sent[self._measurements] = clock.monotonic()
            self.service.ask(address, self._measurements, measuring=True)
            await asyncio.sleep(spacing_s)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                while any(self._measuring[sequence] is None for sequence in sent):
                    await self._measured.wait()
                    self._measured.clear()
        except TimeoutError:
            pass
        times = [(at - sent[sequence]) * 1000 for sequence in sent if (at := self._measuring.pop(sequence)) is not None]
        return find_median(times), 100.0 * (count - len(times)) / count

    def _ask(self, watched: Watched, now: float, *, extra: bool = False) -> None:
        watched.asked_at = now
        watched.packets += 1
        watched.silence = ask(watched.silence, now)
        self.service.ask(watched.address, watched.trail.send(now, extra=extra))

    def _waits_for_hub(self, machines: Collection[Watched], now: float) -> bool:
        """Whether a hub has not answered yet, but may in a moment: a call through one that does not know us would be repeated in seconds only."""
        hubs = [watched for watched in machines if watched.target.is_hub]
        return any(now - hub.trail.begins_at < HUB_FIRST_S and hub.health.state is State.STARTING for hub in hubs)

    def _find_interval_s(self, watched: Watched, interest: Interest, crowd: Mapping[Interest, int]) -> float:
        if watched.has_other_path and crowd[Interest.ACTIVE]:
            return BUSY_HUB_INTERVAL_S
        return find_interval_s(interest, crowd[interest])

    def _judge(self, watched: Watched, now: float) -> None:
        before = watched.health
        watched.health = judge_echo(watched.trail, before.state, watched.silence.heard_at, now)
        if watched.health.state is not before.state:
            watched.since = clock.wall()
            self._met.set()
            self._changed(watched, before)

    def _answered(self, answer: Answer) -> None:
        if answer.measuring:
            if answer.sequence in self._measuring:
                self._measuring[answer.sequence] = answer.at
                self._measured.set()
            return
        watched = self.watched.get(answer.address)
        if watched is None:
            return
        watched.packets += 1
        self._hear(watched, answer.at)
        was_down = watched.health.state in (State.STARTING, State.DISCONNECTED)
        if watched.trail.answer(answer.sequence, answer.received, answer.at):
            if was_down:
                watched.trail.forget_outage()
                # What has just come back waited for a handshake: the next one tells how long the way is.
                watched.due_at = answer.at
                self.wake.set()
            if watched.health.state in (State.STARTING, State.DISCONNECTED):
                self._judge(watched, answer.at)

    def _was_asked(self, address: str, _session: int, now: float) -> None:
        watched = self.watched.get(address)
        if watched is not None:
            watched.packets += 2
            self._hear(watched, now)

    def _hear(self, watched: Watched, now: float) -> None:
        """A sign of life. What comes from an overlay address was encrypted by its owner, or by the hub that routes for it."""
        watched.silence = hear(watched.silence, now)
        if watched.trail.sequence == 0 or (
            watched.health.state is State.DISCONNECTED and now - watched.asked_at > TICK_S
        ):
            # It is there: whatever we waited for is over.
            watched.trail.begins_at = min(watched.trail.begins_at, now)
            self._ask(watched, now)
            self.wake.set()


def _describe(peers: Mapping[WireGuardKey, Watched]) -> list[Peer]:
    return [Peer(key, w.target.is_hub, w.target.calls, w.silence) for key, w in peers.items()]
