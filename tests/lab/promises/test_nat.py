"""A router that forgets a node, or gives it another port or address: its traffic flows again, whoever speaks first."""

import time
from itertools import pairwise

import pytest

from tests.lab import breakage
from tests.lab.conftest import MakeNetwork
from tests.lab.promises.promise import ROUNDS, Promise, Record, keep
from tests.lab.promises.pulse import HUB, Pulse, answer
from tests.lab.world import Network, nodes

pytestmark = [pytest.mark.lab, pytest.mark.promise]

LIMIT_S = 3.0
WATCH_S = 3.5
CONE, SYMMETRIC, STILL = "node-1", "node-2", "node-3"
ADDRESS = {CONE: "10.88.0.11", SYMMETRIC: "10.88.0.12", STILL: "10.88.0.13", HUB: "10.88.0.1"}
OTHER_ADDRESSES = tuple(f"203.0.113.{number}" for number in range(200, 220))


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    made = make_module_network(nodes(CONE), nodes(SYMMETRIC, nat="symmetric"), nodes(STILL))
    made.deploy()
    answer(made, CONE, SYMMETRIC, STILL)
    return made


def measure(network: Network, mover: str, places: list[str]) -> list[float]:
    """Renew the mover's router, from one address to the next; how long until traffic flowed for good, in the slowest direction.

    First only the others speak to the mover, which does not answer before it is heard of again; then the mover speaks too.
    """
    figures, home = [], places[0]
    back = Pulse(network, STILL, {mover: ADDRESS[mover]})
    for has_own_traffic in (False, True):
        there = Pulse(network, mover, {STILL: ADDRESS[STILL], HUB: ADDRESS[HUB]}) if has_own_traffic else None
        for before, after in pairwise(places):
            back.wait_for_flow()
            since = time.time()
            breakage.renew_router(network, home, before, after)
            found = [back.measure(mover, since, WATCH_S)]
            found += [there.measure(name, since, WATCH_S) for name in (STILL, HUB)] if there is not None else []
            figures.append(max(found))
        places.reverse()
    return figures


@pytest.mark.parametrize(
    ("mover", "what", "moves"),
    [
        (CONE, "NAT forgets the mapping", False),
        (SYMMETRIC, "NAT forgets the mapping and gives another port", False),
        (CONE, "NAT gets another address", True),
    ],
    ids=["forgets", "new port", "new address"],
)
def test_a_node_whose_router_is_renewed_is_heard_again(
    network: Network, record_property: Record, mover: str, what: str, moves: bool
) -> None:
    home = breakage.public_address(network, mover)
    places = [home, *OTHER_ADDRESSES[:ROUNDS]] if moves else [home] * (ROUNDS + 1)
    keep(record_property, Promise(what, LIMIT_S), measure(network, mover, places))
