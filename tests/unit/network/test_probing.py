"""Echoes to one machine: what came back, what was lost and where, and how often to ask."""

import random

import pytest

from spokewire.network.probing import (
    ANSWER_TIMEOUT_S,
    BUDGET_PER_S,
    INTERVAL_S,
    RECENT,
    SUSPECT_S,
    Interest,
    Losses,
    Trail,
    find_interval_s,
    find_median,
)


def play(script: str, rtt_s: float = 0.02) -> tuple[Trail, float]:
    """Send an echo each second: "." comes back, "o" is lost on the way out, "b" on the way back. Return the trail, and when all fates are known."""
    trail, arrived = Trail(begins_at=0.0), 0
    for second, fate in enumerate(script):
        sequence = trail.send(float(second))
        arrived += fate in ".b"
        if fate == ".":
            assert trail.answer(sequence, arrived, second + rtt_s)
    now = len(script) - 1 + ANSWER_TIMEOUT_S + 0.1
    trail.settle(now)
    return trail, now


def test_an_answer_counts_once_and_only_in_time() -> None:
    trail = Trail(begins_at=0.0)
    first, second = trail.send(0.0), trail.send(1.0)
    assert (first, second) == (1, 2)
    assert trail.answer(first, 1, 0.05)
    assert not trail.answer(first, 1, 0.06)
    assert not trail.answer(7, 1, 0.06)
    assert not trail.answer(second, 2, 1.0 + ANSWER_TIMEOUT_S + 0.01)
    assert trail.rtt_ms(1.0) == pytest.approx(50.0)
    assert trail.losses(3.5, 10.0).loss_pct == 50.0


def test_a_round_trip_is_known_as_soon_as_anything_came_back_even_what_was_sent_out_of_turn() -> None:
    trail = Trail(begins_at=0.0)
    trail.send(0.0)
    assert trail.answer(trail.send(0.5, extra=True), 1, 0.53)
    assert trail.rtt_ms(0.6) == pytest.approx(30.0)


def test_an_echo_still_on_its_way_is_not_called_lost() -> None:
    trail, _ = play("....")
    trail.send(4.0)
    trail.settle(4.0 + ANSWER_TIMEOUT_S)
    assert trail.recent_lost == 0
    trail.settle(4.0 + ANSWER_TIMEOUT_S + 0.1)
    assert trail.recent_lost == 1


@pytest.mark.parametrize(
    ("script", "out_pct", "back_pct"),
    [
        ("..........", 0.0, 0.0),
        (".o.o.o.o..", 40.0, 0.0),
        (".b.b.b.b..", 0.0, 40.0),
        (".ob..oo...", 30.0, 10.0),
        ("oo........", 0.0, 0.0),
    ],
)
def test_losses_are_told_apart_by_direction_between_two_answers(script: str, out_pct: float, back_pct: float) -> None:
    trail, now = play(script)
    losses = trail.losses(now, 60.0)
    assert losses.out_pct == pytest.approx(out_pct)
    assert losses.back_pct == pytest.approx(back_pct)


def test_a_machine_that_begins_to_count_anew_is_no_loss() -> None:
    trail, _ = play("." * 30)
    sequence = trail.send(30.0)
    assert trail.answer(sequence, 1, 30.02)
    sequence = trail.send(31.0)
    assert trail.answer(sequence, 2, 31.02)
    losses = trail.losses(31.1, 60.0)
    assert (losses.loss_pct, losses.out_pct, losses.back_pct) == (0.0, 0.0, 0.0)


def test_whatever_is_lost_the_two_directions_together_never_exceed_it() -> None:
    dice = random.Random(7)
    for _ in range(50):
        script = "".join(dice.choices(".ob", (4, 1, 1), k=100)) + "."
        trail, now = play(script)
        losses = trail.losses(now, 600.0)
        assert losses.loss_pct is not None
        assert losses.out_pct is not None
        assert losses.back_pct is not None
        assert losses.out_pct + losses.back_pct <= losses.loss_pct + 1e-9
        inner = script.strip("ob")
        assert losses.out_pct == pytest.approx(100.0 * inner.count("o") / len(script.lstrip("ob")))


def test_each_span_looks_at_its_own_time() -> None:
    trail, now = play("." + "o" * 20 + "." * 39)
    assert trail.losses(now, 10.0).loss_pct == 0.0
    assert trail.losses(now, 600.0).loss_pct == pytest.approx(100.0 / 3)
    assert Trail(begins_at=0.0).losses(0.0, 10.0).loss_pct is None


def test_what_was_sent_before_the_first_answer_is_no_loss() -> None:
    trail, now = play("ooobbo....")
    assert (trail.losses(now, 600.0), trail.recent_lost) == (Losses(0.0, 0.0, 0.0), 0)
    trail = Trail(begins_at=0.0)
    early, first = trail.send(0.0), trail.send(0.1, extra=True)
    late = trail.send(0.2)
    assert trail.answer(first, 1, 0.3)
    assert not trail.answer(early, 2, 0.31), "it is not waited for any more"
    assert trail.answer(late, 3, 0.32)
    trail.settle(60.0)
    assert (trail.losses(0.4, 60.0).loss_pct, trail.waiting, trail.extra) == (0.0, {}, set())


def test_a_path_that_comes_back_is_not_blamed_for_its_outage() -> None:
    trail, _ = play("........oooooooo.")
    assert trail.recent_lost == 8
    trail.forget_outage()
    assert (trail.recent_lost, len(trail.recent)) == (0, 1)


def test_a_missing_answer_makes_suspicious_until_a_later_one_comes() -> None:
    trail, _ = play("...")
    sequence = trail.send(3.0)
    assert not trail.is_suspect(3.0 + SUSPECT_S - 0.01)
    assert trail.is_suspect(3.0 + SUSPECT_S + 0.01)
    later = trail.send(4.0)
    assert trail.answer(later, 5, 4.02)
    assert (trail.unanswered, trail.unanswered_since) == (0, None)
    assert trail.answer(sequence, 4, 4.03)


def test_asking_more_often_while_an_answer_is_missing_does_not_make_a_short_outage_look_like_heavy_loss() -> None:
    trail, _ = play("." * 10)
    for tenth in range(100, 125):
        trail.send(tenth / 10, extra=tenth % 10 != 0)
    assert trail.answer(trail.sequence, 11, 12.5)
    trail.settle(20.0)
    assert (trail.recent_lost, len(trail.recent)) == (3, 13)
    assert trail.extra == set()


def test_time_in_which_we_ourselves_were_late_is_neither_silence_nor_loss() -> None:
    trail, _ = play("." * 10)
    sequences = [trail.send(10.0), trail.send(10.3, extra=True)]
    trail.excuse(16.0)
    trail.settle(16.1)
    assert not trail.is_suspect(16.1)
    assert all(trail.answer(sequence, 11 + position, 16.2) for position, sequence in enumerate(sequences))
    assert (trail.recent_lost, trail.unanswered, trail.unanswered_since) == (0, 0, None)
    trail.send(17.0)
    trail.excuse(30.0)
    trail.settle(30.0 + ANSWER_TIMEOUT_S + 0.1)
    assert trail.recent_lost == 0
    assert trail.is_suspect(31.0)


def test_one_who_is_always_late_still_notices_that_nobody_answers() -> None:
    trail, _ = play("." * 10)
    for turn in range(20):
        trail.send(10.0 + turn)
        trail.excuse(10.9 + turn)
        trail.settle(10.9 + turn)
    assert trail.unanswered >= 5
    assert trail.is_suspect(31.0)
    assert trail.unanswered_since == 10.9
    assert trail.recent_lost > 10


def test_the_trail_never_grows_beyond_its_bounds() -> None:
    trail, _ = play("." * 2000)
    assert len(trail.recent) == RECENT
    assert len(trail.buckets) <= 62
    assert len(trail.waiting) <= 3


def test_a_summary_holds_what_became_known_since_the_last() -> None:
    trail, _ = play("..o.")
    summary = trail.take_summary()
    assert (summary.due, summary.lost) == (4, 1)
    assert summary.rtt_avg_ms == pytest.approx(20.0)
    again = trail.take_summary()
    assert (again.due, again.rtt_avg_ms, again.rtt_max_ms) == (0, None, None)


def test_the_median_is_the_middle() -> None:
    assert find_median([]) is None
    assert find_median([3.0]) == 3.0
    assert find_median([9.0, 1.0, 2.0]) == 2.0
    assert find_median([1.0, 2.0, 3.0, 40.0]) == 2.5


@pytest.mark.parametrize("crowd", [1, 20, 100, 1000, 100_000])
@pytest.mark.parametrize("interest", list(BUDGET_PER_S))
def test_all_echoes_of_one_kind_stay_within_their_budget_whatever_the_number_of_peers(
    interest: Interest, crowd: int
) -> None:
    assert crowd / find_interval_s(interest, crowd) <= max(BUDGET_PER_S[interest], 1 / INTERVAL_S[interest])


def test_what_matters_is_asked_more_often() -> None:
    at_rest = [find_interval_s(interest, 1) for interest in (Interest.SUSPECT, Interest.ACTIVE, Interest.IDLE)]
    assert at_rest == sorted(at_rest)
    assert find_interval_s(Interest.HUB, 1000) == 1.0
