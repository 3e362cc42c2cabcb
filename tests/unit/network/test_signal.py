"""What nodes tell each other of their paths: read as strictly as anything that comes from outside."""

import json

import pytest

from spokewire.network.punching import MAX_PLACES
from spokewire.network.signal import MAX_BYTES, MAX_HUBS, DirectTold, LegTold, Signal, format_signal, parse_signal

HEAD = b"SPWS\x01"
WHOLE = Signal(legs=(LegTold(hub=1, alive=True, loss_pct=3.0, rtt_ms=12.5), LegTold(hub=2, alive=False)), chosen=1)

KEY = "0123456789abcdef" * 2
DIRECT = DirectTold(places=("203.0.113.5:4000", "[2001:db8::5]:4000"), key=KEY, round=3, taken=True)


def say(**told: object) -> bytes:
    return HEAD + json.dumps(told).encode()


@pytest.mark.parametrize(
    "signal",
    [WHOLE, Signal(), Signal(chosen=2**20), Signal(direct=DIRECT), Signal(direct=DirectTold(key=KEY, round=0))],
)
def test_what_is_told_is_what_is_read(signal: Signal) -> None:
    assert parse_signal(format_signal(signal)) == signal


def test_the_longest_signal_fits_into_one_datagram() -> None:
    legs = tuple(
        LegTold(hub=2**20 - number, alive=False, loss_pct=100.0, rtt_ms=59_999.9) for number in range(MAX_HUBS)
    )
    data = format_signal(Signal(legs=legs, chosen=2**20))
    assert len(data) <= MAX_BYTES, f"{len(data)} bytes"
    assert parse_signal(data) is not None


def test_what_a_newer_release_adds_is_passed_over() -> None:
    assert parse_signal(say(chosen=1, mood="good", legs=[{"hub": 1, "alive": True, "colour": "red"}])) == Signal(
        legs=(LegTold(hub=1, alive=True),), chosen=1
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEAD,
        b"SPWE" + format_signal(WHOLE)[4:],
        b"SPWS\x02" + format_signal(WHOLE)[5:],
        format_signal(WHOLE)[:-1],
        format_signal(WHOLE) + b"}",
        HEAD + b"[]",
        HEAD + b"null",
        HEAD + b"\xff\xfe{}",
        HEAD + b"{}" + b" " * MAX_BYTES,
        HEAD + b"[" * (MAX_BYTES - len(HEAD)),
        say(kind="words"),
        say(chosen=0),
        say(chosen=-1),
        say(chosen=2**20 + 1),
        say(chosen="1"),
        say(chosen=1.0),
        say(chosen=True),
        say(legs={}),
        say(legs=[1]),
        say(legs=[{"hub": 1}]),
        say(legs=[{"hub": 0, "alive": True}]),
        say(legs=[{"hub": 1, "alive": 1}]),
        say(legs=[{"hub": 1, "alive": True, "loss_pct": -1}]),
        say(legs=[{"hub": 1, "alive": True, "loss_pct": 101}]),
        say(legs=[{"hub": 1, "alive": True, "rtt_ms": -1}]),
        say(legs=[{"hub": 1, "alive": True, "rtt_ms": 1e9}]),
        HEAD + b'{"legs":[{"hub":1,"alive":true,"rtt_ms":NaN}]}',
        HEAD + b'{"legs":[{"hub":1,"alive":true,"loss_pct":Infinity}]}',
        say(legs=[{"hub": 1, "alive": True}] * (MAX_HUBS + 1)),
    ],
)
def test_anything_else_is_nothing(data: bytes) -> None:
    assert parse_signal(data) is None


@pytest.mark.parametrize(
    "direct",
    [
        {},
        [],
        "direct",
        {"key": KEY},
        {"round": 1},
        {"key": KEY, "round": -1},
        {"key": KEY, "round": 2**31 + 1},
        {"key": KEY, "round": 1.0},
        {"key": KEY, "round": True},
        {"key": KEY[:-1], "round": 1},
        {"key": KEY + "0", "round": 1},
        {"key": KEY.upper(), "round": 1},
        {"key": "g" * 32, "round": 1},
        {"key": KEY + "\n", "round": 1},
        {"key": KEY, "round": 1, "taken": 1},
        {"key": KEY, "round": 1, "places": "203.0.113.5:4000"},
        {"key": KEY, "round": 1, "places": [1]},
        {"key": KEY, "round": 1, "places": ["203.0.113.5"]},
        {"key": KEY, "round": 1, "places": ["hub-1.example.org:4000"]},
        {"key": KEY, "round": 1, "places": ["[fe80::1%eth0]:4000"]},
        {"key": KEY, "round": 1, "places": ["203.0.113.5:400000"]},
        {"key": KEY, "round": 1, "places": ["203.0.113.5:4000\n"]},
        {"key": KEY, "round": 1, "places": ["1" * 60 + ":4000"]},
        {"key": KEY, "round": 1, "places": ["203.0.113.5:4000"] * (MAX_PLACES + 1)},
    ],
)
def test_what_is_told_of_direct_paths_is_read_as_strictly(direct: object) -> None:
    assert parse_signal(say(direct=direct)) is None
    assert parse_signal(say(direct={"key": KEY, "round": 1})) is not None, "the rest of the test means something"


@pytest.mark.parametrize("hubs", [1, 10, MAX_HUBS])
def test_the_longest_word_on_direct_paths_fits_with_that_on_hubs_for_the_price_of_some_places(hubs: int) -> None:
    places = tuple(f"[{':'.join(['2001'] * 7)}:{number:04x}]:65535" for number in range(MAX_PLACES))
    direct = DirectTold(places=places, key=KEY, round=2**31, taken=True)
    legs = tuple(LegTold(hub=2**20 - number, alive=False, loss_pct=100.0, rtt_ms=59_999.9) for number in range(hubs))
    data = format_signal(Signal(legs=legs, chosen=2**20, direct=direct))
    assert len(data) <= MAX_BYTES
    read = parse_signal(data)
    assert read is not None
    assert read.legs == legs
    assert read.direct is not None
    left = len(read.direct.places)
    assert read.direct == direct.model_copy(update={"places": places[:left]})
    assert left == MAX_PLACES or len(data) + len(places[left]) + len('"places":[""],') > MAX_BYTES, (
        "no more than must be"
    )
