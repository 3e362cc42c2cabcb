"""`python -m bench.crowd`: a crowd of nodes loses a hub at once; how long until each pair's datagrams are answered again.

All nodes are one process, with a real UDP socket each, and two processes are the hubs: they answer echoes and hand datagrams on. What decides is the
product's own: the trails of echoes, their pace, which hub counts as dead, and the choice of a path. Left out are WireGuard, the relay in the kernel, the
signals between the two ends of a pair, and all else that an agent does; a real node has a processor of its own, these share one.
"""

import argparse
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise

from bench.relay.rounds import spread
from spokewire.network.health import judge_echo
from spokewire.network.names import MachineName
from spokewire.network.paths import Leg, Pair, Path, Way, begin_path, choose_path, is_leg_alive
from spokewire.network.probing import BUSY_HUB_INTERVAL_S, MISSING_HUB_INTERVAL_S, MISSING_HUB_S, Trail
from spokewire.network.shares import name_pair, rank_hub
from spokewire.network.status import State

NODES, PEERS = 200, 5
"""Each node has so many pairs; the first of them carries traffic."""
ROUNDS = 5
SPACING_S = 0.1
WARM_S, WATCH_S = 4.0, 8.0
TICK_S = 0.02
_HEAD = struct.Struct("!BHHI")
_ECHO, _ASK, _ANSWER = 1, 2, 3
_HUB = f"""
import socket, struct
head, places = struct.Struct("{_HEAD.format}"), {{}}
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
line.bind(("127.0.0.1", 0))
print(line.getsockname()[1], flush=True)
while True:
    data, place = line.recvfrom(64)
    _, source, target, _ = head.unpack(data)
    places[source] = place
    to = place if not target else places.get(target)
    if to:
        line.sendto(data, to)
"""


@dataclass
class PairState:
    """One pair at one of its ends."""

    path: Path
    hub: MachineName
    """Where packets go: WireGuard follows the other end."""
    answers: list[float] = field(default_factory=list)
    moved_at: float | None = None


@dataclass
class Node:
    """One light node."""

    number: int
    line: socket.socket
    trails: dict[MachineName, Trail]
    states: dict[MachineName, State]
    asked_at: dict[MachineName, float]
    alive_since: dict[MachineName, float] = field(default_factory=dict)
    pairs: dict[int, PairState] = field(default_factory=dict)


class Crowd:
    """All nodes of one round."""

    def __init__(self, count: int, ports: dict[MachineName, int]) -> None:
        self.places = {hub: ("127.0.0.1", port) for hub, port in ports.items()}
        self.hubs = {place: hub for hub, place in self.places.items()}
        self.ranks: dict[tuple[int, int, MachineName], float] = {}
        self.selector = selectors.DefaultSelector()
        now = time.monotonic()
        self.nodes = {number: self._begin(number, now + number * 0.002) for number in range(1, count + 1)}
        for number in self.nodes:
            for step in range(1, PEERS + 1):
                self._join(number, (number + step - 1) % count + 1, now)

    def run(self, seconds: float) -> None:
        """Let all of them work for so long."""
        ends_at, traffic_at = time.monotonic() + seconds, time.monotonic()
        while (now := time.monotonic()) < ends_at:
            for node in self.nodes.values():
                self._look(node, now)
            if now >= traffic_at:
                traffic_at = max(traffic_at + SPACING_S, now)
                for node in self.nodes.values():
                    self._send(node, _ASK, node.number % len(self.nodes) + 1, 0)
            for key, _ in self.selector.select(max(0.0, now + TICK_S - time.monotonic())):
                self._hear(key.data)

    def close(self) -> None:
        """Close all sockets."""
        for node in self.nodes.values():
            node.line.close()
        self.selector.close()

    def _begin(self, number: int, asks_at: float) -> Node:
        line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        line.bind(("127.0.0.1", 0))
        line.setblocking(False)
        hubs = list(self.places)
        trails, states = {hub: Trail(asks_at) for hub in hubs}, dict.fromkeys(hubs, State.STARTING)
        node = Node(number, line, trails, states, dict.fromkeys(hubs, asks_at - BUSY_HUB_INTERVAL_S))
        self.selector.register(line, selectors.EVENT_READ, node)
        return node

    def _join(self, one: int, other: int, now: float) -> None:
        pair = name_pair(f"node-{one}", f"node-{other}")
        for here, there in ((one, other), (other, one)):
            for hub in self.places:
                self.ranks[here, there, hub] = rank_hub(pair, hub, 10)
            ways = [Way(hub, self.ranks[here, there, hub], Leg(now)) for hub in self.places]
            path = begin_path(ways, None, now)
            self.nodes[here].pairs[there] = PairState(path, path.hub)

    def _look(self, node: Node, now: float) -> None:
        for hub, trail in node.trails.items():
            trail.settle(now)
            ago_s = now - node.asked_at[hub]
            is_missing = trail.is_suspect(now, MISSING_HUB_S) and node.states[hub] is not State.DISCONNECTED
            if ago_s >= (MISSING_HUB_INTERVAL_S if is_missing else BUSY_HUB_INTERVAL_S):
                node.asked_at[hub] = now
                node.line.sendto(_HEAD.pack(_ECHO, node.number, 0, trail.send(now)), self.places[hub])
            node.states[hub] = judge_echo(trail, node.states[hub], 0.0, now).state
        before = set(node.alive_since)
        legs = self._judge_legs(node, now)
        if set(node.alive_since) != before:
            for other, pair in node.pairs.items():
                self._choose(node, other, pair, legs, now)

    def _judge_legs(self, node: Node, now: float) -> dict[MachineName, Leg]:
        legs = {}
        for hub, trail in node.trails.items():
            others = [other.last_answer_at for name, other in node.trails.items() if name != hub]
            answered_at = max((at for at in others if at is not None), default=None)
            if is_leg_alive(trail, node.states[hub], answered_at, now):
                legs[hub] = Leg(node.alive_since.setdefault(hub, now))
            else:
                node.alive_since.pop(hub, None)
                legs[hub] = Leg(None)
        return legs

    def _choose(self, node: Node, other: int, pair: PairState, legs: dict[MachineName, Leg], now: float) -> None:
        ways = [Way(hub, self.ranks[node.number, other, hub], leg) for hub, leg in legs.items()]
        path = choose_path(ways, pair.path, Pair(leads=node.number < other), now)
        if path.hub != pair.path.hub:
            pair.hub, pair.moved_at = path.hub, now
        pair.path = path

    def _send(self, node: Node, kind: int, to: int, sequence: int) -> None:
        node.line.sendto(_HEAD.pack(kind, node.number, to, sequence), self.places[node.pairs[to].hub])

    def _hear(self, node: Node) -> None:
        while True:
            try:
                data, place = node.line.recvfrom(64)
            except BlockingIOError:
                return
            kind, source, _, sequence = _HEAD.unpack(data)
            now, hub = time.monotonic(), self.hubs[place]
            if kind == _ECHO:
                node.trails[hub].answer(sequence, sequence, now)
                continue
            node.pairs[source].hub = hub
            if kind == _ASK:
                self._send(node, _ANSWER, source, sequence)
            else:
                node.pairs[source].answers.append(now)


def measure(count: int) -> tuple[list[float], float, int]:
    """One round: for each pair with traffic that the hub carried, how long nothing came; when the last of all pairs had moved; how many had to."""
    hubs = [subprocess.Popen([sys.executable, "-c", _HUB], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    ports = {MachineName(f"hub-{n}"): int(hub.stdout.readline()) for n, hub in enumerate(hubs, 1) if hub.stdout}
    crowd = Crowd(count, ports)
    try:
        crowd.run(WARM_S)
        dead = MachineName("hub-1")
        on_it = [
            (node, to) for node in crowd.nodes.values() for to, pair in node.pairs.items() if pair.path.hub == dead
        ]
        hubs[0].send_signal(signal.SIGKILL)
        since = time.monotonic()
        crowd.run(WATCH_S)
    finally:
        for hub in hubs:
            hub.kill()
            hub.communicate()
        crowd.close()
    pairs = [node.pairs[to] for node, to in on_it]
    if any(pair.path.hub == dead or pair.moved_at is None for pair in pairs):
        raise SystemExit("a pair has not moved")
    carrying = [node.pairs[to] for node, to in on_it if to == node.number % count + 1]
    gaps = [_find_gap(pair.answers, since) for pair in carrying]
    return gaps, max(pair.moved_at or 0.0 for pair in pairs) - since, len(pairs)


def _find_gap(answers: list[float], since: float) -> float:
    """From the fault to the answer that ended the longest gap."""
    later = [since, *(at for at in answers if at >= since), since + WATCH_S]
    gap, end = max((after - before, after) for before, after in pairwise(later))
    return end - since if gap > 2 * SPACING_S else 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.crowd", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--nodes", type=int, default=NODES)
    options = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.2f}")
    worst, last, moved = [], [], 0
    for _ in range(options.rounds):
        gaps, last_s, moved = measure(options.nodes)
        worst.append(max(gaps))
        last.append(last_s)
        print(
            f"pairs with traffic on the dead hub {len(gaps)}, seconds {spread(gaps, 2)}; of all {moved} ends the last moved after {last_s:.2f}"
        )
    print(
        f"{options.nodes} nodes lose a hub, {options.rounds} rounds: the last pair with traffic is answered after {spread(worst, 2)} s"
    )


if __name__ == "__main__":
    main()
