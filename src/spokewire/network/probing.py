"""Echoes to one machine: what was sent, what came back, in which direction the rest was lost, and when the next one is due. Pure.

A machine is asked about once a second while it matters: hubs, and peers with traffic. An idle peer is asked seldom, and at once more often when an
answer is missing. All echoes of a node together stay within BUDGET_PER_S, however many peers it has, beside one a second to each hub.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

ANSWER_TIMEOUT_S = 2.0
"""An echo that takes longer is lost: no path worth the name has a round trip of two seconds."""
SUSPECT_S = 0.4
"""An answer that is not back by then makes us ask again soon: the path may be gone."""
BUCKET_S = 10.0
WINDOW_S = 600.0
RECENT = 60
"""Echoes by which a path is judged: the last minute of one that is asked every second."""


class Interest(IntEnum):
    """How much we want to know of a machine now, the most first."""

    HUB = 0
    SUSPECT = 1
    ACTIVE = 2
    IDLE = 3


BUSY_HUB_INTERVAL_S = 0.5
"""To each of several hubs while a peer has traffic: the sooner a dead one is noticed, the sooner another takes over."""
MISSING_HUB_S = 0.25
"""A hub's answer that is missing for so long makes us ask it often, where there is another hub to go to."""
MISSING_INTERVAL_S = 0.08
"""So often we ask whose answer is missing, where that decides about a path: many answers must be missing, and soon."""
PATIENCE_RTTS = 2.0
ASKED_PER_RTT = 4
"""On a long line no answer is missing before two round trips, and no more than so many are on their way: what has not had its time is no silence."""
INTERVAL_S = {Interest.HUB: 1.0, Interest.SUSPECT: 0.25, Interest.ACTIVE: 1.0, Interest.IDLE: 5.0}
BUDGET_PER_S = {Interest.SUSPECT: 20.0, Interest.ACTIVE: 20.0, Interest.IDLE: 10.0}
"""Echoes a second to all machines of one kind of interest: 50 in all, 7 kB a second on the wire, whatever the number of peers."""


def find_interval_s(interest: Interest, crowd: int) -> float:
    """How long to wait from one echo to the next, with so many machines (`crowd`) of the same interest."""
    budget = BUDGET_PER_S.get(interest)
    return INTERVAL_S[interest] if budget is None else max(INTERVAL_S[interest], crowd / budget)


def find_missing_interval_s(*, is_hub: bool, has_other_path: bool, rtt_s: float, suspects: int) -> float:
    """How long to wait from one echo to the next while an answer of this machine is missing; `suspects`: how many machines that is so of.

    A hub without another is asked less often: thousands may be missing it.
    """
    often_s = max(MISSING_INTERVAL_S, rtt_s / ASKED_PER_RTT)
    if has_other_path:
        return often_s
    if is_hub:
        return find_interval_s(Interest.SUSPECT, suspects)
    return max(often_s, suspects / BUDGET_PER_S[Interest.SUSPECT])


def find_median(values: Iterable[float]) -> float | None:
    """The median; None of nothing.

    The standard library's `statistics` would take half a megabyte of each agent for this.
    """
    ordered = sorted(values)
    middle = len(ordered) // 2
    return (ordered[middle] + ordered[~middle]) / 2 if ordered else None


@dataclass(frozen=True, slots=True)
class Sample:
    """One echo whose fate is known: sent at (monotonic seconds), and its round trip; None: lost."""

    sent_at: float
    rtt_ms: float | None


@dataclass(slots=True)
class Bucket:
    """Ten seconds of echoes, in numbers. `lost_out` never arrived there, `lost_back` was answered in vain."""

    begins_at: float
    answered: int = 0
    lost: int = 0
    lost_out: int = 0
    lost_back: int = 0
    rtt_sum_ms: float = 0.0
    rtt_max_ms: float = 0.0

    @property
    def due(self) -> int:
        """Echoes whose fate is known."""
        return self.answered + self.lost


@dataclass(frozen=True)
class Summary:
    """Echoes whose fate became known since the last summary; round trips are None if none came back."""

    due: int
    lost: int
    rtt_avg_ms: float | None
    rtt_max_ms: float | None


@dataclass(frozen=True)
class Losses:
    """Losses of a span of time, in percent of the echoes that were due; None where there were none."""

    loss_pct: float | None
    out_pct: float | None
    back_pct: float | None


@dataclass
class Trail:
    """The echoes of one session to one machine, newest last. Instants are monotonic seconds."""

    begins_at: float
    waiting: "OrderedDict[int, float]" = field(default_factory=OrderedDict)
    """Sequence number to instant, of echoes that may still come back."""
    extra: set[int] = field(default_factory=set)
    """Those of them that were sent because an answer was missing: they would make a short outage look like heavy loss."""
    recent: "deque[Sample]" = field(default_factory=deque)
    recent_lost: int = 0
    """How many of those are lost."""
    buckets: "deque[Bucket]" = field(default_factory=deque)
    last_answer_at: float | None = None
    unanswered: int = 0
    """Echoes since the last answer."""
    unanswered_since: float | None = None
    """When the first of those was sent."""
    excused: bool = False
    """Whether no answer has come since we ourselves were late."""
    sequence: int = 0
    _sum: Bucket = field(default_factory=lambda: Bucket(0.0))
    _newest_rtt_ms: float | None = None
    _told: tuple[int, int] | None = None
    """Sequence number and the other side's count of the newest answer."""

    def send(self, now: float, *, extra: bool = False) -> int:
        """Note an echo that leaves now; return its sequence number, which counts from 1. `extra`: it is no part of the regular pace."""
        self.settle(now)
        self.sequence += 1
        if extra:
            self.extra.add(self.sequence)
        self.waiting[self.sequence] = now
        self.unanswered += 1
        if self.unanswered_since is None:
            self.unanswered_since = now
        return self.sequence

    def answer(self, sequence: int, received: int, now: float) -> bool:
        """Note an answer; `received` is how many of our echoes had arrived there. False: nothing waits for it (a duplicate, a stray, too late)."""
        self.settle(now)
        sent_at = self.waiting.pop(sequence, None)
        if sent_at is None:
            return False
        if self.last_answer_at is None:
            self._forget_beginning(sequence)
        self.excused = False
        self._newest_rtt_ms = (now - sent_at) * 1000
        self._tell_directions(sequence, received, now)
        self._remember(sequence, Sample(sent_at, (now - sent_at) * 1000))
        for bucket in (self._bucket(now), self._sum):
            bucket.answered += 1
            bucket.rtt_sum_ms += (now - sent_at) * 1000
            bucket.rtt_max_ms = max(bucket.rtt_max_ms, (now - sent_at) * 1000)
        self.last_answer_at = now
        self.unanswered = sum(1 for waits in self.waiting if waits > sequence)
        self.unanswered_since = next((at for waits, at in self.waiting.items() if waits > sequence), None)
        return True

    def excuse(self, now: float) -> None:
        """We ourselves were late: what has not come back by now may wait to be read, so it is no silence and no loss yet.

        Once, until an answer comes: what waits is read before we are late again, and a machine that is always late must not call a dead peer connected.
        """
        if self.excused:
            return
        self.excused = True
        self.extra.update(self.waiting)
        self.waiting = OrderedDict.fromkeys(self.waiting, now)
        if self.unanswered_since is not None:
            self.unanswered, self.unanswered_since = len(self.waiting), now

    def settle(self, now: float) -> None:
        """Count what did not come back in time as lost, and forget what is older than the window."""
        while self.waiting:
            sequence, sent_at = next(iter(self.waiting.items()))
            if now - sent_at <= ANSWER_TIMEOUT_S:
                break
            del self.waiting[sequence]
            self._remember(sequence, Sample(sent_at, None))
            self._bucket(now).lost += 1
            self._sum.lost += 1
        while self.buckets and self.buckets[0].begins_at < now - WINDOW_S:
            self.buckets.popleft()

    def _forget_beginning(self, first: int) -> None:
        """There was no path before the first answer, so what was sent into nothing is no loss of it."""
        self.waiting = OrderedDict((waits, at) for waits, at in self.waiting.items() if waits > first)
        self.extra &= self.waiting.keys() | {first}
        self.recent.clear()
        self.recent_lost = 0
        self.buckets.clear()

    def forget_outage(self) -> None:
        """The path was down, and its state has told so; what was lost meanwhile says nothing about the path that is back, nor does what is on its way still."""
        newest = 0 if self._told is None else self._told[0]
        self.extra.update(sequence for sequence in self.waiting if sequence < newest)
        self.recent = deque([sample for sample in self.recent if sample.rtt_ms is not None][-1:])
        self.recent_lost = 0

    def rtt_ms(self, now: float) -> float | None:
        """Median round trip of the echoes of the last ten seconds, or of the newest one; None before the first answer."""
        times = [s.rtt_ms for s in self.recent if s.rtt_ms is not None and s.sent_at > now - BUCKET_S]
        return find_median(times) if times else self._newest_rtt_ms

    def last_answer_age_s(self, now: float) -> float | None:
        """Seconds since an answer came; None if none ever did."""
        return None if self.last_answer_at is None else now - self.last_answer_at

    def losses(self, now: float, span_s: float) -> Losses:
        """Losses of the last `span_s`, a multiple of ten seconds."""
        chosen = [bucket for bucket in self.buckets if bucket.begins_at > now - span_s - BUCKET_S / 2]
        due = sum(bucket.due for bucket in chosen)
        if not due:
            return Losses(None, None, None)
        lost, out, back = (sum(getattr(b, name) for b in chosen) for name in ("lost", "lost_out", "lost_back"))
        return Losses(100.0 * lost / due, 100.0 * out / due, 100.0 * back / due)

    def take_summary(self) -> Summary:
        """What became known since this was called last."""
        taken, self._sum = self._sum, Bucket(0.0)
        average_ms = taken.rtt_sum_ms / taken.answered if taken.answered else None
        return Summary(taken.due, taken.lost, average_ms, taken.rtt_max_ms if taken.answered else None)

    def is_suspect(self, now: float, patience_s: float = SUSPECT_S) -> bool:
        """Whether an answer is overdue."""
        return self.unanswered_since is not None and now - self.unanswered_since >= patience_s

    def _remember(self, sequence: int, sample: Sample) -> None:
        if sequence in self.extra:
            self.extra.discard(sequence)
            return
        self.recent.append(sample)
        self.recent_lost += sample.rtt_ms is None
        if len(self.recent) > RECENT:
            self.recent_lost -= self.recent.popleft().rtt_ms is None

    def _tell_directions(self, sequence: int, received: int, now: float) -> None:
        """What is missing between two answers got lost on its way out, as far as the other side did not count it, else on its way back."""
        before, self._told = self._told, (sequence, received)
        if before is None or sequence <= before[0] or received <= before[1]:
            return  # The first answer, one out of order, or the other side has begun to count anew.
        missing = sequence - before[0] - 1
        out = min(missing, max(0, missing - (received - before[1] - 1)))
        bucket = self._bucket(now)
        bucket.lost_out += out
        bucket.lost_back += missing - out

    def _bucket(self, now: float) -> Bucket:
        begins_at = now - now % BUCKET_S
        if not self.buckets or self.buckets[-1].begins_at < begins_at:
            self.buckets.append(Bucket(begins_at))
        return self.buckets[-1]
