"""Loops that do not turn any more are named, and in the end reason enough to start again."""

import pytest

from spokewire.errors import Code
from spokewire.network.late import find_late, tell_overdue

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("ages", "late", "overdue"),
    [
        ({}, [], ""),
        ({"probe": 0.1, "summary": 119.0}, [], ""),
        ({"probe": 0.1, "reconcile": 121.0}, ["reconcile"], ""),
        ({"summary": 200.0, "reconcile": 301.0}, ["summary", "reconcile"], "Not turned for 300 s: reconcile."),
        ({"silence": 400.0, "reconcile": 301.0}, ["silence", "reconcile"], "Not turned for 300 s: silence, reconcile."),
    ],
)
def test_a_loop_that_has_not_turned_for_long_is_an_issue_and_then_ends_the_agent(
    ages: dict[str, float], late: list[str], overdue: str
) -> None:
    issues = find_late(ages, NOW)
    assert [issue.subject for issue in issues] == late
    assert all(issue.code == Code.LOOP_HUNG and issue.hint and issue.subject in issue.text for issue in issues)
    assert [issue.since for issue in issues] == [NOW - ages[name] for name in late]
    assert tell_overdue(ages) == overdue
