import struct

import pytest

from spokewire.node.transfer import HEAD, MAX_CHECK_BYTES, Kind, format_head, parse_head

GOOD = format_head(Kind.CHECK, 1024)


@pytest.mark.parametrize(
    ("kind", "length"), [(Kind.CHECK, 0), (Kind.CHECK, MAX_CHECK_BYTES), (Kind.SINK, 0), (Kind.SINK, 2**64 - 1)]
)
def test_a_question_is_read_as_it_was_asked(kind: Kind, length: int) -> None:
    assert parse_head(format_head(kind, length)) == (kind, length)


def test_a_head_is_the_16_bytes_that_its_description_draws() -> None:
    assert bytes.fromhex("53505754 01 01 0000 0000000000000400") == GOOD
    assert HEAD.size == 16


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\0",
        bytes(16),
        b"SPWE" + GOOD[4:],
        GOOD[:4] + b"\2" + GOOD[5:],
        GOOD[:5] + b"\0" + GOOD[6:],
        GOOD[:5] + b"\3" + GOOD[6:],
        GOOD[:6] + b"\1\0" + GOOD[8:],
        GOOD[:8] + struct.pack("!Q", MAX_CHECK_BYTES + 1),
    ],
)
def test_what_is_no_question_or_asks_for_too_much_is_not_answered(data: bytes) -> None:
    assert parse_head(data) is None
