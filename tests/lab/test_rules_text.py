"""The real `nft` accepts every ruleset that is written for it, without changing anything."""

import shutil
import subprocess
from ipaddress import IPv4Network, IPv6Network, ip_address

import pytest

from spokewire.hub import firewall as hub
from spokewire.lab.plan import LinkFault, Wiring, loss_rules, nat_rules
from spokewire.network.rules import Address, Admission, Opening
from spokewire.network.spec import Nat
from spokewire.node import firewall as node

pytestmark = pytest.mark.lab

OVERLAY = (IPv4Network("10.88.0.0/24"), IPv6Network("fd00:1::/64"))


def members(count: int) -> frozenset[Address]:
    return frozenset(
        ip_address(address + number) for address in (OVERLAY[0][10], OVERLAY[1][10]) for number in range(count)
    )


HUBS: frozenset[Address] = frozenset({OVERLAY[0][1], OVERLAY[1][1]})
NOBODY: frozenset[Address] = frozenset()


def node_rules(*openings: Opening, hubs: frozenset[Address] = HUBS, peers: int = 3) -> str:
    return node.plan_rules("wg-demo", OVERLAY, Admission(hubs, members(peers), openings))


def table(rules: str) -> str:
    return f"table inet spokewire_demo {{\n{rules}\n}}\n"


RULESETS = {
    "hub": table(hub.plan_rules("wg-demo", OVERLAY, 443)),
    "hub with open ports": table(hub.plan_rules("wg-abcdefghijkl", OVERLAY, 65535, ("tcp/22", "udp/65535"))),
    "node that knows nobody": table(node_rules(hubs=NOBODY, peers=0)),
    "node open to its peers": table(node_rules(Opening(members(3)))),
    "node with access rules": table(node_rules(Opening(members(1), "tcp", 22), Opening(members(2), "udp", 65535))),
    "node among 200": table(node_rules(Opening(members(200)), peers=200)),
    "no loss": loss_rules(Wiring(11, Nat.NONE), LinkFault()),
    "loss": loss_rules(Wiring(11, Nat.NONE), LinkFault(loss_pct=0.01)),
    "total loss": loss_rules(Wiring(250, Nat.NONE), LinkFault(loss_pct=100.0)),
    **{f"nat {nat}": nat_rules(nat) for nat in Nat},
}


def check(text: str) -> subprocess.CompletedProcess[str]:
    """Have nft check a ruleset in an empty network namespace of its own."""
    nft = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin")
    assert nft is not None
    command = ["unshare", "-rn", nft, "--check", "--file", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("title", RULESETS)
def test_nft_accepts_the_rules(cache: object, title: str) -> None:
    outcome = check(RULESETS[title])
    assert outcome.returncode == 0, outcome.stderr


def test_nft_does_refuse_rules_that_are_wrong(cache: object) -> None:
    assert check(RULESETS["hub"].replace("dport 443", "dport 70000")).returncode != 0
    assert check(RULESETS["node open to its peers"].replace("10.88.0.10", "10.88.0.999")).returncode != 0
