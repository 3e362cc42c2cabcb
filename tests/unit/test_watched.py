"""When a missing answer means something, on lines of any length: the decisions of `Prober.step`, with a line that loses what the test says."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from spokewire.network.health import Health
from spokewire.network.names import WireGuardKey
from spokewire.network.paths import SILENT_S, find_silence, is_leg_alive
from spokewire.network.probing import ASKED_PER_RTT, BUDGET_PER_S, MISSING_INTERVAL_S, Interest, find_missing_interval_s
from spokewire.network.status import State
from spokewire.node.targets import Target
from spokewire.node.watched import Watched, begin

STEP_S = 0.02
LINES_S = (0.002, 0.05, 0.2, 0.3, 0.5, 0.7)
"""By a satellite far out an echo takes 0.6 s."""


@dataclass
class Line:
    """Echoes to one machine, asked every half second (a hub) or second (a peer) while nothing is missing."""

    watched: Watched
    rtt_s: float
    loses: Callable[[int], bool]
    asked: int = 0
    was_left_at: float | None = None

    def run(self, begins_at: float, ends_at: float) -> None:
        """Let time pass; note when its path would be left."""
        now, due, trail = begins_at, begins_at, self.watched.trail
        answers: list[tuple[float, int]] = []
        while now < ends_at:
            for at, sequence in [answer for answer in answers if answer[0] <= now]:
                answers.remove((at, sequence))
                trail.answer(sequence, 0, now)
                self.watched.health = Health(State.CONNECTED, "")
            trail.settle(now)
            is_hub = self.watched.target.is_hub
            is_due, extra = now >= due, self.watched.is_suspect(now)
            if is_due or (extra and now >= self.watched.asked_at + self.watched.missing_interval_s(1, now)):
                self.watched.asked_at, self.asked = now, self.asked + 1
                due = now + (0.5 if is_hub else 1.0) if is_due else due
                sequence = trail.send(now, extra=not is_due)
                if not self.loses(self.asked):
                    answers.append((now + self.rtt_s, sequence))
            is_left = not is_leg_alive(trail, self.watched.health.state, now, now) if is_hub else self._is_silent(now)
            if is_left and trail.last_answer_at is not None and self.was_left_at is None:
                self.was_left_at = now
            now += STEP_S

    def _is_silent(self, now: float) -> bool:
        return find_silence(self.watched.trail, now, leads=True) is not None


def make_watched(*, is_hub: bool) -> Watched:
    target = Target("other", is_hub=is_hub, peer=WireGuardKey("key"), calls=True, has_rivals=is_hub)
    return begin(target, "10.88.0.9", 0.0)


@pytest.mark.parametrize("is_hub", [True, False], ids=["hub", "peer"])
@pytest.mark.parametrize("rtt_s", LINES_S)
def test_a_line_that_loses_one_echo_is_not_left_however_long_it_is(rtt_s: float, *, is_hub: bool) -> None:
    line = Line(make_watched(is_hub=is_hub), rtt_s, lambda number: number == 40)
    line.run(0.0, 90.0)
    assert line.was_left_at is None


@pytest.mark.parametrize("is_hub", [True, False], ids=["hub", "peer"])
@pytest.mark.parametrize("rtt_s", LINES_S)
def test_a_long_line_that_loses_nothing_is_not_asked_more_often(rtt_s: float, *, is_hub: bool) -> None:
    line = Line(make_watched(is_hub=is_hub), rtt_s, lambda _: False)
    line.run(0.0, 60.0)
    beginning = ASKED_PER_RTT * 10
    assert line.asked <= (120 if is_hub else 60) + beginning


@pytest.mark.parametrize(("rtt_s", "within_s"), [(0.002, 0.6), (0.2, 0.9), (0.5, 2.2)])
def test_a_line_that_is_cut_is_left_soon(rtt_s: float, within_s: float) -> None:
    for is_hub, more_s in ((True, 0.5), (False, 1.0 + SILENT_S - 0.7)):
        line = Line(make_watched(is_hub=is_hub), rtt_s, lambda number: number > 40)
        line.run(0.0, 90.0)
        assert line.was_left_at is not None
        last_answer_at = line.watched.trail.last_answer_at
        assert last_answer_at is not None
        assert line.was_left_at - last_answer_at <= within_s + more_s + 0.3


@pytest.mark.parametrize(
    ("is_hub", "other", "rtt_s", "suspects", "interval_s"),
    [
        (True, True, 0.0, 1, MISSING_INTERVAL_S),
        (True, True, 0.0, 1000, MISSING_INTERVAL_S),
        (True, True, 0.8, 1, 0.8 / ASKED_PER_RTT),
        (True, False, 0.0, 1, 0.25),
        (False, False, 0.0, 1, MISSING_INTERVAL_S),
        (False, False, 0.0, 1000, 1000 / BUDGET_PER_S[Interest.SUSPECT]),
        (False, True, 0.0, 1000, MISSING_INTERVAL_S),
    ],
    ids=["hub", "hub, in a crowd", "hub, far", "the only hub", "peer", "peer, in a crowd", "direct peer"],
)
def test_how_often_is_asked_whose_answer_is_missing(
    *, is_hub: bool, other: bool, rtt_s: float, suspects: int, interval_s: float
) -> None:
    found = find_missing_interval_s(is_hub=is_hub, has_other_path=other, rtt_s=rtt_s, suspects=suspects)
    assert found == interval_s
