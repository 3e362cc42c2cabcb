"""`spokewire doctor --network` in front of three faults at once: it names each, in order, and nothing of what they cause."""

import time
from typing import Any

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.world import Network, measured, nodes, wait_until

pytestmark = pytest.mark.lab

NO_API = "add table inet broken; add chain inet broken in { type filter hook input priority -300; }; add rule inet broken in tcp dport 443 drop"


FAULTS = [("hub-api-away", ["hub-1"]), ("agent-dead", ["node-1"]), ("agent-hangs", ["node-2"])]


def doctor(network: Network) -> tuple[int, list[dict[str, Any]]]:
    told = network.run("doctor", "--network", "--json", expect=None)
    for finding in told.data["findings"]:
        print(f"{finding['kind']}: {finding['what']} {finding['evidence']}")
    return told.status, told.data["findings"]


def kinds(network: Network) -> list[tuple[str, list[str]]]:
    return [(finding["kind"], finding["machines"]) for finding in doctor(network)[1]]


def test_three_faults_at_once_are_named_in_order_with_their_causes_and_gone_when_they_are_cured(
    make_network: MakeNetwork,
) -> None:
    network = make_network(nodes(count=3))
    network.deploy()
    wait_until(lambda: doctor(network) == (0, []), 20, "nothing is wrong with a network that has just been deployed")

    network.signal_daemon("node-1", "KILL")
    network.signal_daemon("node-2", "STOP")
    network.exec("node-2", "ip", "link", "del", "wg-demo")
    network.exec("hub-1", "nft", NO_API)
    begun = time.monotonic()
    wait_until(lambda: kinds(network) == FAULTS, 60, "the doctor names the three faults and nothing else")
    measured("three faults to a diagnosis that is whole", time.monotonic() - begun)

    def tried() -> Any:
        status, findings = doctor(network)
        assert status == 3, "node-3 still works"
        told = [text for finding in findings for text in finding["tried"] if "node-3 tried with node-1" in text]
        return findings if any("a new handshake, which did not help" in text for text in told) else None

    hub, dead, hung = wait_until(tried, 60, "it tells what node-3 tried by itself")
    shown = network.run("doctor", "--network", expect=3)
    print(shown.text)
    measured("one examination while the hub's API is away", shown.seconds)
    assert "Its echoes come back to node-3." in hub["evidence"]
    assert any("node-3" in text for text in hub["explains"])
    assert "Its machine answers, but nothing listens on its status port." in dead["evidence"]
    assert dead["explains"][0] == "node-1 and node-3 do not reach each other."
    assert "spokewire lab restart node-1" in dead["todo"]
    assert "node-2 and node-3 do not reach each other." in hung["explains"]
    now = time.time()
    for finding in (hub, dead, hung):
        assert now - 90 < finding["since"] < now, finding

    network.exec("hub-1", "nft", "delete table inet broken")
    for name in ("node-1", "node-2"):
        network.run("lab", "restart", name)
    wait_until(lambda: doctor(network) == (0, []), 40, "nothing is wrong when all is cured")
