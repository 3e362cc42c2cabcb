"""The MTU of this node's interface: what passes to every hub, and to every peer with traffic."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace

from spokewire.errors import Code
from spokewire.host import clock
from spokewire.host.echo import Answer, EchoService
from spokewire.host.logs import log
from spokewire.network.events import EventCode
from spokewire.network.mtu import PACE_S, Gauge, Limit, Line, find_check_interval_s, find_narrowest, tell_narrowest
from spokewire.network.status import Issue, State
from spokewire.network.topology import MTU, InterfaceSpec
from spokewire.node.board import Board
from spokewire.node.fixes import Fixes
from spokewire.node.watched import Watched

ISSUE = "path-mtu"
"""Under this name the board keeps it."""
HEADS_BYTES = 28
"""IPv4 and UDP."""
STEP_S = PACE_S
CALM_STEP_S = 1.0
"""While every check that is due has been made, and nothing is wrong."""


@dataclass
class _Gauged:
    watched: Watched
    gauge: Gauge


class PathMtu:
    """Measures the paths and says which MTU the interface should have, and what is wrong with it."""

    def __init__(
        self,
        service: EchoService,
        lifted: Callable[[int], AbstractAsyncContextManager[None]],
        board: Board,
        fixes: Fixes,
        changed: asyncio.Event,
    ) -> None:
        """`lifted` lets packets of at least so many bytes out of the interface for a moment; `changed` is set when it should have another MTU."""
        self.ceiling = MTU
        self._service = service
        self._lifted = lifted
        self._board = board
        self._fixes = fixes
        self._changed = changed
        self._fitted = self._applied = MTU
        self._gauged: dict[str, _Gauged] = {}
        """By overlay address."""
        self._unproved: dict[str, str] = {}
        """By the machine's name: what was done, and awaits its proof."""
        service.sized, service.answered_sized = self._answered, self._was_asked

    @property
    def mtu(self) -> int:
        """The largest packet that passes to everybody who matters."""
        return min((limit.size for limit in self._limits()), default=self.ceiling)

    def fit(self, wanted: InterfaceSpec) -> InterfaceSpec:
        """The wanted interface with the MTU that was measured."""
        self._fitted = self.mtu
        return replace(wanted, mtu=min(wanted.mtu, self._fitted))

    def watch(self, watched: Mapping[str, Watched]) -> None:
        """Measure the paths to exactly these machines, by overlay address. What was found out stays while the machine does.

        Call it when the interface is as `fit` made it.
        """
        now, self._applied = clock.monotonic(), self._fitted
        before = self._gauged
        self._gauged = {
            address: _Gauged(one, before[address].gauge if address in before else Gauge(self.ceiling, check_at=now))
            for address, one in watched.items()
        }

    async def step(self) -> None:
        """Send what is due, and tell what it led to. Then wait for `wait_s`."""
        now, mtu = clock.monotonic(), min(self.mtu, self._applied)
        chosen = [gauged for gauged in self._gauged.values() if self._matters(gauged, now)]
        in_use = any(not one.watched.target.is_hub for one in chosen)
        interval_s = find_check_interval_s(len(chosen), in_use=in_use)
        due: list[tuple[_Gauged, tuple[int, ...]]] = []
        for gauged in chosen:
            if gauged.gauge.is_resting(now):
                continue
            before, was_busy = gauged.gauge.limit, gauged.gauge.is_busy
            sizes = gauged.gauge.step(_describe(gauged.watched, now), mtu, interval_s, now)
            due += [(gauged, sizes)] if sizes else []
            self._note(gauged, before)
            if not gauged.watched.target.is_hub and gauged.gauge.is_busy and not was_busy:
                for hub in self._hubs():  # Is it the way to that peer, or our own line?
                    hub.check_soon(now)
        self._hold_back(now)
        self._tell()
        await self._send(due, mtu)

    def wait_s(self) -> float:
        """How long to wait after a `step`."""
        now = clock.monotonic()
        is_calm = all(
            one.gauge.limit == self.ceiling and one.gauge.is_resting(now)
            for one in self._gauged.values()
            if self._matters(one, now)
        )
        return CALM_STEP_S if is_calm else STEP_S

    def _hubs(self) -> list[Gauge]:
        return [gauged.gauge for gauged in self._gauged.values() if gauged.watched.target.is_hub]

    def _hold_back(self, now: float) -> None:
        """While our own line is narrow, no more can pass to anybody behind it; once it is not, they are tried again at once."""
        own = min((hub.limit for hub in self._hubs()), default=self.ceiling)
        for gauged in self._gauged.values():
            if not gauged.watched.target.is_hub and gauged.gauge.limit >= own:
                gauged.gauge.retry_soon(now + 2 * STEP_S)

    def _tell(self) -> None:
        """The issue stands for as long as the MTU is lowered. Whom it names is said when it is known of all hubs, and of those in question."""
        if self._is_in_question(clock.monotonic()):
            return
        before = self._board.issues.get(ISSUE)
        issue = self._describe_issue(clock.wall() if before is None else before.since)
        if issue == before:
            return
        if before is not None:
            self._fixes.noted(EventCode.ISSUE_CLOSED, before.subject, before.text)
            del self._board.issues[ISSUE]
        if issue is not None:
            self._fixes.noted(EventCode.ISSUE_OPENED, issue.subject, issue.text)
            self._board.issues[ISSUE] = issue

    def _is_in_question(self, now: float) -> bool:
        hubs = self._hubs()
        if any(hub.is_busy for hub in hubs):
            return True
        if any(hub.limit < self.ceiling for hub in hubs):
            return False
        limited = [one.gauge for one in self._gauged.values() if one.gauge.limit < self.ceiling]
        return any(gauge.is_busy or gauge.retry_at <= now + 2 * STEP_S for gauge in limited)

    def _describe_issue(self, since: float) -> Issue | None:
        narrowest = find_narrowest(self._limits(), self.ceiling)
        if not narrowest:
            return None
        return Issue(
            code=Code.PATH_MTU,
            text=tell_narrowest(narrowest),
            hint="The interface's MTU is lowered to that, so traffic flows; larger ones are tried again by themselves.",
            since=since,
            subject=narrowest[0].name,
        )

    def _limits(self) -> list[Limit]:
        """Of all machines that matter: one that is gone does not, until it is back. A hub's limit is that of our own line."""
        return [
            Limit(one.watched.name, one.watched.target.is_hub, one.gauge.limit, one.gauge.way)
            for one in self._gauged.values()
            if one.watched.target.is_hub or one.watched.health.state is not State.DISCONNECTED
        ]

    def _matters(self, gauged: _Gauged, now: float) -> bool:
        """Peers without traffic are left alone until they have some, but where that cannot be known: a routed network's peers are behind the hub."""
        watched, gauge = gauged.watched, gauged.gauge
        if watched.health.state not in (State.CONNECTED, State.DEGRADED):
            return False
        if watched.target.is_hub or watched.target.peer is None or gauge.limit < gauge.ceiling:
            return True
        is_active = now < watched.active_until
        if not is_active:
            gauge.check_soon(now)
        return is_active

    async def _send(self, due: list[tuple[_Gauged, tuple[int, ...]]], mtu: int) -> None:
        largest = max((sizes[0] for _, sizes in due), default=0)
        async with self._lifted(largest) if largest > mtu else nullcontext():
            for gauged, sizes in due:
                for size in sizes:
                    gauged.watched.note_sized(size)
                    number = gauged.gauge.send(size)
                    self._service.ask_sized(gauged.watched.address, number, size - HEADS_BYTES)

    def _answered(self, answer: Answer) -> None:
        gauged = self._gauged.get(answer.address)
        size = None if gauged is None else gauged.gauge.answer(answer.sequence, answer.received)
        if gauged is not None and size is not None:
            gauged.watched.note_sized(size)

    def _was_asked(self, address: str, size: int) -> None:
        gauged = self._gauged.get(address)
        if gauged is not None:
            gauged.watched.note_sized(size + HEADS_BYTES, packets=2)

    def _note(self, gauged: _Gauged, before: int) -> None:
        """What was done is told when a packet of the new size has come back."""
        name, limit = gauged.watched.name, gauged.gauge.limit
        if limit != before:
            verb = "lowered" if limit < before else "raised"
            self._unproved[name] = f"the MTU {verb} from {before} to {limit} bytes"
            log.info("path MTU changed", machine=name, before=before, after=limit)
            self._changed.set()
        elif gauged.gauge.is_proved and (text := self._unproved.pop(name, None)) is not None:
            self._fixes.cured(Code.PATH_MTU, name, text)


def _describe(watched: Watched, now: float) -> Line:
    loss_pct = watched.trail.losses(now, 60.0).loss_pct
    return Line(loss=(loss_pct or 0.0) / 100.0, rtt_s=(watched.trail.rtt_ms(now) or 0.0) / 1000.0)
