"""Hubs that fail and come back, and what tells which of them carries whom."""

import time
from itertools import permutations

from spokewire.network.documents import HubPolicy
from spokewire.network.names import MachineName
from spokewire.network.shares import find_share, name_pair
from tests.lab.world import Network, wait_until

ADDRESS = {"node-1": "10.88.0.11", "node-2": "10.88.0.12", "node-3": "10.88.0.13"}
HUBS = ("hub-1", "hub-2")
MIB = 6
TRANSFER_PORT = 7015
RECEIVER = f"""
import hashlib, socket
server = socket.create_server(("0.0.0.0", {TRANSFER_PORT}))
print("listening", flush=True)
line, _ = server.accept()
digest, size = hashlib.sha256(), 0
while data := line.recv(65536):
    digest.update(data)
    size += len(data)
print("received", size, digest.hexdigest(), flush=True)
"""
SENDER = f"""
import hashlib, os, socket, sys, time
line, digest = socket.create_connection((sys.argv[1], {TRANSFER_PORT}), 5), hashlib.sha256()
line.settimeout(60)
print("begun", flush=True)
for _ in range({MIB} * 16):
    data = os.urandom(65536)
    digest.update(data)
    line.sendall(data)
    time.sleep(0.06)
line.close()
print("sent", {MIB} * 2**20, digest.hexdigest(), flush=True)
"""


class Transfer:
    """One TCP connection that carries some megabytes in six seconds, from before a fault until after it; every byte must arrive."""

    def __init__(self, network: Network, source: str, target: str, address: str) -> None:
        self._received = network.script(target, RECEIVER)
        self._sent = network.script(source, SENDER, address)

    def wait_for_end(self, limit_s: float = 60.0) -> None:
        """Wait until all has arrived as it was sent."""
        wait_until(lambda: "sent" in self._sent.read_text(), limit_s, "the transfer is sent")
        sent = self._sent.read_text().split("sent")[1].split()
        wait_until(lambda: "received" in self._received.read_text(), limit_s, "the transfer is received")
        assert self._received.read_text().split("received")[1].split() == sent


def switch_off(network: Network, machine: str) -> None:
    network.run("lab", "kill", machine)


def switch_on(network: Network, machine: str) -> None:
    network.run("lab", "restart", machine)


def black_hole(network: Network, machine: str) -> None:
    network.run("lab", "link", machine, "loss=100%")


def mend(network: Network, machine: str) -> None:
    network.run("lab", "link", machine, "up")


def find_paths(network: Network) -> dict[tuple[str, str], str]:
    """The path of each pair, as the nodes tell it."""
    return {(node["name"], peer["name"]): peer["path"] for node in network.status()["nodes"] for peer in node["peers"]}


def share(*hubs: str) -> set[str]:
    """Which of equal hubs carry the pairs of this network."""
    policies = {MachineName(name): HubPolicy() for name in hubs}
    return {find_share(name_pair(*pair), policies) for pair in permutations(ADDRESS, 2)}


def wait_for_hubs(network: Network, hubs: set[str], limit_s: float) -> None:
    """Wait until exactly these hubs carry pairs."""

    def look() -> bool:
        time.sleep(1.0)
        return set(find_paths(network).values()) == {f"via {name}" for name in hubs}

    wait_until(look, limit_s, f"packets go via {hubs}")


def wait_for_paths(network: Network, paths: dict[tuple[str, str], str], limit_s: float) -> None:
    """Wait until all is connected by exactly these paths."""

    def look() -> bool:
        time.sleep(1.0)
        return find_paths(network) == paths

    wait_until(look, limit_s, "all go where they went")
    wait_until(lambda: network.status()["state"] == "connected", 30, "all is connected")


def gather_on(network: Network, name: str) -> None:
    """Have every pair go through one hub, by cutting the other off for a moment."""
    other = next(hub for hub in HUBS if hub != name)
    black_hole(network, other)
    wait_until(lambda: set(find_paths(network).values()) == {f"via {name}"}, 20, f"all go via {name}")
    mend(network, other)
    wait_until(lambda: network.status()["state"] == "connected", 30, f"{other} is back")


def find_moves(network: Network, since: float, node: str | None = None) -> list[str]:
    """Each time that any node, or this one, has moved a pair since an instant, as its history tells it."""
    named = [] if node is None else [node]
    told = network.run("history", *named, "--since", f"{int(time.time() - since) + 1}s", "--json").data
    return [
        f"{node['node']} {event['at'] - since:.1f} s later: {event['text']}"
        for node in told["nodes"]
        for event in node["events"]
        if event["code"] == "path-changed" and event["at"] >= since
    ]
