"""What nodes tell each other of their paths: read as strictly as anything that comes from outside."""

import json

import pytest

from spokewire.network.signal import MAX_BYTES, MAX_HUBS, LegTold, Signal, format_signal, parse_signal

HEAD = b"SPWS\x01"
WHOLE = Signal(legs=(LegTold(hub=1, alive=True, loss_pct=3.0, rtt_ms=12.5), LegTold(hub=2, alive=False)), chosen=1)


def say(**told: object) -> bytes:
    return HEAD + json.dumps(told).encode()


@pytest.mark.parametrize("signal", [WHOLE, Signal(), Signal(chosen=2**20)])
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
