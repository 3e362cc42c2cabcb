"""Clocks that were set, and clocks that are wrong."""

import pytest

from spokewire.errors import Code
from spokewire.network.clocks import RIGHT_S, WRONG_S, Reading, Told, find_jump_s, find_wrong, tell_jump
from spokewire.network.documents import CLOCK_TOLERANCE_S
from tests.builders import NOW

TOLD = Told("hub-1", NOW, Reading(NOW - 5, 100.0))


@pytest.mark.parametrize(
    ("passed_wall_s", "passed_steady_s", "jump_s"),
    [
        (1.0, 1.0, 0.0),
        (1.9, 1.0, 0.0),
        (121.0, 121.0, 0.0),
        (3601.0, 1.0, 3600.0),
        (-3599.0, 1.0, -3600.0),
        (3.0, 1.0, 2.0),
        (0.0, 120.0, -120.0),
    ],
)
def test_a_clock_that_was_set_is_told_by_how_much_and_one_that_only_ran_is_not(
    passed_wall_s: float, passed_steady_s: float, jump_s: float
) -> None:
    assert find_jump_s(Reading(NOW, 50.0), Reading(NOW + passed_wall_s, 50.0 + passed_steady_s)) == jump_s


def test_a_jump_is_told_with_its_direction() -> None:
    assert tell_jump(3600.2) == "the clock was set forward by 3600 s"
    assert tell_jump(-3600.2) == "the clock was set back by 3600 s"


@pytest.mark.parametrize(
    ("ahead_s", "was_wrong", "text"),
    [
        (0.0, False, None),
        (WRONG_S, False, None),
        (WRONG_S + 1, False, "The clock of node-1 is 61 s ahead of that of hub-1."),
        (-3600.0, False, "The clock of node-1 is 3600 s behind that of hub-1."),
        (RIGHT_S + 1, True, "The clock of node-1 is 31 s ahead of that of hub-1."),
        (RIGHT_S, True, None),
    ],
)
def test_a_clock_far_from_the_hubs_is_an_issue_until_it_is_near_again(
    ahead_s: float, was_wrong: bool, text: str | None
) -> None:
    before = find_wrong("node-1", TOLD, Reading(NOW + 3600, 100.0), None) if was_wrong else None
    issue = find_wrong("node-1", TOLD, Reading(NOW + 20 + ahead_s, 120.0), before)
    assert (None if issue is None else issue.text) == text
    if issue is not None:
        assert issue.code == Code.CLOCK_WRONG
        assert issue.since == (NOW + 20 + ahead_s if before is None else before.since)


def test_without_a_hub_nothing_is_known_of_the_clock() -> None:
    assert find_wrong("node-1", None, Reading(NOW, 0.0), None) is None


def test_the_clock_is_wrong_where_what_it_signs_is_refused() -> None:
    assert WRONG_S == CLOCK_TOLERANCE_S
