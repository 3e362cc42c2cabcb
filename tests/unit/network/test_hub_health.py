"""From the echoes of its nodes to the state of a hub."""

import pytest

from spokewire.network.health import Guest, Health, judge_hub
from spokewire.network.status import State

HEARD = Guest("node-1", known_s=100.0, echo_age_s=0.5, follows_s=90.0)
LATE = Guest("node-2", known_s=100.0, echo_age_s=5.0, follows_s=None)
SILENT = Guest("node-3", known_s=100.0, echo_age_s=5.1, follows_s=5.0)
MUTE = Guest("node-4", known_s=100.0, echo_age_s=None, follows_s=50.0)
BACK = Guest("node-5", known_s=100.0, echo_age_s=60.0, follows_s=4.9)
AWAY = Guest("node-6", known_s=100.0, echo_age_s=60.0, follows_s=None)
NEW = Guest("node-7", known_s=4.9, echo_age_s=None, follows_s=4.0)
BLOCKED = "nftables refuses."


@pytest.mark.parametrize(
    ("guests", "blocking", "health"),
    [
        ([], "", Health(State.CONNECTED, "ready to relay: no node with an agent has joined yet")),
        ([], BLOCKED, Health(State.DISCONNECTED, BLOCKED)),
        ([HEARD], "", Health(State.CONNECTED, "relaying")),
        ([HEARD, LATE, SILENT], "", Health(State.CONNECTED, "relaying: echoes come from 2 of 3 nodes")),
        ([HEARD], BLOCKED, Health(State.DEGRADED, f"{BLOCKED} It is still relaying")),
        ([SILENT], BLOCKED, Health(State.DISCONNECTED, BLOCKED)),
        ([NEW], BLOCKED, Health(State.DISCONNECTED, BLOCKED)),
        ([SILENT], "", Health(State.DEGRADED, "no echo comes through the tunnel, though node-3 follows its API")),
        (
            [SILENT, MUTE, BACK, NEW],
            "",
            Health(State.DEGRADED, "no echo comes through the tunnel, though 2 nodes follow its API"),
        ),
        (
            [AWAY],
            "",
            Health(State.DEGRADED, "nothing is heard of node-6, which may be switched off; or this hub is cut off"),
        ),
        (
            [AWAY, BACK, NEW],
            "",
            Health(
                State.DEGRADED, "nothing is heard of any of 3 nodes, which may be switched off; or this hub is cut off"
            ),
        ),
    ],
)
def test_a_hub_is_well_when_echoes_come_and_otherwise_says_what_is_missing(
    guests: list[Guest], blocking: str, health: Health
) -> None:
    assert judge_hub(guests, State.CONNECTED, blocking) == health


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (State.STARTING, State.STARTING),
        (State.CONNECTED, State.CONNECTED),
        (State.DEGRADED, State.STARTING),
    ],
)
def test_a_node_that_has_just_come_does_not_make_its_hub_ill(before: State, after: State) -> None:
    assert judge_hub([NEW], before, "") == Health(after, "no echo has come from a node yet")
