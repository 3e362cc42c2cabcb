"""Deploying, deploying again, growing and shrinking, as a user does it with one spec."""

import time

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.leftovers import look
from tests.lab.world import Network, measured, nodes

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    """Deployed with three nodes once; each test sets the count that it begins with."""
    network = make_module_network(nodes(count=3))
    network.deploy()
    return network


def identities(network: Network, *machines: str) -> dict[str, tuple[str, str]]:
    """WireGuard key and daemon of each machine: what must not change if a machine is not touched."""
    return {name: network.identity(name) for name in machines}


def test_a_dry_run_before_the_first_deploy_prints_the_plan_and_touches_nothing(make_network: MakeNetwork) -> None:
    network = make_network(nodes(count=3))
    before = look(network)
    outcome = network.deploy("--dry-run")
    measured("dry run", outcome.seconds)
    for name in ("hub-1", "node-1", "node-2", "node-3"):
        assert any(line.split()[:2] == ["create", name] for line in outcome.out.splitlines()), outcome.out
    assert look(network) == before
    assert network.processes() == {}


def test_the_first_deploy_prints_its_plan_and_its_progress_and_ends_with_every_machine_proven(
    make_network: MakeNetwork,
) -> None:
    network = make_network(nodes(count=3))
    begun = time.monotonic()
    outcome = network.deploy()
    measured("deploy of three nodes", outcome.seconds)
    for name in ("hub-1", "node-1", "node-2", "node-3"):
        assert any(line.split()[:2] == ["create", name] for line in outcome.out.splitlines()), outcome.out
        assert f"{name}: making the machine" in outcome.err
        assert f"{name}: ready" in outcome.err
    assert "4 of 4 machines are ready." in outcome.out
    proof = network.prove()
    measured("deploy to proof", time.monotonic() - begun)
    assert {(pair["from"], pair["to"]) for pair in proof["pairs"]} == {
        (f"node-{a}", f"node-{b}") for a in (1, 2, 3) for b in (1, 2, 3) if a != b
    }
    bad = [
        pair for pair in proof["pairs"] if not (pair["tcp_ok"] and pair["checksum_ok"] and pair["udp_loss_pct"] == 0)
    ]
    assert bad == []
    assert network.status()["state"] == "connected"


def test_deploying_again_changes_nothing_and_says_so(network: Network) -> None:
    before = identities(network, "hub-1", "node-1")
    outcome = network.deploy()
    measured("deploy with nothing to do", outcome.seconds)
    assert "Nothing to change: the network is as the spec says." in outcome.out
    again = network.deploy("--json").data
    assert again["changed"] is False
    assert again["plan"] == []
    assert sorted(again["ready"]) == ["hub-1", "node-1", "node-2", "node-3"]
    assert identities(network, "hub-1", "node-1") == before


def test_growing_adds_what_is_new_and_leaves_the_others_alone(network: Network) -> None:
    old = ("hub-1", "node-1", "node-2", "node-3")
    before = identities(network, *old)
    addresses = {node["name"]: node["overlay_ip"] for node in network.status()["nodes"]}
    network.want(nodes(count=5))
    dry = network.deploy("--dry-run", "--json").data
    assert [(action["verb"], action["name"]) for action in dry["plan"]] == [("create", "node-4"), ("create", "node-5")]
    assert {machine["name"] for machine in network.run("lab", "list", "--json").data} == set(old)
    outcome = network.deploy()
    measured("two more nodes", outcome.seconds)
    assert identities(network, *old) == before
    after = {node["name"]: node["overlay_ip"] for node in network.status()["nodes"]}
    assert addresses.items() <= after.items()
    assert len(set(after.values())) == len(after) == 5
    assert len(network.prove()["pairs"]) == 20


def test_shrinking_wants_a_yes_and_then_removes_only_what_is_no_longer_wanted(network: Network) -> None:
    network.want(nodes(count=5))
    network.deploy()
    kept = ("hub-1", "node-1", "node-2", "node-3")
    before = identities(network, *kept)
    network.want(nodes(count=3))
    refused = network.deploy("--json", expect=2)
    assert refused.data["error"]["code"] == "confirmation-needed"
    assert "--yes" in refused.data["error"]["hint"]
    assert len(network.run("lab", "list", "--json").data) == 6
    outcome = network.deploy("--yes")
    measured("two nodes fewer", outcome.seconds)
    assert {machine["name"] for machine in network.run("lab", "list", "--json").data} == set(kept)
    assert identities(network, *kept) == before
    status = network.status()
    assert (status["state"], status["missing"], len(status["nodes"])) == ("connected", [], 3)
    network.prove()
