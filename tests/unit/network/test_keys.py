import base64

import pytest

from spokewire.network.keys import (
    decode_base64url,
    derive_network_id,
    encode_base64url,
    format_private_key,
    format_public_key,
    parse_private_key,
    parse_public_key,
    parse_wireguard_key,
)
from tests.builders import NETWORK, ROOT, STRANGER, make_wireguard_key


def test_a_signing_key_survives_being_written_down() -> None:
    assert parse_public_key(format_public_key(ROOT.public_key())) == ROOT.public_key()
    assert format_private_key(parse_private_key(format_private_key(ROOT))) == format_private_key(ROOT)
    assert len(format_public_key(ROOT.public_key())) == len(format_private_key(ROOT)) == 43


def test_the_network_id_belongs_to_the_root_key_alone() -> None:
    assert derive_network_id(ROOT.public_key()) == NETWORK
    assert derive_network_id(STRANGER.public_key()) != NETWORK
    assert len(NETWORK) == 32
    assert set(NETWORK) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "AAAA",
        "A" * 42,
        "A" * 44,
        "A" * 42 + "B",  # The last character has bits that no byte holds.
        "A" * 42 + "=",
        "A" * 43 + "=",
        " " + "A" * 42,
        "A" * 42 + "\n",
        "A" * 42 + "+",
        "A" * 42 + "é",
        "A" * 43 + "\ud800",
    ],
)
def test_what_is_no_signing_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"base64url|32 bytes"):
        parse_public_key(text)
    with pytest.raises(ValueError, match=r"base64url|32 bytes"):
        parse_private_key(text)


@pytest.mark.parametrize("data", [b"", b"a", b"ab", b"abc", b"\xff\xfe\xfd", bytes(range(256))])
def test_bytes_survive_base64url_without_padding(data: bytes) -> None:
    text = encode_base64url(data)
    assert "=" not in text
    assert decode_base64url(text) == data


def test_a_wireguard_key_is_taken_as_wg_prints_it() -> None:
    key = make_wireguard_key("any")
    assert parse_wireguard_key(key) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "(none)",
        make_wireguard_key("any")[:-1],
        make_wireguard_key("any") + "\n",
        base64.b64encode(bytes(31)).decode(),
        base64.b64encode(bytes(33)).decode(),
        "A" * 42 + "B=",
        "_" * 43 + "=",
        "ä" * 44,
    ],
)
def test_what_is_no_wireguard_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a WireGuard key"):
        parse_wireguard_key(text)
