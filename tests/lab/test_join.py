"""Machines that join by themselves: tokens good and bad, removal, overlaps, stock clients."""

import json
import sys
import time

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.stock import join_stock_client
from tests.lab.traffic import Traffic, connects
from tests.lab.world import COMMAND, Network, measured, nodes, wait_until

pytestmark = pytest.mark.lab

AGENT = [*COMMAND, "node", "run", "--state-dir", "/run/disk/agent"]
LOSS_LIMIT_S = 2.0
EXPIRED = """
import sys
from pathlib import Path
from spokewire.deploy.editor import load_spec
from spokewire.deploy.keeper import Keeper, make_token, mint
spec = load_spec(Path(sys.argv[1])); root = Keeper(Path(sys.argv[1])).load_key()
text, key = mint(spec, spec.find("node-1"), 99, root, days=-1)
print(make_token(root, text, key, [("https://203.0.113.1:443",)]))
"""


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    network = make_module_network(nodes(count=1))
    network.deploy()
    return network


def join(network: Network, machine: str, name: str) -> str:
    """Make a bare machine, mint a token, and start the agent with it; return the token."""
    network.run("lab", "add", machine)
    token = network.run("node", "token", name).out.strip()
    network.background(machine, *AGENT, env={"SPOKEWIRE_TOKEN": token})
    return token


def refused(network: Network, machine: str, token: str) -> str:
    """Run the agent with a token that it must refuse at once; return what it says."""
    outcome = network.exec(machine, "env", f"SPOKEWIRE_TOKEN={token}", *AGENT, expect=2, limit_s=30)
    assert token not in outcome.text
    return outcome.text


def own_status(network: Network, machine: str) -> dict[str, object]:
    """What the machine's own status server says; {} while there is none."""
    text = network.exec(machine, "curl", "-s", "-m", "2", "http://127.0.0.1:8000/status", expect=None).out
    loaded: dict[str, object] = json.loads(text) if text else {}
    return loaded


def test_a_bare_machine_joins_with_nothing_but_a_token_and_proves_its_traffic(network: Network) -> None:
    begun = time.monotonic()
    token = join(network, "bare-1", "laptop")
    network.wait_for_node("laptop", "connected")
    measured("bare machine to connected", time.monotonic() - begun)
    pairs = {(pair["from"], pair["to"]) for pair in network.prove()["pairs"]}
    assert pairs == {("laptop", "node-1"), ("node-1", "laptop")}
    key = network.public_key("bare-1")

    network.run("lab", "add", "bare-2")
    network.background("bare-2", *AGENT, env={"SPOKEWIRE_TOKEN": token})
    told = wait_until(
        lambda: "grant-in-use" in json.dumps(own_status(network, "bare-2")), 20, "the second machine is told"
    )
    assert told
    assert network.wait_for_node("laptop", "connected")["state"] == "connected"
    assert network.public_key("bare-1") == key
    network.prove()
    network.run("lab", "remove", "bare-2")


def test_a_damaged_expired_missing_or_misused_token_is_refused_in_plain_words_and_changes_nothing(
    network: Network,
) -> None:
    network.run("lab", "add", "bare-3")
    token = network.run("node", "token", "node-1").out.strip()
    middle = len(token) // 2
    damaged = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    expired = network.exec("bare-3", sys.executable, "-c", EXPIRED, str(network.spec)).out.strip()
    before = network.exec("bare-3", "ip", "-o", "link").out, network.exec("bare-3", "nft", "list", "ruleset").out
    assert "damaged" in refused(network, "bare-3", damaged)
    assert "damaged" in refused(network, "bare-3", "no-token-at-all")
    assert "expired" in refused(network, "bare-3", expired)
    missing = network.exec("bare-3", *AGENT, expect=2)
    assert "This machine has no token." in missing.text
    as_hub = [*COMMAND, "hub", "run", "--public-address", "203.0.113.99", "--state-dir", "/run/disk/agent"]
    wrong_role = network.exec("bare-3", "env", f"SPOKEWIRE_TOKEN={token}", *as_hub, expect=2)
    assert "The token is for a node, not for a hub." in wrong_role.text
    after = network.exec("bare-3", "ip", "-o", "link").out, network.exec("bare-3", "nft", "list", "ruleset").out
    assert after == before
    assert network.exec("bare-3", "find", "/run/disk/agent", "-type", "f", expect=None).out == ""


def test_a_removed_node_loses_access_everywhere_within_two_seconds_and_stays_out_after_a_hub_restart(
    network: Network,
) -> None:
    """The removed machine plays foul: its agent is gone and cannot take its tunnel down, only the others can shut it out."""
    token = join(network, "bare-4", "rogue")
    address = network.wait_for_node("rogue", "connected")["overlay_ip"]
    network.exec("bare-4", "pkill", "-KILL", "-f", "spokewire node run")
    to_hub = Traffic.begin_echo(network, "bare-4", address, "10.88.0.1")
    to_peer = Traffic.begin(network, "bare-4", "node-1", "10.88.0.11")
    to_hub.wait_for_answers(10, 20)
    to_peer.wait_for_answers(10, 20)
    network.run("node", "remove", "rogue")
    decided_at = network.status()["hubs"][0]["settings_version"] / 1000
    for name, traffic in (("hub", to_hub), ("peer", to_peer)):
        lost_s = traffic.answers()[-1] - decided_at
        assert lost_s > -1, f"traffic to the {name} ran until the removal"
        measured(f"removal to loss of the {name}", lost_s)
        assert lost_s < LOSS_LIMIT_S
    assert not connects(network, "bare-4", "10.88.0.11", 51821)
    assert "rogue" not in {node["name"] for node in network.status()["nodes"]}
    counts = len(to_hub.answers()), len(to_peer.answers())
    network.run("lab", "restart", "hub-1")
    wait_until(lambda: network.node("node-1").get("state") == "connected", 40, "the network is back")
    network.background("bare-4", *AGENT, env={"SPOKEWIRE_TOKEN": token})
    wait_until(
        lambda: "revoked" in json.dumps(own_status(network, "bare-4")), 20, "the agent is told that it is revoked"
    )
    assert (len(to_hub.answers()), len(to_peer.answers())) == counts
    assert "rogue" not in network.spec.read_text()


def test_an_honest_node_that_is_removed_says_so_itself(network: Network) -> None:
    join(network, "bare-5", "guest")
    network.wait_for_node("guest", "connected")
    network.run("node", "remove", "guest")
    told = "guest has been removed from the network"
    wait_until(lambda: told in str(own_status(network, "bare-5").get("reason")), 20, "it says so")
    status = own_status(network, "bare-5")
    assert status["state"] == "disconnected"
    assert not connects(network, "bare-5", "10.88.0.11", 51821)


def links_and_routes(network: Network, machine: str) -> tuple[list[str], list[str]]:
    """A machine's links by name (a new bridge changes its state by itself for a while), and its routes without theirs."""
    links = network.exec(machine, "ip", "-o", "link").out.splitlines()
    routes = network.exec(machine, "ip", "-o", "route").out.splitlines()
    return [line.split()[1] for line in links], [line.removesuffix("linkdown ").strip() for line in routes]


def test_a_machine_that_already_routes_the_overlays_addresses_refuses_to_join_and_changes_nothing(
    network: Network,
) -> None:
    network.run("lab", "add", "bare-6")
    network.exec("bare-6", "ip", "link", "add", "podman0", "type", "bridge")
    network.exec("bare-6", "ip", "link", "set", "podman0", "up")
    network.exec("bare-6", "ip", "route", "add", "10.88.0.0/16", "dev", "podman0")
    before = links_and_routes(network, "bare-6")
    token = network.run("node", "token", "clash").out.strip()
    network.background("bare-6", *AGENT, env={"SPOKEWIRE_TOKEN": token})
    wait_until(lambda: "address-overlap" in json.dumps(own_status(network, "bare-6")), 20, "the overlap is told")
    status = own_status(network, "bare-6")
    assert status["state"] == "disconnected"
    assert "10.88.0.0/16 on podman0" in str(status["reason"])
    assert links_and_routes(network, "bare-6") == before
    assert network.exec("bare-6", "nft", "list", "ruleset").out == ""


def test_a_stock_wireguard_client_reaches_a_node_with_the_exported_file(network: Network) -> None:
    exported = network.run("node", "export", "phone").out
    network.run("lab", "add", "bare-7", "--nat", "symmetric")
    join_stock_client(network, "bare-7", exported)
    begun = time.monotonic()
    wait_until(lambda: connects(network, "bare-7", "10.88.0.11", 51821), 20, "the client reaches the node")
    measured("stock client to its first TCP connection", time.monotonic() - begun)
    Traffic.begin(network, "bare-7", "node-1", "10.88.0.11").wait_for_answers(20, 20)
    phone = next(node for node in network.status()["nodes"] if node["name"] == "phone")
    assert "stock WireGuard client" in phone["reason"]
