"""The truth, from real traffic and from the faults alone: who reached whom, and which agents ran. Instants are seconds since 1970."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

FLOW_GAP_S = 1.0
"""Answers come ten times a second. With a fifth of the packets lost each way, ten in a row are lost once in eight hours."""
CLEAN_GAP_S = 0.45
"""A shorter gap is four lost answers at most: a good line."""
BEAT_GAP_S = 0.6
"""The traffic program tells twice a second that it asks; if it was starved for longer, nothing is known of that time."""

AHEAD_S = 1.0
"""When a path comes back, an echo may be the first that gets through, and our own traffic the second."""


@dataclass(frozen=True)
class Look:
    """A pair at an instant: for how long answers have been flowing, without notable loss, or missing. 0: not so, or not known."""

    flowing_s: float = 0.0
    clean_s: float = 0.0
    silent_s: float = 0.0


@dataclass(frozen=True)
class Spans:
    """Spans of time in which a program ran and asked, in order."""

    spans: tuple[tuple[float, float], ...] = ()

    @classmethod
    def join(cls, beats: Iterable[tuple[float, float]]) -> "Spans":
        """From the program's own words: from when until when each of its half seconds lasted."""
        joined: list[tuple[float, float]] = []
        for begun, until in sorted(beats):
            if until - begun > 0.5 + BEAT_GAP_S:
                continue
            if joined and begun - joined[-1][1] <= BEAT_GAP_S:
                joined[-1] = (joined[-1][0], max(until, joined[-1][1]))
            else:
                joined.append((begun, until))
        return cls(tuple(joined))

    def since(self, at: float) -> float | None:
        """Since when it has run without a break at an instant; None: it did not run then."""
        place = bisect_right(self.spans, (at, float("inf"))) - 1
        return self.spans[place][0] if place >= 0 and at <= self.spans[place][1] else None


class Pair:
    """What one machine heard from another: when answers came, and when both ends of the traffic ran."""

    def __init__(self, answers: Iterable[float], asker: Spans, answerer: Spans | None) -> None:
        """`answerer` None: the other side's kernel answers, which needs no program."""
        self._answers = sorted(answers)
        self._asker, self._answerer = asker, answerer
        self._runs, self._clean = _find_runs(self._answers, FLOW_GAP_S), _find_runs(self._answers, CLEAN_GAP_S)

    def look(self, at: float) -> Look:
        """What was true at an instant."""
        place = bisect_right(self._answers, at) - 1
        last = self._answers[place] if place >= 0 else None
        if last is not None and at - last <= FLOW_GAP_S:
            clean = at - self._clean[place] if at - last <= CLEAN_GAP_S else 0.0
            return Look(flowing_s=at - self._runs[place], clean_s=clean)
        asked_since = self._watched_since(at)
        if asked_since is None:
            return Look()
        return Look(silent_s=at - max(asked_since, last or 0.0))

    def answers_between(self, begin: float, end: float) -> int:
        return bisect_right(self._answers, end) - bisect_right(self._answers, begin)

    def _watched_since(self, at: float) -> float | None:
        asked = self._asker.since(at)
        answering = asked if self._answerer is None else self._answerer.since(at)
        return None if asked is None or answering is None else max(asked, answering)


def _find_runs(answers: Sequence[float], gap_s: float) -> list[float]:
    """For each answer, when the run of answers began that it belongs to."""
    runs: list[float] = []
    for place, at in enumerate(answers):
        runs.append(runs[-1] if place and at - answers[place - 1] <= gap_s else at)
    return runs


class Trace:
    """What a thing was at each instant that somebody looked: where WireGuard itself sends a peer's packets."""

    def __init__(self, seen: Iterable[tuple[float, str]] = ()) -> None:
        ordered = sorted(seen)
        self._instants, self._values = [at for at, _ in ordered], [value for _, value in ordered]

    def wrong_s(self, at: float, told: str) -> float:
        """For how long it has been something else than it is told to be; 0 where nobody looked."""
        place = bisect_right(self._instants, at)
        if place == len(self._instants) or self._values[place] == told:
            return 0.0
        since = at
        while place and self._values[place - 1] != told:
            place -= 1
            since = self._instants[place]
        return at - since


@dataclass(frozen=True)
class Turn:
    """A machine's agent stopped running at an instant, or runs again."""

    at: float
    up: bool
    why: str = ""
    settles_s: float = 0.0
    """How long it may take from then until it is so: a machine needs a moment to be switched off, and a daemon to start."""


@dataclass
class World:
    """All that is true of a run."""

    begun_at: float
    nodes: Mapping[str, str]
    """Name to overlay address."""
    hubs: Sequence[str]
    settings_version: int
    pairs: Mapping[tuple[str, str], Pair]
    turns: Mapping[str, Sequence[Turn]] = field(default_factory=dict)
    paths: Mapping[tuple[str, str], Trace] = field(default_factory=dict)
    """The hub at whose endpoint a node's WireGuard has a peer, as `wg` tells it."""
    faulty: Sequence[tuple[float, float]] = ()
    """When something was broken, or being mended."""
    told_at: dict[tuple[str, str, str, str], float] = field(default_factory=dict)
    """Since when a path has been told that was not seen since."""

    def up_s(self, machine: str, at: float) -> float:
        """For how long a machine's agent has been running and ready; 0: it is not."""
        turn = self._turn(machine, at)
        return max(0.0, at - turn.at - turn.settles_s) if turn.up else 0.0

    def down_s(self, machine: str, at: float) -> float:
        """For how long it has not been running; 0: it does."""
        turn = self._turn(machine, at)
        return 0.0 if turn.up else max(0.0, at - turn.at - turn.settles_s)

    def why_down(self, machine: str, at: float) -> str:
        return self._turn(machine, at).why

    def calm_s(self, at: float) -> float:
        """For how long nothing has been broken."""
        if any(begin <= at <= end for begin, end in self.faulty):
            return 0.0
        return at - max([self.begun_at, *(end for _, end in self.faulty if end < at)])

    def look(self, asker: str, answerer: str, at: float) -> Look:
        return self.pairs[asker, answerer].look(at)

    def dead_s(self, asker: str, answerer: str, at: float) -> float:
        """For how long an echo cannot have come back: no traffic passes, or nobody is there to answer."""
        return max(self.silent_s(asker, answerer, at), self.down_s(answerer, at))

    def silent_s(self, asker: str, answerer: str, at: float) -> float:
        """For how long nothing had passed; 0 if something did within the second after."""
        return max(0.0, self.look(asker, answerer, at + AHEAD_S).silent_s - AHEAD_S)

    def alive_s(self, asker: str, answerer: str, at: float) -> float:
        """For how long echoes must have come back: traffic passes, and both agents run."""
        return min(self.look(asker, answerer, at).flowing_s, self.up_s(answerer, at), self.up_s(asker, at))

    def hub_alive_s(self, node: str, at: float) -> float:
        """For how long echoes must have come back from one hub at least."""
        return max(self.alive_s(node, hub, at) for hub in self.hubs)

    def _turn(self, machine: str, at: float) -> Turn:
        return next(
            (turn for turn in reversed(self.turns.get(machine, ())) if turn.at <= at), Turn(self.begun_at, True)
        )
