"""Two machines that claim to be one."""

import pytest

from spokewire.errors import Code
from spokewire.network.clones import MAX_MARKS, SHARED_S, Marks, describe_clone, is_rivalled
from spokewire.network.echo import find_agent, make_sessions


def seen(*marks: tuple[str, float]) -> Marks:
    found = Marks()
    for mark, at in marks:
        found.note(mark, at)
    return found


@pytest.mark.parametrize(
    ("marks", "is_shared"),
    [
        ([], False),
        ([("a", 0), ("a", 2), ("a", 4)], False),
        ([("a", 0), ("b", 2), ("b", 4)], False),
        ([("a", 0), ("b", 2), ("c", 4), ("d", 6)], False),
        ([("a", 0), ("b", 2), ("a", 2.1), ("b", 2.2), ("b", 4)], False),
        ([("a", 0), ("b", 2), ("a", 4)], False),
        ([("a", 0), ("b", 2), ("a", 4), ("b", 6)], True),
        ([("a", 0), ("b", 2), ("c", 4), ("a", 6), ("b", 8)], True),
    ],
)
def test_a_restarted_agent_is_one_machine_and_two_that_alternate_are_two(
    marks: list[tuple[str, float]], is_shared: bool
) -> None:
    assert seen(*marks).is_shared(10.0) is is_shared


def test_it_is_over_a_while_after_one_of_them_was_stopped() -> None:
    marks = seen(("a", 0), ("b", 2), ("a", 4), ("b", 6))
    assert marks.is_shared(4 + SHARED_S)
    assert not marks.is_shared(4.1 + SHARED_S)


def test_however_many_marks_come_few_are_kept() -> None:
    marks = seen(*((f"mark-{number}", float(number)) for number in range(1000)))
    assert len(marks._known) == MAX_MARKS
    assert not marks.is_shared(1000.0)


@pytest.mark.parametrize(("refused_at", "told"), [(None, False), (100.0, True), (70.0, True), (69.0, False)])
def test_another_machine_with_the_same_token_counts_while_it_tries(refused_at: float | None, told: bool) -> None:
    assert is_rivalled(refused_at, 100.0) is told


@pytest.mark.parametrize(
    ("code", "hub", "words"),
    [
        (Code.GRANT_IN_USE, "", "Another machine tries to join with the token of node-2; it is kept out."),
        (Code.GRANT_IN_USE, "hub-1", "hub-1 says: another machine tries to join with the token of node-2"),
        (Code.MACHINE_COPIED, "", "A second machine runs with the keys of node-2"),
        (Code.MACHINE_COPIED, "hub-1", "hub-1 says: a second machine runs with the keys of node-2"),
    ],
)
def test_a_clone_is_told_in_words_with_what_to_do(code: Code, hub: str, words: str) -> None:
    issue = describe_clone("node-2", code, 5.0, hub)
    assert issue.text.startswith(words)
    assert (issue.code, issue.subject, issue.since) == (code, "node-2", 5.0)
    assert "spokewire node remove node-2" in issue.hint


def test_all_sessions_of_one_agent_are_of_one_agent_and_of_no_other() -> None:
    first, second = make_sessions(2**64 - 1), make_sessions(5)
    assert len({*first, *second}) == 6
    assert len({find_agent(session) for session in first}) == 1
    assert {find_agent(session) for session in first}.isdisjoint({find_agent(session) for session in second})
    assert all(0 <= session < 2**64 for session in (*first, *second))
