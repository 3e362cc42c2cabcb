import pytest

from spokewire.network.active import TOGETHER_S, choose_active
from spokewire.network.documents import HubPolicy
from spokewire.network.names import MachineName
from spokewire.network.paths import HOLD_S, Leg, Path, Way

NOW = 1000.0
ONE, TWO = MachineName("hub-1"), MachineName("hub-2")
OWN = Leg(0.0, 0.0, 0.0)
USUAL = HubPolicy()


def way(hub: str, rank: float, alive_s: float | None, policy: HubPolicy = USUAL, loss_pct: float = 0.0) -> Way:
    """A hub that has answered for so long."""
    since = None if alive_s is None else NOW - alive_s
    return Way(MachineName(hub), rank, Leg(since, loss_pct, 1.0), OWN, policy)


@pytest.mark.parametrize(
    ("first", "second", "active", "wanted"),
    [
        pytest.param(way(ONE, 9, 100), way(TWO, 5, 100), ONE, ONE, id="the common one"),
        pytest.param(way(ONE, 9, 100), way(TWO, 5, 100), TWO, ONE, id="the common one, though another was active"),
        pytest.param(
            way(ONE, 9, 1), way(TWO, 5, 1 + TOGETHER_S), TWO, ONE, id="at the start, whichever was heard first"
        ),
        pytest.param(way(ONE, 9, None), way(TWO, 5, 1), ONE, TWO, id="the other, at once when one is silent"),
        pytest.param(way(ONE, 9, 1), way(TWO, 5, 100), TWO, TWO, id="not back to one that has only just come back"),
        pytest.param(way(ONE, 9, HOLD_S), way(TWO, 5, 100), TWO, ONE, id="back when it has answered for a while"),
        pytest.param(way(ONE, 9, None), way(TWO, 5, None), ONE, ONE, id="none answers: stay"),
        pytest.param(
            way(ONE, 9, 100, HubPolicy(drain=True)), way(TWO, 5, 100), ONE, TWO, id="away from one that drains"
        ),
        pytest.param(way(ONE, 9, 100, HubPolicy(weight=0)), way(TWO, 5, 100), ONE, TWO, id="away from a standby"),
        pytest.param(
            way(ONE, 9, 100, HubPolicy(drain=True)),
            way(TWO, 5, None),
            ONE,
            ONE,
            id="a draining one is better than none",
        ),
        pytest.param(
            way(ONE, 9, 100, loss_pct=30.0),
            way(TWO, 5, 100),
            ONE,
            ONE,
            id="loss on one's own line is no reason to go alone",
        ),
        pytest.param(way(ONE, 9, 100), way(TWO, 5, 100), "hub-3", ONE, id="away from one that is no hub any more"),
    ],
)
def test_the_active_hub_is(first: Way, second: Way, active: str, wanted: str) -> None:
    path = Path(MachineName(active), 0.0, "before")
    for ways in ([first, second], [second, first]):
        chosen = choose_active(ways, path, NOW)
        assert chosen.hub == wanted
        assert chosen.since == (0.0 if wanted == active else NOW)


def test_every_move_tells_why() -> None:
    path = Path(ONE, 0.0, "before")
    moves = {
        "hub-1 is silent here": [way(ONE, 9, None), way(TWO, 5, 1)],
        "hub-1 drains": [way(ONE, 9, 100, HubPolicy(drain=True)), way(TWO, 5, 100)],
        "hub-1 is a standby": [way(ONE, 9, 100, HubPolicy(weight=0)), way(TWO, 5, 100)],
        "hub-1 is no hub of the network any more": [way(TWO, 5, 100)],
        "hub-2 is the one that all nodes of a routed network use": [way(ONE, 1, 100), way(TWO, 5, 100)],
    }
    assert {reason: choose_active(ways, path, NOW).reason for reason, ways in moves.items()} == {
        reason: reason for reason in moves
    }
