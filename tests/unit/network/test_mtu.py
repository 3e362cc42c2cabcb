"""What size of packet passes: a simulated path tells each echo's fate, and the gauge must find out what it carries."""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from spokewire.network.mtu import (
    CHECK_INTERVAL_S,
    CHECKS_PER_S,
    LEAST_TRIES,
    MOST_TRIES,
    PACE_S,
    RETRY_MAX_S,
    RETRY_S,
    SIZES,
    Gauge,
    Limit,
    Line,
    Way,
    find_check_interval_s,
    find_narrowest,
    find_tries,
    tell_narrowest,
)

CEILING = 1420
RTT_S = 0.05


@dataclass
class Path:
    """A path with a widest packet each way, and a machine at its end. `answers`: whether that one knows echoes of chosen sizes."""

    out: int = 1500
    back: int = 1500
    answers: bool = True
    lose: Callable[[], bool] = lambda: False
    loss: float = 0.0
    gauge: Gauge = field(default_factory=lambda: Gauge(CEILING, check_at=0.0))
    now: float = 0.0
    arrived: int = 0
    sent: list[tuple[float, int]] = field(default_factory=list)
    coming: list[tuple[float, int, int]] = field(default_factory=list)

    def run(self, seconds: float, mtu: int | None = None) -> "Path":
        """Let time pass, step by step; the interface follows the gauge unless an MTU is given."""
        for _ in range(round(seconds / PACE_S)):
            for due_at, sequence, received in list(self.coming):
                if due_at <= self.now:
                    self.coming.remove((due_at, sequence, received))
                    self.gauge.answer(sequence, received)
            line = Line(loss=self.loss, rtt_s=RTT_S)
            for size in self.gauge.step(line, mtu or self.gauge.limit, CHECK_INTERVAL_S, self.now):
                self._send(size)
            self.now += PACE_S
        return self

    def _send(self, size: int) -> None:
        sequence = self.gauge.send(size)
        self.sent.append((self.now, size))
        if size > self.out or self.lose():
            return
        self.arrived += 1
        if size <= self.back and self.answers and not self.lose():
            self.coming.append((self.now + RTT_S, sequence, self.arrived))

    def changes(self, seconds: float) -> list[tuple[float, int]]:
        """Let time pass; return when the limit changed, from now on, and to what."""
        found, begun_at, before = [], self.now, self.gauge.limit
        for _ in range(round(seconds / PACE_S)):
            self.run(PACE_S)
            if self.gauge.limit != before:
                before = self.gauge.limit
                found.append((self.now - begun_at, before))
        return found


def test_a_good_path_costs_one_packet_every_two_seconds_and_nothing_changes() -> None:
    path = Path()
    assert path.changes(400) == []
    assert {size for _, size in path.sent} == {CEILING}
    assert len(path.sent) == pytest.approx(400 / CHECK_INTERVAL_S, rel=0.15)


@pytest.mark.parametrize(
    ("passes", "found"),
    [
        (1420, 1420),
        (1419, 1408),
        (1408, 1408),
        (1407, 1392),
        (1220, 1216),
        (1216, 1216),
        (1215, 1200),
        (1199, 1152),
        (576, 576),
    ],
)
def test_the_largest_size_that_passes_is_found_within_six_seconds(passes: int, found: int) -> None:
    path = Path().run(9)
    path.out = path.back = passes
    changes = path.changes(CHECK_INTERVAL_S + 4)
    assert [size for _, size in changes] == ([found] if found < CEILING else [])
    assert path.gauge.limit == found


@pytest.mark.parametrize(
    ("out", "back", "way"),
    [(1300, 1500, Way.OUT), (1500, 1300, Way.BACK), (1300, 1300, Way.OUT), (1300, 1400, Way.OUT)],
)
def test_it_is_told_on_which_way_large_packets_get_lost(out: int, back: int, way: Way) -> None:
    path = Path().run(9)
    path.out, path.back = out, back
    path.run(9)
    assert (path.gauge.limit, path.gauge.way) == (1296, way)


def test_a_path_that_narrows_further_is_followed_down() -> None:
    path = Path().run(9)
    path.out = 1400
    path.run(8)
    assert path.gauge.limit == 1392
    path.out = 1250
    path.run(8)
    assert path.gauge.limit == 1248


def test_a_lower_mtu_is_proved_by_a_packet_of_that_size_that_came_back() -> None:
    path = Path(out=1300)
    while path.gauge.limit == CEILING:
        path.run(PACE_S)
    assert not path.gauge.is_proved
    path.run(3 * PACE_S)
    assert path.gauge.is_proved


def test_a_path_that_mends_is_noticed_at_the_first_retry_ten_seconds_after_the_fault_was_found() -> None:
    path = Path(out=1300).run(8)
    assert path.gauge.limit == 1296
    path.out = 1500
    changes = path.changes(RETRY_S + 3)
    assert [size for _, size in changes] == [CEILING]
    quiet_since = path.now
    path.run(700)
    assert {size for at, size in path.sent if at > quiet_since} == {CEILING}


def test_a_path_that_mends_halfway_is_used_as_far_as_it_goes() -> None:
    path = Path(out=1216).run(8)
    path.out = 1380
    assert [size for _, size in path.changes(RETRY_S + 3)] == [1376]


def test_larger_sizes_are_tried_again_with_growing_waits_and_never_less_often_than_every_ten_minutes() -> None:
    path = Path(out=1300).run(8)
    path.sent.clear()
    path.run(4000)
    tried = sorted({at for at, size in path.sent if size == CEILING})
    begins = [at for before, at in itertools.pairwise([-1e9, *tried]) if at - before > 2 * PACE_S]
    waits = [after - before for before, after in itertools.pairwise(begins)]
    assert waits[:3] == pytest.approx([2 * RETRY_S, 4 * RETRY_S, 8 * RETRY_S], abs=3)
    assert max(waits) == pytest.approx(RETRY_MAX_S, abs=3)
    assert path.gauge.limit == 1296


def test_one_missing_answer_or_two_change_nothing() -> None:
    path = Path().run(9)
    path.out = 1000
    while not path.gauge.is_busy:
        path.run(PACE_S)
    path.out = 1500
    assert path.changes(30) == []


@pytest.mark.parametrize("path", [Path(out=0), Path(back=0), Path(answers=False)])
def test_silence_and_an_agent_that_does_not_know_such_echoes_are_no_black_hole(path: Path) -> None:
    assert path.changes(120) == []
    assert {size for _, size in path.sent} == {CEILING, SIZES[-1]}


@pytest.mark.parametrize("loss_each_way", [0.01, 0.05, 0.2])
def test_a_line_that_loses_packets_of_any_size_keeps_its_mtu_for_an_hour(loss_each_way: float) -> None:
    dice = random.Random(4)
    path = Path(lose=lambda: dice.random() < loss_each_way, loss=1 - (1 - loss_each_way) ** 2)
    assert path.changes(3600) == []


@pytest.mark.parametrize("loss_each_way", [0.01, 0.05, 0.2])
def test_a_black_hole_on_a_line_that_loses_packets_anyway_is_found_all_the_same(loss_each_way: float) -> None:
    dice = random.Random(4)
    path = Path(lose=lambda: dice.random() < loss_each_way, loss=1 - (1 - loss_each_way) ** 2).run(9)
    path.out = 1300
    assert [size for _, size in path.changes(20)] == [1296]


def test_what_is_larger_than_the_interface_lets_out_is_not_checked() -> None:
    path = Path(out=1300).run(60, mtu=1216)
    assert path.gauge.limit == CEILING
    assert {size for _, size in path.sent} == {1216}


def test_a_machine_that_has_begun_to_count_anew_does_not_confuse_the_search() -> None:
    path = Path().run(9)
    path.arrived, path.back = 0, 1300
    path.run(9)
    assert path.gauge.limit == 1296


def test_an_answer_is_of_interest_once_and_only_to_the_question_that_is_open() -> None:
    gauge = Gauge(CEILING, check_at=0.0)
    assert gauge.step(Line(), CEILING, CHECK_INTERVAL_S, 0.0) == (CEILING,)
    sequence = gauge.send(CEILING)
    assert gauge.answer(sequence + 1, 1) is None
    assert gauge.answer(sequence, 1) == CEILING
    assert gauge.answer(sequence, 1) is None


@pytest.mark.parametrize(
    ("loss", "tries"),
    [(0.0, LEAST_TRIES), (0.02, 3), (0.11, 6), (0.36, 12), (0.5, 17), (0.9, MOST_TRIES), (1.0, MOST_TRIES)],
)
def test_the_more_a_line_loses_the_more_often_it_is_asked(loss: float, tries: int) -> None:
    assert find_tries(loss) == tries


@pytest.mark.parametrize(
    ("crowd", "in_use", "interval_s"),
    [(0, True, 2.0), (8, True, 2.0), (100, True, 25.0), (1000, True, 250.0), (1, False, 10.0), (1000, False, 250.0)],
)
def test_a_thousand_machines_get_no_more_checks_a_second_than_four(crowd: int, in_use: bool, interval_s: float) -> None:
    assert find_check_interval_s(crowd, in_use=in_use) == interval_s
    assert crowd / interval_s <= CHECKS_PER_S


HUB, TWO, THREE = Limit("hub-1", True, 1216), Limit("node-2", False, 1216), Limit("node-3", False, 1216)


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ([HUB, TWO, THREE], "packets above 1216 bytes do not pass on the way to hub-1"),
        ([replace(HUB, size=CEILING), TWO], "packets above 1216 bytes do not pass on the way to node-2"),
        ([replace(HUB, size=1392), TWO, THREE], "packets above 1216 bytes do not pass on the way to node-2, node-3"),
        ([replace(HUB, way=Way.BACK), TWO], "packets above 1216 bytes do not pass on the way back from hub-1"),
        (
            [replace(TWO, name=f"node-{number}") for number in range(2, 12)],
            "packets above 1216 bytes do not pass on the way to node-2, node-3, node-4 and 7 more",
        ),
    ],
)
def test_the_sentence_names_the_own_line_before_the_lines_of_others(limits: list[Limit], told: str) -> None:
    assert tell_narrowest(find_narrowest(limits, CEILING)) == told


def test_nothing_is_told_while_everything_passes() -> None:
    assert find_narrowest([replace(HUB, size=CEILING), replace(TWO, size=CEILING)], CEILING) == []
