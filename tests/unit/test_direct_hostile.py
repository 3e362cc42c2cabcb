"""What a member that keeps to no rule can make an honest node send, and where to."""

import pytest

from spokewire.network.punching import (
    LEAST_ANSWERS,
    LEAST_PAUSE_S,
    MAX_PLACES,
    PROBE_BYTES,
    PROBE_INTERVAL_S,
    TRY_S,
    Probe,
    ProbeKind,
    format_probe,
    parse_probe,
)
from spokewire.network.signal import DirectTold
from spokewire.node.direct import MAX_ANSWERS, MAX_HEARD
from spokewire.relay.places import parse_endpoint
from tests.unit.direct_ends import ONE, OTHER, PLACES, VICTIM, Clock, End

KEY = "00" * 16


class Hostile:
    """A member that knows the protocol and keeps to no rule of it; its signals reach an honest end."""

    def __init__(self, *, leads: bool) -> None:
        self.clock = Clock()
        self.end = End(OTHER if leads else ONE, self.clock)
        self.name, self.number = (ONE, 11) if leads else (OTHER, 12)

    def tell(self, number: int, *places: str, taken: bool = False, key: str = KEY) -> None:
        self.end.hear(DirectTold(places=places, key=key, round=number, taken=taken))

    def send(self, kind: ProbeKind, nonce: int, source: str) -> None:
        """A probe that is signed as it should be, from wherever it claims to come."""
        key = bytes.fromhex(self.end.tell().key)
        self.end.directs.probed(format_probe(Probe(kind, self.number, nonce), key), parse_endpoint(source))

    def asks_at(self, place: str) -> list[int]:
        """The numbers of the questions that were sent to a place."""
        probes = [parse_probe(data, bytes.fromhex(KEY)) for data, to in self.end.line.sent if to == place]
        return [probe.nonce for probe in probes if probe is not None and probe.kind is ProbeKind.ASK]


@pytest.mark.parametrize("leads", [True, False])
def test_who_tells_the_places_of_others_has_them_sent_a_trickle_of_small_probes_and_no_more(leads: bool) -> None:
    hostile, span_s = Hostile(leads=leads), 600.0
    victims = [f"198.51.100.{number}:53" for number in range(1, MAX_PLACES + 1)]
    for at in range(round(span_s / PROBE_INTERVAL_S)):
        hostile.end.look()
        number = at + 1 if leads else hostile.end.tell().round
        hostile.tell(number, *victims, key=f"{at:032x}")
        hostile.end.step()
        hostile.clock.now += PROBE_INTERVAL_S
    tries = span_s / LEAST_PAUSE_S + 1
    assert 0 < len(hostile.end.line.sent) <= tries * MAX_PLACES * (TRY_S / PROBE_INTERVAL_S + 1)
    assert {len(data) for data, _ in hostile.end.line.sent} == {PROBE_BYTES}
    if not leads:
        assert len(hostile.end.line.sent) <= 7 * MAX_PLACES * (TRY_S / PROBE_INTERVAL_S + 1), "the rests are ours"


def test_who_forges_where_its_probes_come_from_has_few_places_probed_and_few_answers_sent() -> None:
    hostile = Hostile(leads=True)
    hostile.tell(1)
    for number in range(1000):
        hostile.send(ProbeKind.ASK, number, f"198.51.{number // 250}.{number % 250 + 1}:53")
    assert len(hostile.end.line.sent) == MAX_ANSWERS
    assert len(hostile.end.directs.list_heard(ONE)) == MAX_HEARD
    hostile.end.line.sent.clear()
    hostile.end.step()
    assert len(hostile.end.line.sent) == MAX_HEARD


@pytest.mark.parametrize("leads", [True, False])
def test_packets_never_go_to_a_place_that_has_not_answered_what_was_asked_there(leads: bool) -> None:
    hostile = Hostile(leads=leads)
    own = PLACES[hostile.name]
    hostile.end.look()
    number = 1 if leads else hostile.end.tell().round
    hostile.tell(number, own, VICTIM)
    for guess in range(2 * LEAST_ANSWERS):
        hostile.end.step()
        hostile.send(ProbeKind.ASK, guess, VICTIM)
        for nonce in hostile.asks_at(own):
            hostile.send(ProbeKind.ANSWER, nonce, VICTIM)
        hostile.send(ProbeKind.ANSWER, guess, VICTIM)
        hostile.tell(number, own, VICTIM, taken=True)
        hostile.clock.now += PROBE_INTERVAL_S
    assert hostile.asks_at(VICTIM), "it was asked"
    assert hostile.end.place is None


def test_an_answer_counts_once() -> None:
    hostile = Hostile(leads=False)
    own = PLACES[hostile.name]
    hostile.end.look()
    hostile.tell(hostile.end.tell().round, own)
    hostile.end.step()
    (nonce,) = hostile.asks_at(own)
    for _ in range(10 * LEAST_ANSWERS):
        hostile.send(ProbeKind.ANSWER, nonce, own)
    hostile.end.step()
    assert hostile.end.place is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SPWD",
        format_probe(Probe(ProbeKind.ASK, 11, 1), bytes(16)),
        format_probe(Probe(ProbeKind.ASK, 99, 1), bytes(16)),
        format_probe(Probe(ProbeKind.ASK, 12, 1), bytes(16)),
    ],
    ids=["nothing", "magic", "a stranger's key", "a stranger's number", "our own number"],
)
def test_a_strangers_probe_is_neither_answered_nor_remembered(data: bytes) -> None:
    hostile = Hostile(leads=True)
    hostile.tell(1, PLACES[ONE])
    hostile.end.directs.probed(data, parse_endpoint(VICTIM))
    assert hostile.end.line.sent == []
    assert hostile.end.directs.list_heard(ONE) == frozenset()
