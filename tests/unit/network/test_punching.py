"""Direct paths, the rules: what is a probe, where one may be sent, when to try, what to take, and how long to rest."""

from dataclasses import replace
from ipaddress import ip_address, ip_network
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spokewire.network.punching import (
    FIRST_REST_S,
    LEAST_ANSWERS,
    LEAST_PAUSE_S,
    LONGEST_REST_S,
    MAGIC,
    MAX_PLACES,
    PROBE_BYTES,
    STEADY_S,
    TRY_S,
    Answered,
    Direct,
    Probe,
    ProbeKind,
    accepts_round,
    begin_try,
    choose_places,
    end_try,
    format_probe,
    invite,
    leave_place,
    note_answer,
    parse_probe,
    read_sender,
    take_place,
)

KEY, OTHER_KEY = bytes(range(16)), bytes(16)
PROBE = Probe(ProbeKind.ASK, 11, 2**64 - 1)
WHOLE = format_probe(PROBE, KEY)
OVERLAY = (ip_network("10.88.0.0/24"), ip_network("fd00:1::/64"))
HERE, THERE = "203.0.113.5:4000", "[2001:db8::5]:4000"
probes = st.builds(
    Probe, st.sampled_from(ProbeKind), st.integers(min_value=0, max_value=2**32 - 1), st.integers(0, 2**64 - 1)
)
keys = st.binary(min_size=16, max_size=16)


@given(probes, keys)
def test_a_probe_that_was_written_is_read_by_who_told_its_key(probe: Probe, key: bytes) -> None:
    data = format_probe(probe, key)
    assert len(data) == PROBE_BYTES
    assert data.startswith(MAGIC)
    assert read_sender(data) == probe.sender
    assert parse_probe(data, key) == probe


@given(probes, keys, st.integers(0, PROBE_BYTES * 8 - 1))
def test_a_probe_of_which_any_bit_is_another_is_none(probe: Probe, key: bytes, bit: int) -> None:
    data = bytearray(format_probe(probe, key))
    data[bit // 8] ^= 1 << bit % 8
    assert parse_probe(bytes(data), key) is None


@given(st.binary(max_size=64) | st.binary(max_size=64).map(lambda rest: MAGIC + rest), keys)
def test_nothing_that_is_no_probe_is_read_as_one(data: bytes, key: bytes) -> None:
    assert parse_probe(data, key) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        MAGIC,
        WHOLE[:-1],
        WHOLE + b"\0",
        WHOLE[4:],
        format_probe(PROBE, OTHER_KEY),
        format_probe(PROBE, KEY[:15]),
        WHOLE[:-16] + bytes(16),
        b"\1\0\0\0" + WHOLE[4:],
    ],
    ids=["empty", "magic", "short", "long", "beheaded", "other key", "short key", "no mac", "a handshake"],
)
def test_a_hostile_probe_is_none(data: bytes) -> None:
    assert parse_probe(data, KEY) is None


@pytest.mark.parametrize("kind", [0, 3, 255])
def test_a_kind_of_probe_that_nobody_knows_is_none_even_if_it_is_signed(kind: int) -> None:
    assert parse_probe(format_probe(Probe(kind, 11, 1), KEY), KEY) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("first", [1, 2, 3, 4])
def test_no_probe_looks_like_a_message_of_wireguards(first: int) -> None:
    assert MAGIC[0] != first
    assert MAGIC[1:] != bytes(3)


@pytest.mark.parametrize(
    ("told", "chosen"),
    [
        ("203.0.113.5:4000", "203.0.113.5:4000"),
        ("192.168.1.2:51820", "192.168.1.2:51820"),
        ("10.0.0.2:1", "10.0.0.2:1"),
        ("100.64.0.7:65535", "100.64.0.7:65535"),
        ("[2001:db8::5]:4000", "[2001:db8::5]:4000"),
        ("[2001:0DB8:0::5]:04000", "[2001:db8::5]:4000"),
        ("[fd00:2::1]:4000", "[fd00:2::1]:4000"),
        ("127.0.0.1:4000", None),
        ("[::1]:4000", None),
        ("[::ffff:127.0.0.1]:4000", None),
        ("0.0.0.0:4000", None),
        ("[::]:4000", None),
        ("224.0.0.1:4000", None),
        ("[ff02::1]:4000", None),
        ("255.255.255.255:4000", None),
        ("240.0.0.1:4000", None),
        ("169.254.1.1:4000", None),
        ("[fe80::1]:4000", None),
        ("10.88.0.12:4000", None),
        ("[fd00:1::12]:4000", None),
        ("203.0.113.5:0", None),
        ("203.0.113.5:65536", None),
        ("203.0.113.5:-1", None),
        ("203.0.113.5:²", None),
        ("203.0.113.5:", None),
        ("203.0.113.5", None),
        ("hub-1:4000", None),
        ("", None),
    ],
)
def test_a_probe_goes_to_unicast_addresses_outside_the_overlay_and_to_nowhere_else(
    told: str, chosen: str | None
) -> None:
    assert choose_places([told], OVERLAY) == (() if chosen is None else (chosen,))


def test_only_so_many_places_are_tried_each_once_and_bad_ones_take_no_good_ones_room() -> None:
    told = ["127.0.0.1:1", "[2001:db8::1]:9", "[2001:DB8:0::1]:9", *(f"203.0.113.{n}:4000" for n in range(1, 20))]
    chosen = choose_places(told, OVERLAY)
    assert chosen == ("[2001:db8::1]:9", *(f"203.0.113.{n}:4000" for n in range(1, MAX_PLACES)))


@given(st.lists(st.text() | st.from_regex(r"[0-9a-f:.\[\]]{0,30}:[0-9]{0,6}", fullmatch=True)))
def test_whatever_is_told_what_is_chosen_is_an_address_and_a_port(told: list[str]) -> None:
    for place in choose_places(told, OVERLAY):
        host, _, port = place.rpartition(":")
        address = ip_address(host.strip("[]"))
        assert 0 < int(port) < 2**16
        assert not address.is_loopback
        assert not address.is_multicast
        assert not any(address in net for net in OVERLAY)


def test_an_invitation_is_answered_or_the_next_comes_after_a_rest_that_doubles_up_to_a_bound() -> None:
    direct, now, rests = Direct(), 0.0, []
    for number in range(1, 10):
        invited = invite(direct, now)
        assert invited is not None
        assert invited.round == number
        assert invite(invited, invited.next_try_at - 0.001) is None
        rests.append(invited.next_try_at - now)
        direct, now = invited, invited.next_try_at
    assert rests[:4] == [FIRST_REST_S, 2 * FIRST_REST_S, 4 * FIRST_REST_S, 8 * FIRST_REST_S]
    assert rests[-1] == LONGEST_REST_S


def test_who_tries_or_goes_directly_invites_nobody() -> None:
    assert invite(begin_try(Direct(), 1, 0.0), 0.0) is None
    assert invite(take_place(Direct(), HERE, 0.0), 1000.0) is None


INVITED = replace(Direct(), round=3, tried=2)


@pytest.mark.parametrize(
    ("direct", "number", "leads", "accepts"),
    [
        (INVITED, 3, True, True),
        (INVITED, 2, True, False),
        (INVITED, 4, True, False),
        (Direct(), 0, True, False),
        (replace(INVITED, tried=3), 3, True, False),
        (Direct(), 1, False, True),
        (Direct(), 7, False, True),
        (Direct(), 0, False, False),
        (INVITED, 3, False, False),
        (INVITED, 4, False, True),
        (replace(INVITED, place=HERE), 4, False, False),
        (replace(INVITED, place=HERE), 3, True, False),
        (replace(INVITED, trying_until=101.0), 4, False, False),
        (replace(INVITED, tried_at=100.0 - LEAST_PAUSE_S + 0.1), 4, False, False),
        (replace(INVITED, tried_at=100.0 - LEAST_PAUSE_S + 0.1), 3, True, False),
        (replace(INVITED, tried_at=100.0 - LEAST_PAUSE_S), 4, False, True),
    ],
)
def test_the_end_that_follows_tries_in_a_new_round_and_the_leading_one_once_in_its_own(
    direct: Direct, number: int, leads: bool, accepts: bool
) -> None:
    assert accepts_round(direct, number, leads=leads, now=100.0) is accepts


def answered(**counts: int) -> Direct:
    """In a try, with so many answers from here and there; each answer from there comes sooner."""
    direct = begin_try(Direct(), 1, 0.0)
    for name, place, rtt_ms in (("here", HERE, 20.0), ("there", THERE, 5.0)):
        for _ in range(counts.get(name, 0)):
            direct = note_answer(direct, place, rtt_ms)
    return direct


@pytest.mark.parametrize(
    ("direct", "leads", "place"),
    [
        (answered(), True, None),
        (answered(here=LEAST_ANSWERS - 1), True, None),
        (answered(here=LEAST_ANSWERS), True, HERE),
        (answered(here=LEAST_ANSWERS), False, None),
        (answered(here=9, there=LEAST_ANSWERS), True, THERE),
        (answered(here=9, there=LEAST_ANSWERS - 1), True, HERE),
    ],
)
def test_the_leading_end_takes_the_nearest_place_that_has_answered_often_enough(
    direct: Direct, leads: bool, place: str | None
) -> None:
    ended = end_try(direct, leads=leads, now=1.0)
    assert ended.place == place
    assert (ended.trying_until is None) == (place is not None)


def test_a_try_without_a_result_ends_after_its_time() -> None:
    direct = answered(here=1)
    assert end_try(direct, leads=True, now=TRY_S - 0.001) is direct
    ended = end_try(direct, leads=True, now=TRY_S)
    assert (ended.trying_until, ended.place, ended.answered) == (None, None, {})
    assert end_try(ended, leads=True, now=2 * TRY_S) is ended


def test_a_place_is_judged_by_its_shortest_round_trip() -> None:
    direct = begin_try(Direct(), 1, 0.0)
    for rtt_ms in (30.0, 10.0, 20.0):
        direct = note_answer(direct, HERE, rtt_ms)
    assert direct.answered == {HERE: Answered(3, 10.0)}


def test_answers_of_a_try_before_count_for_nothing() -> None:
    assert begin_try(answered(here=9), 2, 5.0).answered == {}


def test_a_path_that_ends_soon_is_tried_again_after_a_rest_that_doubles_and_one_that_held_after_the_first() -> None:
    direct, now, rests = Direct(), 0.0, []
    for _ in range(4):
        invited = invite(direct, now)
        assert invited is not None
        direct = leave_place(take_place(invited, HERE, now), now + 1.0)
        rests.append(direct.next_try_at - now - 1.0)
        now = direct.next_try_at
    assert rests[0] < rests[1] < rests[2] < rests[3]
    steady = leave_place(take_place(direct, HERE, now), now + STEADY_S)
    assert steady.next_try_at == now + STEADY_S + FIRST_REST_S
    assert (steady.place, steady.round) == (None, direct.round)


events = st.lists(
    st.tuples(st.sampled_from(["invite", "hear", "answer", "end", "leave"]), st.floats(0.0, 60.0), st.integers(0, 20)),
    max_size=60,
)


@given(events, st.booleans())
def test_whatever_the_other_end_does_tries_begin_no_closer_than_the_pause_and_rests_stay_in_their_bounds(
    script: list[tuple[str, float, int]], leads: bool
) -> None:
    direct, now, begun = Direct(), 0.0, []
    for what, after_s, number in script:
        now += after_s
        match what:
            case "invite":
                direct = invite(direct, now) or direct
            case "hear" if accepts_round(direct, number, leads=leads, now=now):
                direct = begin_try(direct, number, now)
                begun.append(now)
            case "answer" if direct.trying_until is not None:
                direct = note_answer(direct, HERE, float(number))
            case "end":
                direct = end_try(direct, leads=leads, now=now)
            case "leave" if direct.place is not None:
                direct = leave_place(direct, now)
            case _:
                pass
        assert FIRST_REST_S <= direct.rest_s <= LONGEST_REST_S
        assert direct.place is None or direct.trying_until is None
    assert all(later - before >= LEAST_PAUSE_S for before, later in pairwise(begun))
