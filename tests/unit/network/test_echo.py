from dataclasses import replace

import pytest

from spokewire.network.echo import HERE_SIZE, MAX_SIZE, SIZE, Echo, Kind, answer, format_echo, locate, parse_echo

REQUEST = Echo(Kind.REQUEST, session=0x0102030405060708, sequence=9, sent_at=10)
WIRE = bytes.fromhex("53505745 01 01 0000 0102030405060708 0000000000000009 000000000000000a 00000000")

WHERE_WIRE = WIRE[:5] + b"\3" + WIRE[6:]
HERE_WIRE = WIRE[:5] + b"\4" + WIRE[6:] + bytes.fromhex("00000000000000000000ffff cb007105 04d2")


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
        WIRE[:5] + b"\5" + WIRE[6:],
        WHERE_WIRE + b"\0",
        WIRE[:6] + b"\0\1" + WIRE[8:],
        WHERE_WIRE[:-1] + b"\1",
        WHERE_WIRE[:5] + b"\4" + WHERE_WIRE[6:],
        HERE_WIRE[:-1],
        HERE_WIRE + b"\0",
        HERE_WIRE[: SIZE - 1] + b"\1" + HERE_WIRE[SIZE:],
        HERE_WIRE[:-2] + b"\0\0",
        HERE_WIRE[:SIZE] + bytes(16) + b"\0\1",
        HERE_WIRE[:SIZE] + bytes(10) + b"\xff\xff\0\0\0\0\0\1",
        HERE_WIRE[:SIZE] + bytes(10) + b"\xff\xff\xe0\0\0\1\0\1",
        HERE_WIRE[:SIZE] + b"\xff\x02" + bytes(13) + b"\1\0\1",
    ],
)
def test_what_is_no_echo_is_ignored(data: bytes) -> None:
    assert parse_echo(data) is None


@pytest.mark.parametrize(
    ("endpoint", "place"),
    [
        ("203.0.113.5:1234", "00000000000000000000ffff cb007105 04d2"),
        ("[2001:db8::5]:65535", "20010db8000000000000000000000005 ffff"),
    ],
)
def test_who_asks_where_it_is_seen_is_told_the_endpoint_behind_its_own_question(endpoint: str, place: str) -> None:
    question = parse_echo(WHERE_WIRE)
    assert question == replace(REQUEST, kind=Kind.WHERE)
    wire = format_echo(locate(question, endpoint))
    assert wire == HERE_WIRE[:SIZE] + bytes.fromhex(place)
    assert len(wire) == HERE_SIZE == 54
    assert parse_echo(wire) == replace(question, kind=Kind.HERE, size=HERE_SIZE, endpoint=endpoint)


@pytest.mark.parametrize("endpoint", ["", "203.0.113.5", "203.0.113.5:0", "hub.example:1", "[::]:1", "224.0.0.1:1"])
def test_what_is_no_endpoint_is_told_to_nobody(endpoint: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        locate(replace(REQUEST, kind=Kind.WHERE), endpoint)
