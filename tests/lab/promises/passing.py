"""Where the datagrams of a pair really pass: the kernel counts them, by their size, at the hubs and where they leave the nodes."""

import os
import re
import subprocess
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tests.lab.promises.failover import find_paths
from tests.lab.world import Network, wait_until

FIRST_SIZE, STEP = 644, 32
"""Bytes of a pair's datagrams: with the heads of IPv4 and UDP a multiple of 16, so that WireGuard pads nothing, and unlike anything that the agents send."""
HEADS = 28
SEALING = 32
UDP_HEAD = 8
COUNT_S = 1.5
LAN = ("172.30.0.1", "172.30.0.2")


def choose_size(number: int) -> int:
    """The size of the datagrams of the pair with this number."""
    return FIRST_SIZE + STEP * number


@dataclass(frozen=True)
class Pair:
    """Two nodes that talk, and the size of their datagrams."""

    one: str
    other: str
    size: int


class Counters:
    """Counts the sealed datagrams of each size in a machine, as they come and as they leave."""

    def __init__(self, network: Network, machine: str, sizes: Collection[int]) -> None:
        self._network, self._machine = network, machine
        lines = [f"add counter inet passing s{size}" for size in sizes]
        for hook in ("prerouting", "output"):
            lines += [f"add chain inet passing {hook} {{ type filter hook {hook} priority -400; }}"]
            lines += [
                f"add rule inet passing {hook} udp length {UDP_HEAD + SEALING + HEADS + size} counter name s{size}"
                for size in sizes
            ]
        network.exec(machine, "nft", "\n".join(["add table inet passing", *lines]))

    def read(self) -> dict[int, int]:
        """How many have passed so far, by size."""
        listed = self._network.exec(self._machine, "nft", "list", "counters", "table", "inet", "passing").out
        found = re.findall(r"counter s(\d+) \{\s+packets (\d+)", listed)
        return {int(size): int(count) for size, count in found}


def count_passing(hubs: Collection[Counters], nodes: Mapping[str, Counters]) -> tuple[dict[int, int], dict[int, int]]:
    """How many datagrams of each size pass any hub, and any node, in the same moments."""
    every = [*hubs, *nodes.values()]
    before = [counters.read() for counters in every]
    time.sleep(COUNT_S)
    grown = [
        {size: count - old[size] for size, count in counters.read().items()}
        for counters, old in zip(every, before, strict=True)
    ]
    at_hubs, at_nodes = grown[: len(hubs)], grown[len(hubs) :]
    return _add(at_hubs), _add(at_nodes)


def find_endpoint(network: Network, machine: str, other: str) -> str:
    """Where a machine's WireGuard sends what is for another, as `wg` tells it."""
    key = network.public_key(other)
    lines = network.exec(machine, "wg", "show", "wg-demo", "endpoints").out.splitlines()
    return next(line.split("\t")[1] for line in lines if line.startswith(key))


def wait_for_pairs(network: Network, wanted: Mapping[tuple[str, str], bool], limit_s: float) -> None:
    """Wait until both ends of each pair say that they send directly, or that they do not."""

    seen: list[dict[tuple[str, str], str]] = []

    def look() -> bool:
        seen.append(find_paths(network))
        found = {pair: [(seen[-1][way] == "direct") for way in (pair, pair[::-1])] for pair in wanted}
        return found == {pair: [is_direct] * 2 for pair, is_direct in wanted.items()}

    try:
        wait_until(look, limit_s, f"exactly these pairs are direct: {dict(wanted)}")
    except AssertionError:
        print(f"the paths at last: {seen[-1]}", network.run("history", "--since", "3m", expect=None).out)
        raise


def connect_by_cable(network: Network, one: str, other: str) -> None:
    """Lay a cable between two machines, as if they were in one LAN, each behind a router of its own all the same."""
    pids = [str(network.machine_process(machine)) for machine in (one, other)]
    command = [
        "ip",
        "link",
        "add",
        "cable",
        "netns",
        pids[0],
        "type",
        "veth",
        "peer",
        "name",
        "cable",
        "netns",
        pids[1],
    ]
    subprocess.run([*_enter(network, "--net"), *command], check=True)
    for machine, address in zip((one, other), LAN, strict=True):
        network.exec(machine, "ip", "addr", "add", f"{address}/24", "dev", "cable")
        network.exec(machine, "ip", "link", "set", "cable", "up")


def plan_cut(network: Network, ways: Collection[tuple[str, str]]) -> str:
    """Rules by which what one node sends to another is lost on the way; everybody else reaches both."""
    listed = network.run("lab", "list", "--json").data
    uplinks = {found["name"]: f"up-{found['public_address'].rpartition('.')[2]}" for found in listed}
    rules = "; ".join(f'iifname "{uplinks[source]}" oifname "{uplinks[target]}" drop' for source, target in ways)
    return f"table bridge cut {{ chain passing {{ type filter hook forward priority 0; {rules}; }}; }}"


def cut(network: Network, rules: str) -> None:
    _run_nft(network, rules.replace("; ", "\n"))


def mend_cut(network: Network) -> None:
    _run_nft(network, "delete table bridge cut")


def _add(found: Collection[Mapping[int, int]]) -> dict[int, int]:
    return {size: sum(one[size] for one in found) for size in (next(iter(found)) if found else ())}


def _run_nft(network: Network, text: str) -> None:
    subprocess.run([*_enter(network, "--net", "--mount", "--pid"), "nft", "-f", "-"], input=text, text=True, check=True)


def _enter(network: Network, *namespaces: str) -> list[str]:
    """Into the lab's internet."""
    user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    return ["nsenter", *user, *namespaces, "--target", str(network.first_process()), "--"]
