"""Who calls first, and when silence is answered with a new handshake."""

from dataclasses import replace

import pytest

from spokewire.network.handshakes import (
    HANDSHAKE_BYTES,
    LONGEST_PAUSE_S,
    MOST_AT_ONCE,
    Arrivals,
    Caller,
    Peer,
    Silence,
    ask,
    calls_first,
    choose_counts,
    choose_handshakes,
    choose_renewals,
    count,
    count_caller,
    find_path_silence,
    hear,
    note_arrivals,
)
from spokewire.network.names import WireGuardKey

HUB = WireGuardKey("hub")
NODE = WireGuardKey("node")
ALIVE = Silence(heard_at=99.5, asked_at=99.9, back_at=10.0)


def hub(silence: Silence = ALIVE) -> Peer:
    return Peer(HUB, is_hub=True, calls=True, silence=silence)


def node(silence: Silence, *, calls: bool = True, key: WireGuardKey = NODE) -> Peer:
    return Peer(key, is_hub=False, calls=calls, silence=silence)


def test_of_two_nodes_exactly_one_calls_first() -> None:
    assert calls_first(11, 12)
    assert not calls_first(12, 11)


@pytest.mark.parametrize(
    ("peer", "chosen"),
    [
        (node(Silence(98.0, 98.0, 10.0)), False),
        (node(Silence(97.5, 97.5, 10.0)), True),
        (node(Silence(97.5, 97.5)), True),
        (node(Silence(97.5, 97.5, 10.0), calls=False), False),
        (node(Silence(96.0, 96.0, 10.0), calls=False), True),
        (node(Silence(50.0, 50.0, 10.0, forced_at=98.5, forced=1)), False),
        (node(Silence(50.0, 50.0, 10.0, forced_at=98.0, forced=1)), True),
        (node(Silence(50.0, 50.0, 10.0, forced_at=98.0, forced=1), calls=False), False),
        (node(Silence(50.0, 50.0, 10.0, forced_at=97.0, forced=1), calls=False), True),
        (node(Silence(50.0, 50.0, 10.0, forced_at=96.5, forced=2)), False),
        (node(Silence(50.0, 50.0, 10.0, forced_at=96.0, forced=2)), True),
        (node(Silence(50.0, 50.0, 10.0, flowed_at=97.6)), False),
        (node(Silence(50.0, 50.0, 10.0, flowed_at=97.5)), True),
        (node(Silence(50.0, 50.0, 10.0, flowed_at=97.1), calls=False), False),
        (node(Silence(50.0, 50.0, 10.0, forced_at=60.0, forced=1, flowed_at=97.6)), False),
        (node(Silence(0.0, 0.0, 0.0, forced_at=100.5 - LONGEST_PAUSE_S, forced=50)), False),
        (node(Silence(0.0, 0.0, 0.0, forced_at=100.0 - LONGEST_PAUSE_S, forced=50)), True),
    ],
)
def test_a_silent_peer_gets_a_new_handshake_after_a_while_and_then_ever_more_seldom(peer: Peer, chosen: bool) -> None:
    assert choose_handshakes([hub(), peer], 100.0) == ([NODE] if chosen else [])


@pytest.mark.parametrize(
    ("silence", "chosen"),
    [
        (Silence(90.0, 90.0, 10.0), [HUB]),
        (Silence(90.0, 90.0), [HUB]),
        (Silence(98.0, 98.0, 10.0), [NODE]),
        (Silence(99.9, 99.9, 99.5), []),
        (Silence(99.9, 99.9, 99.0), [NODE]),
    ],
)
def test_peers_wait_until_their_hub_is_back_and_had_a_moment_to_resume(
    silence: Silence, chosen: list[WireGuardKey]
) -> None:
    assert choose_handshakes([node(Silence(50.0, 50.0, 10.0)), hub(silence)], 100.0) == chosen


def test_a_crowd_of_silent_peers_is_taken_a_few_at_a_time_those_tried_least_first() -> None:
    tried = [node(Silence(0.0, 0.0, 0.0, 10.0, 1), key=WireGuardKey(f"tried-{i}")) for i in range(MOST_AT_ONCE)]
    fresh = [node(Silence(0.0, 0.0, 0.0), key=WireGuardKey(f"fresh-{i}")) for i in range(MOST_AT_ONCE - 1)]
    chosen = choose_handshakes([*tried, *fresh, hub()], 100.0)
    assert chosen == [*(peer.key for peer in fresh), tried[0].key]


def test_whom_we_have_not_asked_is_not_silent() -> None:
    assert choose_handshakes([hub(), node(Silence(0.0, back_at=0.0))], 100.0) == []


def test_a_sign_of_life_ends_the_silence_and_tells_when_it_ended() -> None:
    first = hear(ask(Silence(10.0, forced_at=13.0, forced=1), 11.0), 14.0)
    assert first == Silence(14.0, back_at=14.0)
    asked = ask(first, 15.0)
    assert asked == ask(asked, 16.0) == Silence(14.0, 15.0, 14.0)
    assert hear(asked, 16.0) == Silence(16.0, back_at=14.0)
    assert hear(asked, 18.0) == Silence(18.0, back_at=18.0)


BEGUN = Arrivals(at=100.0, bytes=5000)


@pytest.mark.parametrize(
    ("before", "counted", "kept", "flows"),
    [
        (None, Arrivals(90.4, 7000), None, False),
        (None, Arrivals(90.5, 7000), Arrivals(90.5, 7000), False),
        (Arrivals(90.4, 6000), Arrivals(100.0, 7000), Arrivals(100.0, 7000), False),
        (BEGUN, Arrivals(100.5, 5000), BEGUN, False),
        (BEGUN, Arrivals(100.5, 5000 + HANDSHAKE_BYTES), BEGUN, False),
        (BEGUN, Arrivals(100.5, 5001 + HANDSHAKE_BYTES), Arrivals(100.5, 5001 + HANDSHAKE_BYTES), True),
        (BEGUN, Arrivals(104.0, 5000 + 2 * HANDSHAKE_BYTES), Arrivals(104.0, 5000 + 2 * HANDSHAKE_BYTES), False),
        (BEGUN, Arrivals(104.0, 5001 + 2 * HANDSHAKE_BYTES), Arrivals(104.0, 5001 + 2 * HANDSHAKE_BYTES), True),
        (BEGUN, Arrivals(100.5, 300), Arrivals(100.5, 300), False),
    ],
    ids=[
        "too soon to tell what came before",
        "the first count",
        "the last count was made before the silence",
        "nothing",
        "a handshake",
        "more than a handshake",
        "two windows, two handshakes",
        "two windows, more than handshakes",
        "the peer was added again",
    ],
)
def test_packets_that_arrive_from_one_who_is_silent_since_90_are_told_from_handshakes(
    before: Arrivals | None, counted: Arrivals, kept: Arrivals | None, *, flows: bool
) -> None:
    assert note_arrivals(before, 90.0, counted) == (kept, flows)


def test_what_arrives_matters_only_before_a_handshake_is_due() -> None:
    assert choose_counts([hub(), node(Silence(90.0, 99.6, 10.0))], 100.0) == []
    assert choose_counts([hub(), node(Silence(90.0, 99.5, 10.0))], 100.0) == [NODE]


def test_while_packets_arrive_no_handshake_is_due_and_as_soon_as_they_stop_one_is() -> None:
    """A dead agent on a machine whose WireGuard lives, at 100 bytes every tenth of a second; its machine dies at 140."""
    silence, now, due = ask(Silence(100.0, back_at=50.0), 100.0), 100.0, list[float]()
    while now < 150.0 and not due:
        now += 0.25
        if choose_counts([hub(Silence(now, back_at=10.0)), node(silence)], now):
            silence = count(silence, Arrivals(now, int(min(now, 140.0) * 1000)))
        due += [now] if choose_handshakes([hub(Silence(now, back_at=10.0)), node(silence)], now) else []
    assert due
    assert 142.0 <= due[0] <= 144.0


def test_a_machine_that_was_heard_again_is_not_counted_any_more() -> None:
    heard = hear(Silence(90.0, 91.0, 10.0, arrivals=BEGUN, flowed_at=100.0), 101.0)
    assert (heard.arrivals, heard.flowed_at) == (None, None)
    assert count(heard, Arrivals(102.0, 9000)) == heard


def test_a_hub_counts_anew_when_a_node_has_been_heard() -> None:
    silent = Caller(NODE, 95.0, 10.0, 99.0, arrivals=BEGUN)
    flowing = count_caller(silent, Arrivals(101.0, 9000))
    assert flowing.flowed_at == 101.0
    heard = count_caller(replace(flowing, heard_at=101.5), Arrivals(101.6, 9500))
    assert (heard.arrivals, heard.flowed_at) == (None, None)


@pytest.mark.parametrize(
    ("caller", "chosen"),
    [
        (Caller(NODE, heard_at=99.0, follows_since=10.0, spoke_at=99.9), False),
        (Caller(NODE, heard_at=97.5, follows_since=10.0, spoke_at=99.0), True),
        (Caller(NODE, heard_at=97.5, follows_since=10.0, spoke_at=98.9), False),
        (Caller(NODE, heard_at=97.6, follows_since=10.0, spoke_at=99.9), False),
        (Caller(NODE, heard_at=97.5, follows_since=10.0, spoke_at=None), False),
        (Caller(NODE, heard_at=97.5, follows_since=None, spoke_at=99.0), False),
        (Caller(NODE, heard_at=50.0, follows_since=98.0, spoke_at=99.0), False),
        (Caller(NODE, heard_at=None, follows_since=98.0, spoke_at=99.0), False),
        (Caller(NODE, heard_at=None, follows_since=97.5, spoke_at=99.0), True),
        (Caller(NODE, 50.0, 10.0, spoke_at=99.0, flowed_at=97.6), False),
        (Caller(NODE, 50.0, 10.0, spoke_at=99.0, flowed_at=97.5), True),
        (Caller(NODE, 50.0, 10.0, spoke_at=99.0, renewed_at=98.5, renewed=1), False),
        (Caller(NODE, 50.0, 10.0, spoke_at=99.0, renewed_at=98.0, renewed=1), True),
        (Caller(NODE, 50.0, 10.0, spoke_at=99.0, renewed_at=96.5, renewed=2), False),
        (Caller(NODE, 50.0, 10.0, spoke_at=99.0, renewed_at=96.0, renewed=2), True),
        (Caller(NODE, None, 10.0, spoke_at=99.0, renewed_at=100.5 - LONGEST_PAUSE_S, renewed=50), False),
        (Caller(NODE, None, 10.0, spoke_at=99.0, renewed_at=100.0 - LONGEST_PAUSE_S, renewed=50), True),
    ],
)
def test_a_hub_forgets_what_it_knows_of_a_node_that_is_alive_but_silent_and_of_no_other(
    caller: Caller, chosen: bool
) -> None:
    assert choose_renewals([caller], 100.0) == ([NODE] if chosen else [])


def test_a_hub_takes_a_crowd_a_few_at_a_time_those_tried_least_first() -> None:
    tried = [Caller(WireGuardKey(f"tried-{i}"), None, 10.0, 99.0, 50.0, 1) for i in range(MOST_AT_ONCE)]
    fresh = [Caller(WireGuardKey(f"fresh-{i}"), None, 10.0, 99.0) for i in range(MOST_AT_ONCE - 1)]
    chosen = choose_renewals([*tried, *fresh], 100.0)
    assert chosen == [*(caller.key for caller in fresh), tried[0].key]


@pytest.mark.parametrize(
    ("heard_at", "flowed_at", "found"),
    [(97.0, 99.5, None), (97.0, None, 98.0), (97.0, 97.4, 98.0), (98.5, 99.5, 98.0)],
    ids=["packets arrive, echoes do not", "nothing arrives", "nothing has arrived for a while", "its echoes arrive"],
)
def test_silence_tells_nothing_against_a_path_by_which_packets_arrive_of_a_machine_that_echoes_nothing(
    heard_at: float, flowed_at: float | None, found: float | None
) -> None:
    assert find_path_silence(Silence(heard_at, flowed_at=flowed_at), 98.0, 100.0) == found


def test_an_agent_that_is_back_is_given_time_to_answer() -> None:
    away = count(count(ask(Silence(90.0, back_at=10.0), 98.0), Arrivals(98.6, 0)), Arrivals(99.0, 5000))
    assert find_path_silence(away, 98.0, 100.0) is None
    back = hear(away, 100.0)
    assert find_path_silence(back, 98.0, 100.1) == 100.0
    assert find_path_silence(hear(back, 102.0), 98.0, 102.0) == 100.0, "it is heard, and does not hear us"
    stayed = hear(ask(Silence(90.0, back_at=10.0), 98.0), 99.0)
    assert find_path_silence(stayed, 98.0, 100.0) == 98.0
