"""How long ago handshakes were, also across a clock that is set."""

import pytest

from spokewire.network.names import WireGuardKey
from spokewire.wireguard.ages import Ages

NODE, OTHER = WireGuardKey("node"), WireGuardKey("other")
WALL = 1_800_000_000


def test_an_age_grows_with_time_and_begins_anew_with_a_new_handshake() -> None:
    ages = Ages()
    ages.note({NODE: WALL - 100, OTHER: None}, WALL, 50.0)
    assert ages.age_s(NODE, 50.0) == 100.0
    assert ages.age_s(NODE, 60.0) == 110.0
    assert ages.age_s(OTHER, 60.0) is None
    ages.note({NODE: WALL + 9, OTHER: None}, WALL + 10, 60.0)
    assert ages.age_s(NODE, 61.0) == 2.0


@pytest.mark.parametrize("jump_s", [-3600, 3600])
def test_a_clock_that_is_set_changes_no_age(jump_s: int) -> None:
    ages = Ages()
    ages.note({NODE: WALL - 100}, WALL, 50.0)
    ages.note({NODE: WALL - 100}, WALL + 2 + jump_s, 52.0)
    assert ages.age_s(NODE, 52.0) == 102.0
    ages.note({NODE: WALL + 3 + jump_s}, WALL + 4 + jump_s, 54.0)
    assert ages.age_s(NODE, 54.0) == 1.0


@pytest.mark.parametrize(("told", "age_s"), [(WALL - 3599, 2.0), (WALL + 3601, 0.0), (WALL, 1.0)])
def test_a_handshake_around_the_moment_when_the_clock_was_set_happened_since_the_last_look(
    told: int, age_s: float
) -> None:
    ages = Ages()
    ages.note({NODE: None}, WALL - 1, 50.0)
    ages.note({NODE: told}, WALL + 1, 52.0)
    assert ages.age_s(NODE, 52.0) == age_s


def test_a_peer_that_is_gone_is_forgotten() -> None:
    ages = Ages()
    ages.note({NODE: WALL}, WALL, 50.0)
    ages.note({}, WALL + 1, 51.0)
    assert ages.age_s(NODE, 51.0) is None
