"""Traffic of our own, twenty questions a second to each target: what tells for how long nothing flowed. It knows nothing of the agent."""

import json
import time
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

from tests.lab.world import Network, wait_until

PORT = 7013
HUB = "hub-1"
GAP_S = 0.3
"""Six questions in a row without an answer: less is a lost packet, not an interruption."""
STEADY_S = 1.0
"""Traffic that has flowed for so long flows."""
ANSWERER = f"""
import socket
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.bind(("0.0.0.0", {PORT}))
print("listening", flush=True)
while True:
    try:
        data, source = line.recvfrom(2048)
        line.sendto(data, source)
    except OSError:
        pass
"""
ASKER = f"""
import json, os, select, socket, struct, sys, time
targets, ends_at = json.loads(sys.argv[1]), time.time() + float(sys.argv[2])
sizes = json.loads(sys.argv[3])
names = {{address: name for name, address in targets.items()}}
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); line.setblocking(False)
ping = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP); ping.setblocking(False)
own = os.getpid() & 0xffff
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff
def ask(name, address, number):
    # A hub answers nobody but agents and pings.
    head = struct.pack("!BBHHH", 8, 0, 0, own, number & 0xffff)
    head = head[:2] + struct.pack("!H", checksum(head)) + head[4:]
    try:
        if name.startswith("hub"):
            ping.sendto(head, (address, 0))
        else:
            line.sendto(str(number).encode().ljust(sizes.get(name, 0)), (address, {PORT}))
    except OSError:
        pass
def hear(source):
    while True:
        try:
            data, (address, _) = source.recvfrom(2048)
        except OSError:
            return
        if source is ping:
            start = (data[0] & 15) * 4
            if data[start] != 0 or data[start + 4:start + 6] != struct.pack("!H", own):
                continue
            data = str(struct.unpack("!H", data[start + 6:start + 8])[0])
        if address in names:
            print(names[address], time.time(), int(data), flush=True)
print("begun", time.time(), flush=True)
number, due = 0, time.time()
while time.time() < ends_at:
    now = time.time()
    if now >= due:
        if now - due > 0.2:
            print("late", now, round(now - due, 2), flush=True)
        number, due = number + 1, max(due + 0.05, now)
        for name, address in targets.items():
            ask(name, address, number)
        if number % 20 == 0:
            print("asked", number, flush=True)
    for source in select.select([line, ping], [], [], max(0.0, due - time.time()))[0]:
        hear(source)
"""


def answer(network: Network, *machines: str) -> None:
    """Have machines answer questions, until they are switched off."""
    for machine in machines:
        network.script(machine, ANSWERER)


class Pulse:
    """Questions from one machine to others, and when each answer came, in seconds since 1970."""

    def __init__(
        self,
        network: Network,
        source: str,
        targets: Mapping[str, str],
        for_s: float = 3600.0,
        sizes: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """`targets`: name to overlay address. `sizes`: of the datagrams to a target and back, in bytes, where they are to be told from others."""
        self._source = source
        self.targets = tuple(targets)
        """Their names."""
        self._log = network.script(source, ASKER, json.dumps(dict(targets)), str(for_s), json.dumps(dict(sizes)))
        self._begun_at = time.time()
        self._answers: dict[str, list[float]] = {name: [] for name in targets}
        self._numbers: dict[str, list[int]] = {name: [] for name in targets}
        """Of the questions that were answered, in the order of the answers."""
        self._late: list[tuple[float, float]] = []
        self._asked = 0
        self._read = 0

    def wait_for_flow(self, limit_s: float = 30.0) -> None:
        """Wait until answers come from every target, and have for a second."""

        def flows() -> bool:
            since = time.time() - STEADY_S
            return all(
                time.time() - self.hears(name) <= GAP_S and self._resumed_at(name, since) == since
                for name in self._answers
            )

        wait_until(flows, limit_s, f"traffic from {self._source} flows")

    def measure(self, target: str, since: float, watch_s: float, limit_s: float = 40.0) -> float:
        """Watch a target for `watch_s` after an instant, and until its traffic flows; return how long after that instant it did so for good.

        Where it was never interrupted: the longest time between two answers.
        """
        self._wait(target, since, watch_s, limit_s)
        return self._resumed_at(target, since) - since or self.longest_gap_s(target, since)

    def hears(self, target: str) -> float:
        """When the newest answer came; 0 if none has."""
        self._look()
        return max(self._answers[target], default=0.0)

    def lost_pct(self, target: str) -> float:
        """Which share of all questions was not answered."""
        self._look()
        return 100.0 * (1 - len(self._answers[target]) / max(1, self._asked))

    def lost_since(self, target: str, since: float) -> tuple[int, int]:
        """Of the questions from the first to the last one that was answered after an instant: how many there are, and how many of them were not.

        Wait a moment before: what is on its way is not lost.
        """
        self._look()
        answered = {n for at, n in zip(self._answers[target], self._numbers[target], strict=True) if at >= since}
        asked = max(answered) - min(answered) + 1 if answered else 0
        return asked, asked - len(answered)

    def longest_gap_s(self, target: str, since: float) -> float:
        """The longest time without an answer that ended after an instant."""
        self._look()
        instants = [self._begun_at, *self._answers[target], time.time()]
        return max((self._gap_s(before, after) for before, after in pairwise(instants) if after > since), default=0.0)

    def late(self, since: float) -> float:
        """By how much the machine that runs all this was ever late with a question: a figure is no better than that."""
        self._look()
        return max((by_s for at, by_s in self._late if at >= since), default=0.0)

    def _wait(self, target: str, since: float, watch_s: float, limit_s: float) -> None:
        def flows() -> bool:
            now = time.time()
            if now < since + max(watch_s, STEADY_S) or now - self.hears(target) > GAP_S:
                return False
            return now - self._resumed_at(target, since) >= STEADY_S

        wait_until(flows, limit_s, f"traffic from {self._source} to {target} flows")

    def _resumed_at(self, target: str, since: float) -> float:
        """The end of the last interruption that had not ended at an instant; that instant if there was none.

        For a pulse that began later the first answer is such an end.
        """
        answers = self._answers[target]
        pairs = pairwise([self._begun_at, *answers])
        ends = [after for before, after in pairs if after > since and self._gap_s(before, after) > GAP_S]
        firsts = answers[:1] if self._begun_at >= since else []
        return max([since, *firsts, *ends])

    def _gap_s(self, before: float, after: float) -> float:
        """The time between two answers, without that in which we ourselves were too late to ask."""
        return after - before - sum(by_s for at, by_s in self._late if before < at <= after)

    def _look(self) -> None:
        with self._log.open("rb") as log:
            log.seek(self._read)
            whole, _, _ = log.read().rpartition(b"\n")
        if not whole:
            return
        self._read += len(whole) + 1
        for line in whole.decode().splitlines():
            word, at, *more = line.split()
            if word in self._answers:
                self._answers[word].append(float(at))
                self._numbers[word].append(int(more[0]))
            elif word == "asked":
                self._asked = int(at)
            elif word == "late":
                self._late.append((float(at), float(more[0])))
