from dataclasses import replace

import pytest

from spokewire.network.echo import MAX_SIZE, SIZE, Echo, Kind, answer, format_echo, parse_echo

REQUEST = Echo(Kind.REQUEST, session=0x0102030405060708, sequence=9, sent_at=10)
WIRE = bytes.fromhex("53505745 01 01 0000 0102030405060708 0000000000000009 000000000000000a 00000000")


def test_an_echo_is_the_36_bytes_that_its_description_draws() -> None:
    assert format_echo(REQUEST) == WIRE
    assert len(WIRE) == SIZE == 36
    assert parse_echo(WIRE) == REQUEST


def test_an_answer_differs_from_its_question_in_kind_and_count_and_is_no_longer() -> None:
    wire = format_echo(answer(REQUEST, 0x01020304))
    assert [position for position in range(36) if wire[position] != WIRE[position]] == [5, 32, 33, 34, 35]
    assert wire[5] == 2
    assert parse_echo(wire) == Echo(Kind.ANSWER, REQUEST.session, 9, 10, 0x01020304)


@pytest.mark.parametrize("size", [SIZE, SIZE + 1, 548, MAX_SIZE])
def test_a_larger_echo_is_the_same_with_zeros_behind_and_its_answer_is_as_large(size: int) -> None:
    wire = format_echo(replace(REQUEST, size=size))
    assert wire == WIRE + bytes(size - SIZE)
    question = parse_echo(wire)
    assert question is not None
    assert len(format_echo(answer(question, 1))) == size


def test_the_count_of_an_answer_wraps_instead_of_failing() -> None:
    assert answer(REQUEST, 2**32 + 1).received == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SPWE",
        WIRE[:-1],
        WIRE + b"\1",
        WIRE + bytes(100) + b"\1",
        WIRE + bytes(MAX_SIZE - SIZE + 1),
        b"\0" * 36,
        b"spwe" + WIRE[4:],
        WIRE[:4] + b"\2" + WIRE[5:],
        WIRE[:5] + b"\0" + WIRE[6:],
        WIRE[:5] + b"\3" + WIRE[6:],
        WIRE[:6] + b"\0\1" + WIRE[8:],
    ],
)
def test_what_is_no_echo_is_ignored(data: bytes) -> None:
    assert parse_echo(data) is None
