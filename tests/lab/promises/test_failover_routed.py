"""Two hubs in routed mode: each node's packets go through one of them, the same for all."""

import time

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.promises.failover import ADDRESS, black_hole, mend
from tests.lab.promises.promise import Promise, Record, keep
from tests.lab.promises.pulse import Pulse, answer
from tests.lab.world import Network, hub, nodes, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.promise, pytest.mark.long]

IN_USE_S = 2.0
WATCH_S = 4.0


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    made = make_module_network(hub("hub-2"), nodes(count=3))
    made.spec.write_text(made.spec.read_text().replace('"sealed"', '"routed"'))
    made.deploy()
    answer(made, *ADDRESS)
    wait_until(lambda: made.status()["state"] == "connected", 40, "all is connected")
    return made


@pytest.fixture(scope="module")
def in_use(network: Network) -> Pulse:
    pulse = Pulse(network, "node-1", {name: ADDRESS[name] for name in ("node-2", "node-3")})
    pulse.wait_for_flow()
    return pulse


@pytest.mark.parametrize("victim", ["hub-1", "hub-2"])
def test_all_pairs_go_on_through_the_other_hub(
    network: Network, in_use: Pulse, record_property: Record, victim: str
) -> None:
    in_use.wait_for_flow()
    since = time.time()
    black_hole(network, victim)
    figures = [in_use.measure(name, since, WATCH_S) for name in ("node-2", "node-3")]
    network.prove()
    mend(network, victim)
    wait_until(lambda: network.status()["state"] == "connected", 40, f"{victim} is back")
    keep(record_property, Promise(f"{victim} of two black-holed, routed, pairs in use", IN_USE_S), figures)
