import pytest

from spokewire.network.echo import SIZE, Echo, Kind, answer, format_echo, parse_echo

REQUEST = Echo(Kind.REQUEST, session=0x0102030405060708, sequence=9, sent_at=10)
WIRE = bytes.fromhex("53505745 01 01 0000 0102030405060708 0000000000000009 000000000000000a")


def test_an_echo_is_the_32_bytes_that_its_description_draws() -> None:
    assert format_echo(REQUEST) == WIRE
    assert len(WIRE) == SIZE == 32
    assert parse_echo(WIRE) == REQUEST


def test_an_answer_differs_from_its_question_in_one_byte_and_is_no_longer() -> None:
    wire = format_echo(answer(REQUEST))
    assert [position for position in range(32) if wire[position] != WIRE[position]] == [5]
    assert wire[5] == 2
    assert parse_echo(wire) == Echo(Kind.ANSWER, REQUEST.session, 9, 10)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SPWE",
        WIRE[:-1],
        WIRE + b"\0",
        b"\0" * 32,
        b"spwe" + WIRE[4:],
        WIRE[:4] + b"\2" + WIRE[5:],
        WIRE[:5] + b"\0" + WIRE[6:],
        WIRE[:5] + b"\3" + WIRE[6:],
        WIRE[:6] + b"\0\1" + WIRE[8:],
    ],
)
def test_what_is_no_echo_is_ignored(data: bytes) -> None:
    assert parse_echo(data) is None
