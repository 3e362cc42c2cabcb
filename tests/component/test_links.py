"""Links, addresses and routes as the kernel tells them. Nothing is changed, so neither root nor namespaces are needed."""

import errno
import struct
from ipaddress import IPv4Interface, IPv4Network

import pytest

from spokewire.errors import Code, PermanentError
from spokewire.host.links import Links
from spokewire.host.netlink import Kind, LinkHead, Route, format_attribute, parse_attributes, split_messages


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ("wg-demo", b"\x0c\0\x03\0wg-demo\0"),
        ("lo", b"\x07\0\x03\0lo\0\0"),
        (1420, b"\x08\0\x03\0\x8c\x05\0\0"),
        (b"", b"\x04\0\x03\0"),
        (b"\1\2\3\4\5", b"\x09\0\x03\0\1\2\3\4\5\0\0\0"),
    ],
)
def test_an_attribute_is_padded_to_four_bytes_which_its_length_leaves_out(
    value: bytes | str | int, data: bytes
) -> None:
    if struct.pack("=H", 1) == b"\1\0":
        assert format_attribute(3, value) == data
    assert format_attribute(3, value) in (format_attribute(3, value) * 2)[: len(data)]
    assert list(parse_attributes(format_attribute(3, value) + format_attribute(4, 7))) == [3, 4]


def test_nested_attributes_are_found_again() -> None:
    inner = format_attribute(1, "wireguard") + format_attribute(2, b"\0\1")
    found = parse_attributes(format_attribute(18 | 0x8000, inner))
    assert parse_attributes(found[18]) == {1: b"wireguard\0", 2: b"\0\1"}


@pytest.mark.parametrize("data", [b"", b"\1", b"\0" * 64, b"\xff" * 64, b"\3\0\1\0", b"\x10\0\1\0ab"])
def test_a_damaged_message_ends_the_reading_and_nothing_else(data: bytes) -> None:
    assert len(parse_attributes(data)) <= 1
    assert len(list(split_messages(data))) <= 1


def test_the_loopback_link_is_seen_as_it_is() -> None:
    found = Links().observe("lo")
    assert found is not None
    assert (found.index, found.kind, found.mtu) == (1, "", 65536)
    assert not found.is_up or IPv4Interface("127.0.0.1/8") in found.addresses


def test_a_link_that_does_not_exist_is_told_as_that() -> None:
    links = Links()
    assert links.observe("no-such-link") is None
    links.delete("no-such-link")
    with pytest.raises(PermanentError) as vanished:
        links.set_up("no-such-link", 1420)
    assert vanished.value.code is Code.DEVICE_UNAVAILABLE


def test_an_overlap_is_told_with_the_link_that_it_is_on() -> None:
    links = Links()
    found = links.observe("lo")
    if found is None or not found.is_up:
        pytest.skip("the loopback link is down")
    assert "the address 127.0.0.1 on lo" in links.find_overlaps([IPv4Network("127.0.0.0/8")], ignore="")
    assert links.find_overlaps([IPv4Network("127.0.0.0/8")], ignore="lo") == []


def test_the_kernels_refusal_carries_its_number() -> None:
    with Route() as route, pytest.raises(OSError, match="No such device") as refused:
        route.get(Kind.GET_LINK, LinkHead(index=2**30))
    assert refused.value.errno == errno.ENODEV


def test_one_socket_answers_one_question_after_the_other() -> None:
    with Route() as route:
        names = {link.text(3) for link in route.dump(Kind.GET_LINK, LinkHead())}
        assert "lo" in names
        assert {link.text(3) for link in route.dump(Kind.GET_LINK, LinkHead())} == names
        assert route.get(Kind.GET_LINK, LinkHead(), format_attribute(3, "lo")).head.index == 1
