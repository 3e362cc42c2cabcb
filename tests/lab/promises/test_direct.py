"""Direct paths: which pairs of NATs let them be, by what the nodes say and by what passes the hub."""

import time

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.promises.pulse import Pulse, answer
from tests.lab.world import Network, nodes

pytestmark = [pytest.mark.lab, pytest.mark.promise]


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    made = make_module_network(
        nodes("open-1", nat="none"),
        nodes("cone-1", nat="full-cone"),
        nodes("port-1"),
        nodes("port-2"),
        nodes("sym-1", nat="symmetric"),
    )
    made.spec.write_text(made.spec.read_text().replace("[network]\n", "[network]\ndirect = true\n"))
    made.deploy()
    answer(made, "open-1", "cone-1", "port-1", "port-2", "sym-1")
    return made


def test_x(network: Network) -> None:
    status = network.status()
    address = {node["name"]: node["overlay_ip"] for node in status["nodes"]}
    pulse = Pulse(network, "port-1", {n: a for n, a in address.items() if n != "port-1"})
    pulse.wait_for_flow()
    time.sleep(20)
    for node in network.status()["nodes"]:
        print(node["name"], [(p["name"], p["path"], p["path_reason"]) for p in node["peers"]])
    for name in address:
        print(name)
        for line in network.run("lab", "logs", name).out.splitlines():
            if "path" in line or "roamed" in line or "warning" in line or "error" in line:
                print("   ", line[:300])
    print({n: pulse.longest_gap_s(n, 0) for n in address if n != "port-1"})
