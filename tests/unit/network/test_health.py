"""From echoes to a state."""

import random

import pytest

from spokewire.network.health import Health, judge_echo, judge_node
from spokewire.network.probing import INTERVAL_S, Interest, Trail
from spokewire.network.status import PeerStatus, State
from tests.builders import make_peer


def play(script: str, rtt_s: float = 0.02) -> tuple[Trail, float]:
    """Send an echo each second: "." comes back, "x" does not. Return the trail, and half a second after the last."""
    trail, arrived = Trail(begins_at=0.0), 0
    for second, fate in enumerate(script):
        sequence = trail.send(float(second))
        if fate == ".":
            arrived += 1
            assert trail.answer(sequence, arrived, second + rtt_s)
    now = len(script) - 0.5
    trail.settle(now)
    return trail, now


def judge(script: str, before: State = State.CONNECTED, heard_at: float = 0.0) -> Health:
    trail, now = play(script)
    return judge_echo(trail, before, heard_at, now)


def test_until_the_first_answer_is_due_the_path_is_starting() -> None:
    assert judge("x", State.STARTING).state is State.STARTING


def test_a_path_that_never_answers_is_disconnected_and_says_for_how_long() -> None:
    health = judge("xxxxxxxxx", State.STARTING)
    assert health == Health(State.DISCONNECTED, "no echo has ever come back in 8 s")


def test_one_answer_makes_a_path_connected_at_once() -> None:
    assert judge(".", State.STARTING).state is State.CONNECTED


def test_a_path_that_falls_silent_is_disconnected_and_says_since_when() -> None:
    assert judge(".....xx").state is State.CONNECTED
    assert judge(".....xxxxx") == Health(State.DISCONNECTED, "no echo for 5 s")


def test_a_few_lost_echoes_in_a_row_are_no_silence() -> None:
    assert judge("." * 10 + "xxxx").state is State.CONNECTED


def test_a_silent_machine_that_is_still_heard_tells_the_direction() -> None:
    reason = judge(".....xxxxxx", heard_at=10.0).reason
    assert reason == "no echo for 6 s, although its own arrive here: packets are lost on the way out"


@pytest.mark.parametrize(
    ("script", "before", "state"),
    [
        ("." * 14 + "x" + "." * 5, State.CONNECTED, State.CONNECTED),
        (".x." * 20, State.CONNECTED, State.DEGRADED),
        ("." * 24 + "x." * 8 + "..", State.CONNECTED, State.CONNECTED),
        ("." * 24 + "x." * 8 + "..", State.DEGRADED, State.DEGRADED),
        ("." * 54 + "xx....", State.DEGRADED, State.CONNECTED),
        (".xxx.xx.xx.xx.x", State.CONNECTED, State.DEGRADED),
        ("..x.x...x...", State.CONNECTED, State.CONNECTED),
        ("x.", State.CONNECTED, State.CONNECTED),
    ],
)
def test_heavy_loss_degrades_and_what_lies_between_the_thresholds_changes_nothing(
    script: str, before: State, state: State
) -> None:
    trail, now = play(script + "...")
    assert judge_echo(trail, before, 0.0, now).state is state


def test_the_reason_says_how_heavy_the_loss_is_and_where_it_happens() -> None:
    trail, arrived = Trail(begins_at=0.0), 0
    for second in range(60):
        sequence = trail.send(float(second))
        if second % 3 != 1:
            arrived += 1
            trail.answer(sequence, arrived, second + 0.02)
    trail.settle(62.5)
    assert (
        judge_echo(trail, State.CONNECTED, 0.0, 62.5).reason == "33 % of the echoes are lost, nearly all on the way out"
    )


@pytest.mark.parametrize(
    ("loss", "worst", "seed"),
    [(0.01, State.CONNECTED, 1), (0.05, State.CONNECTED, 2), (0.2, State.DEGRADED, 3), (0.2, State.DEGRADED, 4)],
)
def test_ten_minutes_of_loss_each_way_neither_disconnect_falsely_nor_flap(loss: float, worst: State, seed: int) -> None:
    """The prober's own rhythm: once a second, four times a second while an answer is missing."""
    dice, trail, state, changes = random.Random(seed), Trail(begins_at=0.0), State.CONNECTED, 0
    now, due, asked, arrived, answers = 0.0, 0.0, 0.0, 0, list[tuple[float, int, int]]()
    while now < 600:
        while answers and answers[0][0] <= now:
            at, sequence, count = answers.pop(0)
            trail.answer(sequence, count, at)
        trail.settle(now)
        health = judge_echo(trail, state, now, now)
        if health.state is not state and now > 60:
            changes += 1
        state = health.state
        assert state in {State.CONNECTED, worst, State.STARTING}
        if now >= due or (trail.is_suspect(now) and now >= asked + INTERVAL_S[Interest.SUSPECT]):
            sequence = trail.send(now, extra=now < due)
            if dice.random() >= loss:
                arrived += 1
                if dice.random() >= loss:
                    answers.append((now + 0.03, sequence, arrived))
            due, asked = (now + INTERVAL_S[Interest.HUB] if now >= due else due), now
        now += 0.1
    assert state is worst
    assert changes <= 1


HUB = make_peer("hub-1")
LOSSY = make_peer("hub-1", State.DEGRADED)
DEAD = make_peer("hub-1", State.DISCONNECTED)
YOUNG = make_peer("hub-1", State.STARTING)
DEAD_2 = make_peer("hub-2", State.DISCONNECTED)
LOSSY_2 = make_peer("hub-2", State.DEGRADED)
YOUNG_2 = make_peer("hub-2", State.STARTING)
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
        ([HUB, DEAD_2], [], "", State.DEGRADED, "hub-2: hub-2 is disconnected"),
        ([HUB, DEAD_2], [], "", State.DEGRADED, "hub-2 is disconnected; echoes come back from hub-1"),
        ([HUB, DEAD_2], SILENT, "", State.DEGRADED, "hub-1 answers, but none of 2 peers does"),
        ([HUB, YOUNG_2], [], "", State.CONNECTED, "echoes come back from hub-1"),
        ([LOSSY, DEAD_2], [], "", State.DEGRADED, "hub-1: hub-1 is degraded; hub-2: hub-2 is disconnected"),
        ([HUB, LOSSY_2], [], "", State.DEGRADED, "hub-2: hub-2 is degraded; echoes come back from hub-1"),
        ([DEAD, DEAD_2], [], "", State.DISCONNECTED, "; hub-2: hub-2 is disconnected"),
        ([DEAD], [], "", State.DISCONNECTED, "hub-1: hub-1 is disconnected"),
        ([DEAD], [make_peer(), *SILENT], "", State.DEGRADED, "; echoes come back from 1 of 3 peers"),
        ([DEAD], SILENT, "", State.DISCONNECTED, "hub-1: hub-1 is disconnected"),
        ([YOUNG], [make_peer()], "", State.STARTING, "no echo has come back from a hub yet"),
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


def test_a_path_that_is_back_is_not_called_lossy_for_what_was_on_its_way_when_it_came_back() -> None:
    """As the prober does it: twice a second to a hub while there is traffic, and once a second when that is over."""
    trail, state, seen, now, lost = Trail(begins_at=0.0), State.STARTING, list[State](), 0.0, 0
    while now < 40:
        is_out, sequence = 10 <= now < 20, trail.send(now)
        lost += is_out
        if not is_out:
            assert trail.answer(sequence, sequence, now + 0.02)
            if state in (State.STARTING, State.DISCONNECTED):
                trail.forget_outage()
        state = judge_echo(trail, state, 0.0, now + 0.03).state
        if not seen or seen[-1] is not state:
            seen.append(state)
        now += 0.45 if now < 20 else 1.0
    assert seen == [State.CONNECTED, State.DISCONNECTED, State.CONNECTED]
    assert trail.losses(now, 60.0).loss_pct == pytest.approx(100.0 * lost / trail.sequence), (
        "the loss itself is told all the same"
    )
