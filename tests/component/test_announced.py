"""Handshakes that were announced, kept for the agent that begins anew."""

import time
from pathlib import Path

import pytest

from spokewire.node.announced import LINES_PER_MESSAGE, MAX_KEPT, SESSION_S, Announced

FIRST, SECOND = (bytes([1, 0, 0, 0, number]) + bytes(143) for number in (1, 2))
ANSWER = bytes([2, 0, 0, 0]) + bytes(88)


def write(path: Path, *entries: tuple[float, str]) -> None:
    path.write_text("".join(f"{at} {text}\n" for at, text in entries))


def steady() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def test_what_was_announced_is_there_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "handshakes"
    for message in (FIRST, ANSWER):
        Announced(path).add(message)
    assert Announced(path).list_fresh() == [FIRST, ANSWER]
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_too_old_to_be_of_a_session_is_forgotten_and_so_is_what_was_kept_before_a_reboot(
    tmp_path: Path,
) -> None:
    path, now = tmp_path / "handshakes", steady()
    path.touch()
    Announced(path).add(FIRST)
    text = path.read_text().split()[1]
    write(path, (now - SESSION_S - 1, text), (now + 60, text), (float("nan"), text), (float("inf"), text))
    assert Announced(path).list_fresh() == []
    assert path.read_text() == ""
    write(path, (now - SESSION_S + 10, text))
    assert Announced(path).list_fresh() == [FIRST]


@pytest.mark.parametrize(
    "spoilt",
    [b"\xff\xfe\x00", b"x", b"12.0", b"12.0 ", b"12.0 AAAA", b"x AQ==", b"\n\n", bytes(300)],
    ids=["no text", "one word", "no message", "empty", "too short", "no time", "no lines", "zeros"],
)
def test_a_spoilt_file_costs_what_is_spoilt_and_no_more(tmp_path: Path, spoilt: bytes) -> None:
    path = tmp_path / "handshakes"
    path.write_bytes(spoilt)
    announced = Announced(path)
    assert announced.list_fresh() == []
    announced.add(FIRST)
    whole = path.read_bytes()
    assert Announced(path).list_fresh() == [FIRST]
    path.write_bytes(whole + whole[:-40])
    assert Announced(path).list_fresh() == [FIRST], "the last line was not written to its end"


def test_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "handshakes"
    announced = Announced(path)
    for _ in range(LINES_PER_MESSAGE * MAX_KEPT + 2):
        announced.add(ANSWER)
    assert len(path.read_text().splitlines()) == MAX_KEPT + 1
    assert len(announced.list_fresh()) == MAX_KEPT
    announced.add(SECOND)
    assert Announced(path).list_fresh()[-1] == SECOND


def test_a_disk_that_takes_nothing_costs_only_what_is_kept_for_the_next_agent(tmp_path: Path) -> None:
    announced = Announced(tmp_path / "missing" / "handshakes")
    announced.add(FIRST)
    assert announced.list_fresh() == [FIRST]
