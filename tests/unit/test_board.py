"""A node's issues from their first moment to their last, also when the clock is set meanwhile."""

from pathlib import Path

from spokewire.errors import Code
from spokewire.network.events import EventCode
from spokewire.network.status import Issue
from spokewire.node.board import Board


def issue(text: str, *, since: float, subject: str = "node-2", code: Code = Code.ROUTE_DIVERTED) -> Issue:
    return Issue(code=code, text=text, since=since, subject=subject)


def test_an_issue_is_told_once_however_often_it_is_found_and_when_it_is_gone(tmp_path: Path) -> None:
    told: list[tuple[str, str, str]] = []
    board = Board(tmp_path)
    board.note_event = lambda _at, code, subject, text: told.append((code, subject, text))
    board.open_issue("route", issue("first", since=10.0))
    board.open_issue("route", issue("again", since=20.0))
    assert board.issues["route"] == issue("again", since=10.0)
    board.open_issue("route", issue("another", since=30.0, subject="node-3"))
    assert board.issues["route"].since == 30.0
    board.close_issue("route")
    board.close_issue("route")
    assert board.issues == {}
    assert told == [
        (EventCode.ISSUE_OPENED, "node-2", "first"),
        (EventCode.ISSUE_CLOSED, "node-2", "again"),
        (EventCode.ISSUE_OPENED, "node-3", "another"),
        (EventCode.ISSUE_CLOSED, "node-3", "another"),
    ]


def test_what_began_before_the_clock_was_set_is_as_old_as_it_is(tmp_path: Path) -> None:
    board = Board(tmp_path)
    before = board.status()
    board.open_issue("route", issue("first", since=1000.0))
    board.clock_set(-3600.0)
    after = board.status()
    assert after.since == before.since - 3600.0
    assert after.started_at == before.started_at - 3600.0
    assert board.issues["route"].since == 1000.0 - 3600.0
