"""Who calls first, and when silence is answered with a new handshake."""

import pytest

from spokewire.network.handshakes import (
    LONGEST_PAUSE_S,
    MOST_AT_ONCE,
    Caller,
    Peer,
    Silence,
    ask,
    calls_first,
    choose_handshakes,
    choose_renewals,
    hear,
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
