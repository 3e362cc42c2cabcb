import hashlib
import os

import pytest

from spokewire.relay.messages import (
    CookieReply,
    Data,
    Initiation,
    Response,
    announce,
    derive_mac1_key,
    is_for,
    parse_message,
    restore,
)


def initiation(sender: int = 7, key: bytes = bytes(32)) -> bytes:
    """A message of type 1 as the paper's section 5.4.2 lays it out, with random sealed fields."""
    covered = b"\x01\0\0\0" + sender.to_bytes(4, "little") + os.urandom(32 + 48 + 28)
    return covered + _mac1(covered, key) + bytes(16)


def response(sender: int = 8, receiver: int = 7, key: bytes = bytes(32)) -> bytes:
    """A message of type 2 (section 5.4.3)."""
    covered = b"\x02\0\0\0" + sender.to_bytes(4, "little") + receiver.to_bytes(4, "little") + os.urandom(32 + 16)
    return covered + _mac1(covered, key) + bytes(16)


def _mac1(covered: bytes, key: bytes) -> bytes:
    return hashlib.blake2s(covered, key=hashlib.blake2s(b"mac1----" + key).digest(), digest_size=16).digest()


def test_an_initiation_tells_its_sender_index() -> None:
    message = parse_message(initiation(0x01020304))
    assert isinstance(message, Initiation)
    assert message.sender == 0x01020304


def test_a_response_tells_both_indices() -> None:
    message = parse_message(response(5, 6))
    assert isinstance(message, Response)
    assert (message.sender, message.receiver) == (5, 6)


def test_a_cookie_reply_tells_whom_it_is_for() -> None:
    message = parse_message(b"\x03\0\0\0" + (9).to_bytes(4, "little") + os.urandom(24 + 32))
    assert message == CookieReply(9)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [32, 48, 1456])
def test_data_tells_its_receiver_index(size: int) -> None:
    message = parse_message(b"\x04\0\0\0" + (9).to_bytes(4, "little") + os.urandom(size - 8))
    assert message == Data(9)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x01",
        initiation()[:-1],
        initiation() + b"\0",
        response()[:-1],
        response() + b"\0",
        b"\x01\x01" + initiation()[2:],
        b"\x02\0\0\x01" + response()[4:],
        b"\x03\0\0\0" + bytes(59),
        b"\x03\0\0\0" + bytes(61),
        b"\x04\0\0\0" + bytes(27),
        b"\x04\0\0\0" + bytes(29),
        b"\x00\0\0\0" + bytes(144),
        b"\x05\0\0\0" + bytes(144),
        b"\xff" * 148,
    ],
    ids=lambda packet: f"type {packet[:1].hex()}, {len(packet)} bytes",
)
def test_what_is_not_exactly_a_message_is_none(packet: bytes) -> None:
    assert parse_message(packet) is None


def test_mac1_tells_whom_a_handshake_is_for() -> None:
    mine, other = os.urandom(32), os.urandom(32)
    for packet in (initiation(key=mine), response(key=mine)):
        message = parse_message(packet)
        assert isinstance(message, Initiation | Response)
        assert is_for(message, derive_mac1_key(mine))
        assert not is_for(message, derive_mac1_key(other))


@pytest.mark.parametrize("message", [initiation(), response()], ids=["initiation", "response"])
def test_an_announcement_is_its_message_but_for_one_byte_and_no_message_of_wireguards(message: bytes) -> None:
    announcement = announce(message)
    assert [at for at in range(len(message)) if announcement[at] != message[at]] == [1]
    assert announcement[1] == 1
    assert parse_message(announcement) is None
    assert restore(announcement) == message


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x01",
        initiation(),
        announce(initiation())[:-1],
        announce(response()) + b"\0",
        b"\x01\x02" + initiation()[2:],
        b"\x01\x01\x01" + initiation()[3:],
        b"\x01\x01\x00\x01" + initiation()[4:],
        b"\x02\x01\0\0" + initiation()[4:],
        b"\x03\x01\0\0" + bytes(60),
        b"\x04\x01\0\0" + bytes(28),
    ],
    ids=lambda packet: f"{packet[:4].hex(' ')}, {len(packet)} bytes",
)
def test_what_is_not_exactly_an_announcement_is_none(packet: bytes) -> None:
    assert restore(packet) is None


@pytest.mark.parametrize(
    "packet",
    [b"", announce(initiation()), b"\x03\0\0\0" + bytes(60), b"\x04\0\0\0" + bytes(28)],
    ids=["nothing", "announcement", "cookie", "data"],
)
def test_nothing_but_initiations_and_responses_can_be_announced(packet: bytes) -> None:
    with pytest.raises(ValueError, match="Only initiations and responses"):
        announce(packet)
