"""A node's memory of what happened: whoever notes something never waits; one thread writes; what the disk does not take is kept in memory, bounded."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

from spokewire.errors import Code, PermanentError, SpokewireError, TemporaryError
from spokewire.host import clock, files
from spokewire.host.database import DamagedError
from spokewire.host.logs import log
from spokewire.host.loops import repeat
from spokewire.network.events import Event, EventCode, NodeHistory, SubjectKind, shorten
from spokewire.network.status import Issue, State
from spokewire.network.story import tell_span
from spokewire.node.chronicle import Chronicle, Echoes, Told

T = TypeVar("T")

FILE = "history.sqlite"
MAX_BYTES = 100 * 1024 * 1024
MAX_AGE_S = 30 * 86400.0
MAX_WAITING_EVENTS = 2000
MAX_WAITING_ECHOES = 4000
"""About two megabytes together while nothing can be written: four minutes of a network of a thousand machines, or over three hours of one of twenty."""
BATCH_EVENTS, BATCH_ECHOES = 500, 2000
GATHER_S = 0.25
"""Events come in flocks; this long a flock is waited for, so that it costs one write."""
INTERVAL_S = 5.0
TELL_TIMEOUT_S = 3.0
MAX_ASKING = 4
CLOSE_TIMEOUT_S = 2.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass
class Backlog(Generic[T]):
    """What waits to be written, each with a number; beyond `room` the oldest is lost. One thread adds, another takes."""

    room: int
    lost: int = 0
    _items: deque[tuple[int, T]] = field(default_factory=deque)
    _number: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, item: T) -> None:
        """Add one."""
        with self._lock:
            self._number += 1
            self._items.append((self._number, item))
            if len(self._items) > self.room:
                self._items.popleft()
                self.lost += 1

    def first(self, count: int) -> list[tuple[int, T]]:
        """The oldest so many, which stay."""
        with self._lock:
            return list(islice(self._items, count))

    def remove(self, items: list[tuple[int, T]]) -> None:
        """Forget these: they are written."""
        with self._lock:
            while items and self._items and self._items[0][0] <= items[-1][0]:
                self._items.popleft()

    def take_lost(self) -> int:
        """How many were lost since this was asked last."""
        with self._lock:
            lost, self.lost = self.lost, 0
            return lost


class History:
    """Notes are taken from the first moment on; they are written once `keep_in` has said where, by the loop `run`."""

    def __init__(
        self, max_bytes: int = MAX_BYTES, max_age_s: float = MAX_AGE_S, wall: Callable[[], float] = clock.wall
    ) -> None:
        self._max_bytes, self._max_age_s, self._wall = max_bytes, max_age_s, wall
        self._node, self._network = "", ""
        self._chronicle: Chronicle | None = None
        self._events: Backlog[Event] = Backlog(MAX_WAITING_EVENTS)
        self._echoes: Backlog[Echoes] = Backlog(MAX_WAITING_ECHOES)
        self._wake = asyncio.Event()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="history-writer")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="history-reader")
        self._suspect = True
        """Whether the file is to be checked before it is written to: at the start, and when a reader met damage."""
        self._problem: Issue | None = None
        self._asking = threading.BoundedSemaphore(MAX_ASKING)

    def keep_in(self, folder: Path, node: str, network: str) -> None:
        """Say where the file is, and whose history it is. Nothing is read or written yet."""
        self._chronicle = Chronicle(folder / FILE, self._max_bytes, self._max_age_s)
        self._node, self._network = node, network
        self._wake.set()

    def note_change(self, at: float, subject: str, kind: SubjectKind, before: State, after: State, reason: str) -> None:
        """A state changed at `at` (seconds since 1970)."""
        self._note(
            Event(
                at=round(at, 3),
                code=EventCode.STATE_CHANGED,
                subject=subject,
                kind=kind,
                before=before,
                after=after,
                text=shorten(reason),
                stored=False,
            )
        )

    def note_event(self, at: float, code: str, subject: str, text: str) -> None:
        """Something else happened; `code` is one of EventCode, or any other word for programs."""
        self._note(Event(at=round(at, 3), code=code, subject=subject, text=shorten(text), stored=False))

    def note_start(self, at: float, subject: str, version: str) -> None:
        """The agent started; how it had ended before is found in the file and told with it."""
        self.note_event(at, EventCode.AGENT_STARTED, subject, f"the agent started ({version})")

    def note_stop(self, at: float, subject: str, ending: str) -> None:
        """The agent was told to end."""
        self.note_event(at, EventCode.AGENT_STOPPED, subject, f"the agent was told to {ending}")

    def note_probes(
        self, at: float, subject: str, sent: int, lost: int, rtt_ms_avg: float | None, rtt_ms_max: float | None
    ) -> None:
        """What the echoes of about a minute before `at` said."""
        if sent > 0:
            self._echoes.add(Echoes(at, subject, sent, min(lost, sent), rtt_ms_avg, rtt_ms_max))

    def problem(self) -> Issue | None:
        """Why the history cannot be written at this moment; None if it can."""
        return self._problem

    async def run(self) -> None:
        """Write what is noted, for ever."""
        await repeat("history", self._step, INTERVAL_S, wake=self._wake, report=self._report)

    async def tell(self, span_s: float, limit: int) -> NodeHistory:
        """What happened in the last so many seconds: what is stored, and what waits. TemporaryError if too many ask, or the disk is slow."""
        if not self._asking.acquire(blocking=False):
            raise TemporaryError(Code.BUSY, "Too many ask for the history.", hint="Wait a second.")
        answer = self._reader.submit(self._tell, span_s, limit)
        answer.add_done_callback(lambda _: self._asking.release())
        try:
            async with asyncio.timeout(TELL_TIMEOUT_S):
                # Without the shield a question that nobody waits for any more would free its place while the disk still holds it up.
                return await asyncio.shield(asyncio.wrap_future(answer))
        except TimeoutError as error:
            raise TemporaryError(Code.TIMEOUT, "The disk does not answer in time.", hint="Look at the disk.") from error

    def close(self) -> None:
        """Write what still waits, for at most two seconds, and end."""
        with contextlib.suppress(SpokewireError, TimeoutError):
            last: Future[None] = self._writer.submit(self._write)
            last.result(CLOSE_TIMEOUT_S)
        self._writer.shutdown(wait=False, cancel_futures=True)
        self._reader.shutdown(wait=False, cancel_futures=True)

    def _note(self, event: Event) -> None:
        self._events.add(event)
        self._wake.set()

    async def _step(self) -> None:
        if self._chronicle is None:
            return
        await asyncio.sleep(GATHER_S)
        self._wake.clear()
        await asyncio.get_running_loop().run_in_executor(self._writer, self._write)

    def _write(self) -> None:
        """Write all that waits. Runs in the writer's thread."""
        if self._chronicle is None:
            return
        try:
            self._write_to(self._chronicle)
        except DamagedError as damage:
            self._repair(self._chronicle, str(damage))
            try:
                self._write_to(self._chronicle)
            except DamagedError as again:
                raise PermanentError(
                    Code.DISK, f"The new history file is damaged too: {again}.", hint="Look at the disk."
                ) from again

    def _write_to(self, chronicle: Chronicle) -> None:
        if self._suspect:
            chronicle.database.check()
            self._suspect = False
        while True:
            events, echoes = self._events.first(BATCH_EVENTS), self._echoes.first(BATCH_ECHOES)
            if not events and not echoes:
                return
            chronicle.write([event for _, event in events], [item for _, item in echoes], _boot())
            self._events.remove(events)
            self._echoes.remove(echoes)
            chronicle.trim(self._wall())

    def _repair(self, chronicle: Chronicle, damage: str) -> None:
        chronicle.database.set_aside()
        self._suspect = False
        log.warning("history set aside", reason=damage, file=str(chronicle.database.aside))
        text = f"the history file was damaged ({damage}): it was set aside as {chronicle.database.aside.name}, and a new one begun"
        self._events.add(
            Event(
                at=round(self._wall(), 3),
                code=EventCode.HISTORY_REPAIRED,
                subject=self._node,
                text=shorten(text),
                stored=False,
            )
        )

    def _tell(self, span_s: float, limit: int) -> NodeHistory:
        """Runs in the reader's thread. What waits is looked at first, so that nothing falls between the two looks."""
        now = self._wall()
        since = now - span_s
        waiting = [event for _, event in self._events.first(MAX_WAITING_EVENTS) if event.at >= since]
        told = self._read(since, now, limit)
        stored = {_key(event) for event in told.events}
        events = [*told.events, *(event for event in waiting if _key(event) not in stored)]
        return NodeHistory(
            node=self._node,
            network=self._network,
            since=since,
            kept_since=told.kept_since,
            complete=told.complete and len(events) <= limit,
            events=events[-limit:],
            echoes=list(told.echoes),
            problem=self._problem,
            time=now,
        )

    def _read(self, since: float, now: float, limit: int) -> Told:
        if self._chronicle is None:
            return Told()
        try:
            return self._chronicle.read(since, now, limit)
        except DamagedError:
            self._suspect = True
            return Told()
        except PermanentError as error:
            log.warning("history not readable", code=error.code, error=error.message)
            return Told()

    def _report(self, error: SpokewireError | None) -> None:
        """Open or close the issue; when it closes, the history itself tells the gap."""
        before, now = self._problem, self._wall()
        if error is not None:
            since = now if before is None else before.since
            text = f"The history cannot be written: {error.message} What happens meanwhile is kept in memory, the newest of it."
            self._problem = Issue(code=error.code, text=text, hint=error.hint, since=since)
            return
        self._problem = None
        events, echoes = self._events.take_lost(), self._echoes.take_lost()
        if before is not None or events or echoes:
            lost = f"{events} events and {echoes} measurements were lost" if events or echoes else "nothing was lost"
            why = "too much happened at once" if before is None else f"for {tell_span(now - before.since)} it could not"
            self.note_event(now, EventCode.HISTORY_RESUMED, self._node, f"the history is written again: {why}; {lost}")


def _key(event: Event) -> tuple[object, ...]:
    """What tells events apart; the text of a start is completed when it is written."""
    return event.at, event.code, event.subject, event.after


def _boot() -> str:
    """The id of this run of the machine's kernel (random(4)); "" where it cannot be told."""
    try:
        return (files.read(BOOT_ID) or "").strip()
    except SpokewireError:
        return ""
