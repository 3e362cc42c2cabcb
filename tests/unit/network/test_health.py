"""From echoes to a state. The window is driven as the probe drives it: one echo a second."""

import pytest

from spokewire.network.health import (
    ANSWER_TIMEOUT_S,
    LOSS_DEGRADED_PCT,
    LOSS_RECOVERED_PCT,
    SILENCE_S,
    EchoWindow,
    judge_echo,
    judge_node,
)
from spokewire.network.status import PeerStatus, State
from tests.builders import make_peer


def play(script: str, rtt_s: float = 0.02) -> tuple[EchoWindow, float]:
    """Send an echo each second: "." comes back, "x" is lost. Return the window, and the moment after the last one's time is up."""
    window = EchoWindow(started_at=0.0)
    for second, fate in enumerate(script):
        window.sent(second, float(second))
        if fate == ".":
            assert window.answered(second, second + rtt_s)
    return window, len(script) - 1 + 0.5


def test_until_the_first_answer_is_due_the_path_is_starting() -> None:
    window = EchoWindow(started_at=0.0)
    window.sent(1, 0.0)
    assert judge_echo(window, State.STARTING, 1.0).state is State.STARTING
    assert window.rtt_ms() is None
    assert window.loss_pct(1.0) is None
    assert window.last_answer_age_s(1.0) is None


def test_a_path_that_never_answers_is_disconnected_and_says_for_how_long() -> None:
    window, now = play("xxxxxxxxx")
    health = judge_echo(window, State.STARTING, now)
    assert health.state is State.DISCONNECTED
    assert health.reason == "no echo has ever come back in 8 s"


def test_one_answer_makes_a_path_connected_at_once() -> None:
    window, now = play(".")
    assert judge_echo(window, State.STARTING, now).state is State.CONNECTED


def test_echoes_that_were_lost_before_the_path_came_up_are_no_loss_of_it() -> None:
    window, now = play("xxxxxxxx...")
    assert window.loss_pct(now) == 0.0
    assert judge_echo(window, State.DISCONNECTED, now).state is State.CONNECTED


def test_a_path_that_falls_silent_is_disconnected_after_three_and_a_half_seconds_and_not_before() -> None:
    window, _ = play("..........")
    answered_at = 9.02
    assert judge_echo(window, State.CONNECTED, answered_at + SILENCE_S - 0.01).state is State.CONNECTED
    health = judge_echo(window, State.CONNECTED, answered_at + SILENCE_S + 0.51)
    assert health.state is State.DISCONNECTED
    assert health.reason == "no echo for 4 s"


def test_a_path_that_comes_back_is_connected_with_its_first_answer_and_the_outage_is_no_loss() -> None:
    window, now = play("........xxxxxxx.")
    assert judge_echo(window, State.DISCONNECTED, now).state is State.CONNECTED
    assert window.loss_pct(now) == 0.0


def test_one_lost_echo_on_a_long_lived_path_changes_nothing() -> None:
    window, _ = play("." * 14 + "x" + "." * 5)
    assert judge_echo(window, State.CONNECTED, 19.5).state is State.CONNECTED


def test_heavy_loss_degrades_a_path_and_says_how_heavy() -> None:
    window, now = play(".x." * 8)
    loss = window.loss_pct(now)
    assert loss is not None
    assert loss >= 25.0
    health = judge_echo(window, State.CONNECTED, now)
    assert health.state is State.DEGRADED
    assert health.reason == f"{loss:.0f} % of the echoes are lost"


def test_loss_between_the_two_thresholds_changes_nothing() -> None:
    window, now = play("." * 10 + "x" + "." * 3)
    loss = window.loss_pct(now)
    assert loss is not None
    assert LOSS_RECOVERED_PCT < loss <= LOSS_DEGRADED_PCT
    assert judge_echo(window, State.CONNECTED, now).state is State.CONNECTED
    assert judge_echo(window, State.DEGRADED, now).state is State.DEGRADED


def test_a_path_recovers_when_the_loss_has_left_the_window() -> None:
    window, now = play("xx.x." + "." * 13)
    assert window.loss_pct(now) == 0.0
    assert judge_echo(window, State.DEGRADED, now).state is State.CONNECTED


def test_an_answer_counts_once_and_only_in_time() -> None:
    window = EchoWindow(started_at=0.0)
    window.sent(1, 0.0)
    window.sent(2, 1.0)
    assert window.answered(1, 0.05)
    assert not window.answered(1, 0.06)
    assert not window.answered(7, 0.06)
    assert not window.answered(2, 1.0 + ANSWER_TIMEOUT_S + 0.01)
    assert window.rtt_ms() == pytest.approx(50.0)
    assert window.loss_pct(3.5) == 50.0


def test_an_echo_still_on_its_way_is_not_called_lost() -> None:
    window, _ = play("....x")
    assert window.loss_pct(4.0 + ANSWER_TIMEOUT_S) == 0.0
    assert window.loss_pct(4.0 + ANSWER_TIMEOUT_S + 0.1) == 20.0


def test_the_round_trip_is_a_median_so_one_slow_echo_does_not_show() -> None:
    window = EchoWindow(started_at=0.0)
    for second, rtt in enumerate((0.010, 0.020, 1.5)):
        window.sent(second, float(second))
        window.answered(second, second + rtt)
    assert window.rtt_ms() == pytest.approx(20.0)


def test_the_window_forgets_so_that_it_never_grows() -> None:
    window, _ = play("." * 500)
    assert len(window.samples) <= 13


HUB = make_peer("hub-1")
LOSSY = make_peer("hub-1", State.DEGRADED)
DEAD = make_peer("hub-1", State.DISCONNECTED)
YOUNG = make_peer("hub-1", State.STARTING)
SILENT = [make_peer("node-2", State.DISCONNECTED), make_peer("node-3", State.DISCONNECTED)]


@pytest.mark.parametrize(
    ("hubs", "peers", "blocking", "state", "words"),
    [
        ([HUB], [], "", State.CONNECTED, "echoes come back from hub-1"),
        ([HUB], [make_peer()], "", State.CONNECTED, "echoes come back from hub-1"),
        ([HUB], SILENT[:1], "", State.CONNECTED, "echoes come back"),
        ([HUB], [SILENT[0], make_peer("node-3")], "", State.CONNECTED, "echoes come back"),
        ([HUB], SILENT, "", State.DEGRADED, "the hub answers, but none of 2 peers does"),
        ([LOSSY], [], "", State.DEGRADED, "hub-1: hub-1 is degraded"),
        ([HUB, make_peer("hub-2", State.DISCONNECTED)], [], "", State.DEGRADED, "hub-2: hub-2 is disconnected"),
        ([DEAD], [], "", State.DISCONNECTED, "hub-1: hub-1 is disconnected"),
        ([YOUNG], [], "", State.STARTING, "no echo has come back from a hub yet"),
        ([YOUNG, DEAD], [], "", State.DISCONNECTED, "hub-1 is disconnected"),
        ([], [], "", State.STARTING, "no hub is known yet"),
        ([HUB], [], "there is no /dev/net/tun", State.CONNECTED, "echoes come back from hub-1"),
        ([DEAD], [], "there is no /dev/net/tun", State.DISCONNECTED, "there is no /dev/net/tun"),
        ([], [], "there is no /dev/net/tun", State.DISCONNECTED, "there is no /dev/net/tun"),
    ],
)
def test_a_node_is_as_well_as_its_hubs_and_says_why(
    hubs: list[PeerStatus], peers: list[PeerStatus], blocking: str, state: State, words: str
) -> None:
    health = judge_node(hubs, peers, blocking)
    assert health.state is state
    assert words in health.reason
