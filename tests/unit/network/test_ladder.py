"""What is tried against a silent tunnel, and when it is left at that."""

import pytest

from spokewire.network.ladder import (
    DEAF_PAUSE_S,
    PAUSE_S,
    Deafness,
    Fault,
    Rung,
    choose_rung,
    is_deaf,
)


def fault(silent_s: float, *, handshakes: int = 3, is_alone: bool = True, api_age_s: float | None = 1.0) -> Fault:
    """Silence that has lasted until the second 1000."""
    return Fault(1000.0 - silent_s, handshakes, is_alone, None if api_age_s is None else 1000.0 - api_age_s)


@pytest.mark.parametrize(
    ("silence", "remade_at", "rung"),
    [
        (fault(5.0), (), Rung.WAIT),
        (fault(10.0), (), Rung.DEVICE),
        (fault(10.0, handshakes=2), (), Rung.WAIT),
        (fault(10.0, is_alone=False), (), Rung.WAIT),
        (fault(10.0, api_age_s=None), (), Rung.WAIT),
        (fault(10.0, api_age_s=6.0), (), Rung.WAIT),
        (fault(15.0, api_age_s=None), (), Rung.REPORT),
        (fault(15.0, is_alone=False), (), Rung.REPORT),
        (fault(70.0), (1000.0 - PAUSE_S + 1,), Rung.REPORT),
        (fault(70.0), (1000.0 - PAUSE_S,), Rung.DEVICE),
        (fault(200.0), (800.0, 860.0, 920.0), Rung.REPORT),
        (fault(9000.0), (-8000.0, 860.0, 920.0), Rung.DEVICE),
    ],
)
def test_the_mildest_comes_first_the_strongest_seldom_and_only_where_it_can_help(
    silence: Fault, remade_at: tuple[float, ...], rung: Rung
) -> None:
    assert choose_rung(silence, remade_at, 1000.0) is rung


@pytest.mark.parametrize(
    ("deafness", "deaf"),
    [
        (Deafness(), False),
        (Deafness(unanswered=1), False),
        (Deafness(unanswered=2), True),
        (Deafness(unanswered=9, remade_at=1000.0 - DEAF_PAUSE_S + 1), False),
        (Deafness(unanswered=9, remade_at=1000.0 - DEAF_PAUSE_S), True),
    ],
)
def test_a_device_that_does_not_answer_twice_is_made_anew_with_a_pause_between(deafness: Deafness, deaf: bool) -> None:
    assert is_deaf(deafness, 1000.0) is deaf
