"""A node's history in sentences. Pure.

A trouble is one sentence, with how long it lasted, why, and what ended it. What several nodes saw is told once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from spokewire.network.events import Event, EventCode, NodeHistory
from spokewire.network.status import State

TROUBLES = (State.DEGRADED, State.DISCONNECTED)
SAME_TROUBLE_S = 10.0
"""Two nodes that lose the same machine within this time tell one trouble: their own silences differ by a few seconds."""

_ENDINGS = (EventCode.AGENT_STARTED, EventCode.AGENT_STOPPED)
"""Nothing is known of any state between these two."""
_MINUTES_FROM_S, _HOURS_FROM_S, _DAYS_FROM_S = 120, 7200, 172_800


@dataclass(frozen=True)
class Sentence:
    """One sentence of the story. `nodes` saw it; `at` is when it began (seconds since 1970)."""

    at: float
    nodes: tuple[str, ...]
    subject: str
    text: str


@dataclass(frozen=True)
class Trouble:
    """A stretch of time in which a machine was not connected. `ended_at` None: it lasts."""

    node: str
    subject: str
    state: State
    began_at: float
    reason: str
    ended_at: float | None = None
    cured_by: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    """Fixes that did not help."""
    lost_sight: bool = False
    """The agent stopped meanwhile, so nobody knows how it went on."""


def tell_span(seconds: float) -> str:
    """A length of time for people, with a precision that fits it."""
    whole = max(0, round(seconds))
    if whole < _MINUTES_FROM_S:
        return f"{whole} s"
    if whole < _HOURS_FROM_S:
        return f"{whole / 60:.0f} min"
    return f"{whole / 3600:.0f} h" if whole < _DAYS_FROM_S else f"{whole / 86400:.0f} days"


def tell_start(gap_s: float, *, stopped: bool, same_boot: bool) -> str:
    """How the agent had ended before it was started: `gap_s` before, and with or without a word."""
    if stopped:
        return f"it had been stopped {tell_span(gap_s)} before"
    why = "it was killed, or crashed" if same_boot else "the machine was restarted, or lost power"
    return f"its last sign was {tell_span(gap_s)} before: {why}"


def tell_story(histories: Iterable[NodeHistory]) -> list[Sentence]:
    """Tell what happened, the oldest first. A trouble that several nodes saw is told once."""
    told: list[Sentence] = []
    troubles: list[tuple[Trouble, float]] = []
    for history in histories:
        reader = _Reader(history.node)
        for event in history.events:
            reader.read(event)
        told += reader.sentences
        troubles += [(trouble, history.time) for trouble in (*reader.over, *reader.open.values())]
    told += [_tell_trouble(shared) for shared in _share(troubles)]
    return _join(merge_sentences(told))


def merge_sentences(sentences: Iterable[Sentence]) -> list[Sentence]:
    """In the order in which it happened."""
    return sorted(sentences, key=lambda sentence: sentence.at)


@dataclass
class _Reader:
    """Reads one node's events in the order in which they happened."""

    node: str
    sentences: list[Sentence] = field(default_factory=list)
    over: list[Trouble] = field(default_factory=list)
    open: dict[str, Trouble] = field(default_factory=dict)
    """By subject."""

    def read(self, event: Event) -> None:
        match event.code:
            case EventCode.STATE_CHANGED if event.after is not None:
                self._change(event, event.after)
            case EventCode.FIX_WORKED | EventCode.FIX_FAILED:
                self._fix(event)
            case EventCode.MACHINE_LEFT:
                self._end(event.subject, event.at)
                self._say(event, event.text)
            case _:
                if event.code in _ENDINGS:
                    for subject in list(self.open):
                        self._end(subject, event.at, lost_sight=True)
                self._say(event, _HEADS.get(event.code, "") + event.text)

    def _change(self, event: Event, after: State) -> None:
        known = event.subject in self.open
        self._end(event.subject, event.at)
        if after in TROUBLES:
            self.open[event.subject] = Trouble(self.node, event.subject, after, event.at, event.text)
        elif after is State.CONNECTED and not known:
            before = f" again: it was {event.before} before" if event.before in TROUBLES else f": {event.text}"
            self._say(event, f"was connected{before}", verb=True)

    def _fix(self, event: Event) -> None:
        """A fix of the subject, or of this node itself, belongs to the troubles that were on; it is told by itself where there are none."""
        worked = event.code == EventCode.FIX_WORKED
        met = [subject for subject in self.open if event.subject in (subject, self.node)]
        for subject in met:
            trouble = self.open[subject]
            self.open[subject] = (
                replace(trouble, cured_by=_add(trouble.cured_by, event.text))
                if worked
                else replace(trouble, tried=_add(trouble.tried, event.text))
            )
        if not met:
            self._say(event, _HEADS[event.code] + event.text)

    def _end(self, subject: str, at: float, *, lost_sight: bool = False) -> None:
        trouble = self.open.pop(subject, None)
        if trouble is not None:
            self.over.append(replace(trouble, ended_at=at, lost_sight=lost_sight))

    def _say(self, event: Event, text: str, *, verb: bool = False) -> None:
        words = f"{event.subject} {text}" if verb else f"{event.subject}: {text}"
        self.sentences.append(Sentence(event.at, (self.node,), event.subject, words))


_HEADS: dict[str, str] = {
    EventCode.ISSUE_OPENED: "something is wrong: ",
    EventCode.ISSUE_CLOSED: "over: ",
    EventCode.FIX_WORKED: "cured by ",
    EventCode.FIX_FAILED: "tried without success: ",
}


def _add(texts: tuple[str, ...], text: str) -> tuple[str, ...]:
    return texts if text in texts else (*texts, text)


def _share(troubles: Iterable[tuple[Trouble, float]]) -> list[list[tuple[Trouble, float]]]:
    """Bring together what several nodes tell of the same machine, state and time; one node's troubles stay apart."""
    groups: list[list[tuple[Trouble, float]]] = []
    newest: dict[tuple[str, State], list[tuple[Trouble, float]]] = {}
    for trouble, now in sorted(troubles, key=lambda pair: pair[0].began_at):
        key = trouble.subject, trouble.state
        group = newest.get(key, [])
        fits = group and trouble.began_at - group[0][0].began_at <= SAME_TROUBLE_S
        if not fits or trouble.node in {other.node for other, _ in group}:
            group = newest[key] = []
            groups.append(group)
        group.append((trouble, now))
    return groups


def _tell_trouble(shared: Sequence[tuple[Trouble, float]]) -> Sentence:
    first = shared[0][0]
    lasts = [(now if trouble.ended_at is None else trouble.ended_at) - trouble.began_at for trouble, now in shared]
    is_open = any(trouble.ended_at is None for trouble, _ in shared)
    words = f"{first.subject} {'has been' if is_open else 'was'} {first.state} for {tell_span(max(lasts))}"
    if any(trouble.lost_sight for trouble, _ in shared):
        words += ", until the agent that saw it ended"
    nodes = tuple(dict.fromkeys(trouble.node for trouble, _ in shared))
    reasons = [trouble.reason for trouble, _ in shared if trouble.node == trouble.subject] or [first.reason]
    words += f": {reasons[0]}" if reasons[0] else ""
    cures = dict.fromkeys(text for trouble, _ in shared for text in trouble.cured_by)
    failures = dict.fromkeys(text for trouble, _ in shared for text in trouble.tried)
    words += f"; tried without success: {', '.join(failures)}" if failures else ""
    words += f"; cured by {', '.join(cures)}" if cures else ""
    return Sentence(first.began_at, nodes, first.subject, words)


def _join(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Tell once what several nodes say in the same words within a few seconds."""
    joined: list[Sentence] = []
    newest: dict[str, int] = {}
    for sentence in sentences:
        place = newest.get(sentence.text)
        same = None if place is None else joined[place]
        if (
            same is None
            or place is None
            or sentence.at - same.at > SAME_TROUBLE_S
            or set(sentence.nodes) & set(same.nodes)
        ):
            newest[sentence.text] = len(joined)
            joined.append(sentence)
        else:
            joined[place] = replace(same, nodes=same.nodes + sentence.nodes)
    return joined
