"""What a node tells of a hub whose API it does not reach."""

import pytest

from spokewire.errors import Code, SpokewireError, TemporaryError
from spokewire.node.sync import UNREACHABLE_S, tell_lasting

AWAY = TemporaryError(Code.API_UNREACHABLE, "The API of hub-1 does not answer.")
LATE = TemporaryError(Code.TIMEOUT, "hub-1 did not answer in time.")
REFUSED = TemporaryError(Code.CLOCK_SKEW, "The clock is wrong.")


def tell(*events: tuple[float, SpokewireError | None]) -> list[Code | None]:
    """What is told of errors (None: it works) that happen at these instants."""
    told: list[Code | None] = []
    instants = [0.0]

    def report(error: SpokewireError | None) -> None:
        told.append(None if error is None else error.code)

    lasting = tell_lasting(report, lambda: instants[-1])
    for at, error in events:
        instants.append(at)
        lasting(error)
    return told


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([(0.0, AWAY), (UNREACHABLE_S - 0.1, AWAY), (UNREACHABLE_S - 0.05, None)], [None]),
        ([(0.0, AWAY), (UNREACHABLE_S, AWAY)], [Code.API_UNREACHABLE]),
        ([(0.0, AWAY), (UNREACHABLE_S, LATE)], [Code.TIMEOUT]),
        ([(0.0, AWAY), (1.0, None), (UNREACHABLE_S, AWAY)], [None]),
        ([(0.0, AWAY), (1.0, REFUSED), (UNREACHABLE_S, AWAY)], [Code.CLOCK_SKEW]),
        ([(0.0, REFUSED)], [Code.CLOCK_SKEW]),
    ],
)
def test_a_hub_that_is_out_of_reach_for_a_moment_is_no_issue(
    events: list[tuple[float, SpokewireError | None]], told: list[Code | None]
) -> None:
    assert tell(*events) == told
