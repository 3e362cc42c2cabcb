"""Parsers of what others send: nothing raises but what the parser promises, and what was written is read back."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from spokewire.errors import Code, InputError
from spokewire.lab.plan import LinkFault, parse_fault
from spokewire.network.echo import HERE_SIZE, MAX_SIZE, SIZE, Echo, answer, format_echo, locate, parse_echo
from spokewire.network.echo import Kind as EchoKind
from spokewire.network.keys import decode_base64url, encode_base64url, parse_wireguard_key
from spokewire.network.token import parse_token
from spokewire.node.transfer import HEAD, MAX_CHECK_BYTES, format_head, parse_head
from spokewire.node.transfer import Kind as TransferKind
from spokewire.wireguard.configuration import parse_dump
from tests.builders import NOW, attempt, make_grant, make_token, make_wireguard_key
from tests.property.strategies import hostile_text, mutations

TOKEN = make_token(make_grant())
REQUEST_WIRE = format_echo(Echo(EchoKind.REQUEST, 1, 2, 3))
NUMBERS = st.integers(0, 2**64 - 1)


def token_code(text: str) -> Code | None:
    outcome = attempt(parse_token, text, NOW)
    if not isinstance(outcome, InputError):
        return None
    body = text.strip().partition(".")[2]
    assert len(body) < 8 or body not in f"{outcome} {outcome.hint}"
    return outcome.code


@given(hostile_text | hostile_text.map(lambda text: f"spw1.{text}"))
def test_no_text_at_all_is_taken_for_a_token(text: str) -> None:
    assert token_code(text) is Code.TOKEN_DAMAGED


@given(mutations(TOKEN))
def test_a_token_altered_anywhere_is_called_damaged(text: str) -> None:
    assert token_code(text) is (None if text.strip() == TOKEN else Code.TOKEN_DAMAGED)


@given(st.integers(0, len(TOKEN) - 1))
def test_a_token_cut_short_anywhere_is_called_damaged(length: int) -> None:
    assert token_code(TOKEN[:length]) is Code.TOKEN_DAMAGED


@given(
    st.binary(max_size=64)
    | st.binary(max_size=9).map(lambda end: REQUEST_WIRE + bytes(1360) + end)
    | st.binary(min_size=SIZE, max_size=SIZE).map(lambda data: b"SPWE\x01" + data[5:])
    | st.binary(min_size=SIZE - 1, max_size=HERE_SIZE + 1).map(
        lambda data: b"SPWE\x01\x04" + data[6:32] + bytes(4) + data[36:]
    )
    | st.binary(min_size=SIZE - 1, max_size=SIZE + 1).map(
        lambda data: b"SPWE\x01\x03" + data[6:32] + bytes(4) + data[36:]
    )
)
def test_bytes_that_are_no_echo_are_ignored_and_those_that_are_have_one_spelling(data: bytes) -> None:
    echo = parse_echo(data)
    assert echo is None or format_echo(echo) == data


@given(
    st.builds(
        Echo,
        st.sampled_from([EchoKind.REQUEST, EchoKind.ANSWER]),
        NUMBERS,
        NUMBERS,
        NUMBERS,
        size=st.integers(SIZE, MAX_SIZE),
    )
)
def test_every_echo_is_read_back_and_its_answer_names_the_same_question(echo: Echo) -> None:
    assert parse_echo(format_echo(echo)) == echo
    assert answer(echo, 7) == replace(echo, kind=EchoKind.ANSWER, received=7)


@given(
    st.builds(Echo, st.just(EchoKind.WHERE), NUMBERS, NUMBERS, NUMBERS),
    st.ip_addresses().filter(lambda address: not (address.is_unspecified or address.is_multicast)),
    st.integers(1, 2**16 - 1),
)
def test_every_question_where_is_read_back_and_so_is_the_place_that_it_is_told(
    question: Echo, address: IPv4Address | IPv6Address, port: int
) -> None:
    assert parse_echo(format_echo(question)) == question
    answered = locate(question, f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}")
    assert parse_echo(format_echo(answered)) == answered
    host, _, told = answered.endpoint.rpartition(":")
    inner = getattr(address, "ipv4_mapped", None) or address
    assert (ip_address(host.strip("[]")), int(told)) == (inner, port)


@given(st.binary(max_size=40) | st.binary(min_size=16, max_size=16).map(lambda data: b"SPWT\x01" + data[5:]))
def test_bytes_that_are_no_question_are_not_answered(data: bytes) -> None:
    head = parse_head(data)
    assert head is None or (format_head(*head) == data and len(data) == HEAD.size)


@given(st.sampled_from(TransferKind), NUMBERS)
def test_every_question_is_read_back_unless_it_asks_for_too_much(kind: TransferKind, length: int) -> None:
    expected = None if kind is TransferKind.CHECK and length > MAX_CHECK_BYTES else (kind, length)
    assert parse_head(format_head(kind, length)) == expected


KEY = make_wireguard_key("any")
COLUMNS = [
    st.sampled_from([KEY, "(none)", ""]),
    st.sampled_from(["(none)", KEY]),
    st.sampled_from(["(none)", "192.0.2.1:1", "[::1]:1"]),
    st.sampled_from(["(none)", "10.0.0.0/8", "fd00::/64,10.0.0.1/32", "10.0.0.1/8", "x"]),
    st.sampled_from(["0", "1700000000", "-", "never"]),
    st.sampled_from(["0", "5", ""]),
    st.sampled_from(["0", "5", "1e3"]),
    st.sampled_from(["off", "25", "on"]),
]
DUMPS = st.lists(st.tuples(*COLUMNS).map("\t".join), max_size=3).map(
    lambda peers: "\n".join([f"(hidden)\t{KEY}\t51820\toff", *peers])
)


@given(hostile_text | DUMPS | DUMPS.flatmap(mutations))
def test_what_wg_prints_is_read_or_refused_with_value_error(text: str) -> None:
    try:
        observed = parse_dump(text)
    except ValueError:
        return
    assert all(key == peer.public_key for key, peer in observed.peers.items())
    assert len(observed.peers) <= len(text.splitlines()) - 1


WORDS = st.sampled_from(["up", "down"]) | st.builds(
    "{}={}{}".format,
    st.sampled_from(["loss", "rate", "mtu", "up", ""]),
    st.integers(-5, 2000) | st.floats() | st.text(max_size=4),
    st.sampled_from(["", "%", "kbit", "mbit", "gbit"]),
)


@given(st.lists(WORDS | st.text(max_size=12), max_size=4).map(tuple))
@example(("loss=1e1%",))
def test_a_links_words_make_a_fault_that_can_be_carried_out_or_a_refusal(words: tuple[str, ...]) -> None:
    fault = attempt(parse_fault, words, LinkFault())
    if isinstance(fault, InputError):
        assert fault.code is Code.REQUEST_INVALID
        return
    assert 0 <= fault.loss_pct <= 100
    assert 576 <= fault.mtu <= 1500
    assert fault.rate == "" or fault.rate.isascii()
    assert parse_fault(tuple(fault.describe().split()), LinkFault()) == fault


@given(st.binary(max_size=80))
def test_bytes_survive_base64url(data: bytes) -> None:
    assert decode_base64url(encode_base64url(data)) == data


@given(hostile_text)
def test_a_base64url_text_has_one_spelling(text: str) -> None:
    try:
        data = decode_base64url(text)
    except ValueError:
        return
    assert encode_base64url(data) == text


@given(mutations(KEY))
def test_a_wireguard_key_has_one_spelling(text: str) -> None:
    try:
        key: Any = parse_wireguard_key(text)
    except ValueError:
        return
    assert key == text
    assert len(text) == 44
