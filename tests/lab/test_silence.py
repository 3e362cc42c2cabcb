"""What makes a tunnel silent though the machine is well: devices that hang, routes that are gone or that others set. Each is cured or named."""

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab import breakage
from tests.lab.conftest import MakeNetwork
from tests.lab.world import Network, measured, nodes, wait_until
from tests.soak.programs import TRAFFIC

pytestmark = pytest.mark.lab

HUB, PEER = "10.88.0.1", "10.88.0.12"
DEAF_LIMIT_S = 20.0
"""Two questions that a device may take three seconds each to answer, the looks between them, and a new device."""
ROUTE_LIMIT_S = 2.0
NAMED_LIMIT_S = 12.0
CUT = "table inet cut { chain o { type filter hook output priority 0; udp dport 51820 drop; }; chain i { type filter hook input priority 0; udp sport 51820 drop; }; }"
NAME, OLD, NEW = "hub.test", "203.0.113.1", "203.0.113.201"
NAMED = "echo '{address} hub.test' > /run/hosts; mountpoint -q /etc/hosts || mount -n --bind /run/hosts /etc/hosts"
RECORDS = """
import base64, json, sys
for text in json.load(open(sys.argv[1])):
    print(base64.urlsafe_b64decode(text.split(".")[1] + "=="))
"""
"""What the documents of a roster file say."""


class Talk:
    """Questions from node-1 to its hub and to its peer, ten times a second, until the network is removed."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def answers(self, name: str) -> list[float]:
        """When answers came, in seconds since 1970."""
        lines = self._log.read_text().rpartition("\n")[0].splitlines()
        return [at for line in lines for at in json.loads(line)["answers"].get(name, [])]

    def find_gap_s(self, name: str, since: float) -> float:
        """The longest time without an answer since a moment, once answers flow again."""
        wait_until(lambda: self._flows(name, since), 40, f"answers from {name} flow again")
        times = [at for at in self.answers(name) if at > since - 1]
        return max(after - before for before, after in itertools.pairwise([min(since, times[0]), *times]))

    def _flows(self, name: str, since: float) -> bool:
        times = self.answers(name)[-10:]
        return len(times) == 10 and times[0] > since + 2 and times[-1] - times[0] < 2


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    network = make_module_network(nodes(count=2))
    network.deploy()
    return network


@pytest.fixture(scope="module")
def talk(network: Network) -> Talk:
    network.script("node-2", TRAFFIC, "{}", "{}")
    talk = Talk(network.script("node-1", TRAFFIC, json.dumps({"node-2": PEER}), json.dumps({"hub-1": HUB})))
    wait_until(lambda: min(len(talk.answers(name)) for name in ("hub-1", "node-2")) > 20, 20, "answers come")
    return talk


def own_status(network: Network, machine: str) -> Any:
    """What the machine's own status server says."""
    return json.loads(network.exec(machine, "curl", "-s", "-m", "2", "http://127.0.0.1:8000/status").out)


def codes(network: Network, machine: str) -> dict[str, str]:
    """A machine's own issues: text by code."""
    return {issue["code"]: issue["text"] for issue in own_status(network, machine)["issues"]}


def is_well(network: Network) -> Callable[[], bool]:
    return lambda: own_status(network, "node-1")["state"] == "connected" and not codes(network, "node-1")


def test_a_device_that_is_alive_but_deaf_is_made_anew_and_that_is_told(network: Network, talk: Talk) -> None:
    device = network.exec("node-1", "pgrep", "-f", "-x", "wireguard-go -f wg-demo").out.strip()
    begun = time.time()
    network.exec("node-1", "kill", "-STOP", device)
    gap_s = talk.find_gap_s("node-2", begun)
    measured("wireguard-go stopped for ever: until traffic flows", gap_s)
    assert gap_s <= DEAF_LIMIT_S
    assert network.exec("node-1", "pgrep", "-f", "-x", "wireguard-go -f wg-demo").out.strip() != device
    wait_until(is_well(network), 20, "node-1 is well")
    assert "device-deaf" in [fix["code"] for fix in own_status(network, "node-1")["fixes"]]


def test_our_route_is_set_again_when_somebody_removes_it(network: Network, talk: Talk) -> None:
    begun = time.time()
    network.exec("node-1", "ip", "route", "del", "10.88.0.0/24")
    gap_s = talk.find_gap_s("node-2", begun)
    measured("our route removed: without an answer", gap_s)
    assert gap_s <= ROUTE_LIMIT_S
    assert "dev wg-demo" in network.exec("node-1", "ip", "route", "show", "10.88.0.0/24").out


def test_a_route_that_leads_nowhere_is_named_for_as_long_as_it_is_there(network: Network, talk: Talk) -> None:
    begun, route = time.monotonic(), ("blackhole", f"{PEER}/32")
    network.exec("node-1", "ip", "route", "add", *route)
    text = wait_until(lambda: codes(network, "node-1").get("route-diverted"), 30, "node-1 names the route")
    measured("route that leads nowhere: until it is named", time.monotonic() - begun)
    assert time.monotonic() - begun <= NAMED_LIMIT_S
    assert "node-2 (10.88.0.12) to a blackhole instead of wg-demo" in text
    network.exec("node-1", "ip", "route", "del", *route)
    wait_until(is_well(network), 20, "it is forgotten")


def test_a_tunnel_that_stays_silent_is_tried_with_ever_stronger_means_and_then_told_with_what_was_tried(
    network: Network, talk: Talk
) -> None:
    def look() -> Any:
        found = [issue for issue in own_status(network, "node-1")["issues"] if issue["code"] == "tunnel-silent"]
        return found[0] if found and len(found[0]["tried"]) > 1 else None

    begun, since = time.monotonic(), time.time()
    network.exec("node-1", "nft", CUT)
    issue = wait_until(look, 60, "what was tried is told")
    measured("UDP shut off: until it is told with what was tried", time.monotonic() - begun)
    assert "Nothing comes through the tunnel from hub-1." in issue["text"]
    assert "let UDP 51820 to it through" in issue["hint"]
    assert "new handshakes with hub-1" in issue["tried"][0]
    assert "the interface made anew, 1 of at most 3 times an hour" in issue["tried"][1]
    network.exec("node-1", "nft", "delete table inet cut")
    mended = time.monotonic()
    wait_until(is_well(network), 30, "node-1 is well, and nothing is left of the issue")
    measured("UDP let through again: until all is well", time.monotonic() - mended)
    assert talk.find_gap_s("node-2", since) > 5, "it was cut indeed"


def knows_name(network: Network, machine: str) -> bool:
    return f"{NAME}:51820" in network.python(machine, RECORDS, "/run/disk/spokewire/demo/roster.json").out


def test_a_hub_that_moves_to_another_address_is_found_by_its_name(network: Network, talk: Talk) -> None:
    """The last test: the network's hub is somewhere else afterwards. The record says a name; the name's address is what changes."""
    everybody = ("node-1", "node-2")
    for machine in everybody:
        network.exec(machine, "sh", "-c", NAMED.format(address=OLD))
    network.exec(
        "hub-1", "sed", "-i", f"s/SPOKEWIRE_PUBLIC_ADDRESS={OLD}/SPOKEWIRE_PUBLIC_ADDRESS={NAME}/", "/run/disk/boot"
    )
    assert NAME in network.exec("hub-1", "cat", "/run/disk/boot").out
    breakage.kill_daemon(network, "hub-1")
    breakage.start_daemon(network, "hub-1")
    wait_until(
        lambda: all(knows_name(network, machine) for machine in everybody), 30, "the record with the name is known"
    )
    begun = time.time()
    for words in (("addr", "del", f"{OLD}/24", "dev", "eth0"), ("addr", "add", f"{NEW}/24", "dev", "eth0")):
        network.exec("hub-1", "ip", *words)
    network.exec("hub-1", "ip", "route", "replace", "default", "via", "203.0.113.254")
    for machine in everybody:
        network.exec(machine, "sh", "-c", NAMED.format(address=NEW))
    for name in ("hub-1", "node-2"):
        measured(f"the hub moved: without an answer from {name}", talk.find_gap_s(name, begun))
    endpoints = network.exec("node-1", "wg", "show", "wg-demo", "endpoints").out.split()[1::2]
    assert set(endpoints) == {f"{NEW}:51820"}
