"""`make bench-failover`: the relay that carries two nodes is cut; how long nothing flows, here, with Nebula and with plain WireGuard. `--rounds N`."""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.relay import tunnels
from bench.relay.places import Place, Places, bare, deployed
from bench.relay.rounds import Figures, order, table

ROUNDS = 5
NAMES = ("hub-1", "hub-2", "node-1", "node-2")
LIMIT_S = 90.0
"""After this a pair counts as cut for as long as its relay is away."""
PLAIN_LIMIT_S = 30.0
"""Plain WireGuard has one hub: nothing else could happen."""
SETTLE_S = 30.0
"""After a relay is back, until the next is cut: Nebula forgets a dead tunnel in some twenty seconds."""
WATCH_S = 1.0
STEADY_ANSWERS = 10
GAP_S = 0.2
"""Ten questions in a row without an answer: less is no interruption."""
SPOKEWIRE, NEBULA, PLAIN = "Spokewire, two hubs", "Nebula, two relays", "WireGuard, one hub"
_PORT = 7016
_ANSWERER = f"""
import socket
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.bind(("0.0.0.0", {_PORT}))
while True:
    data, source = line.recvfrom(64)
    line.sendto(data, source)
"""
_ASKER = f"""
import socket, sys, time
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.setblocking(False)
while True:
    try:
        line.sendto(b"ask", (sys.argv[1], {_PORT}))
    except OSError:
        pass
    time.sleep(0.02)
    try:
        while line.recv(64):
            print(time.time(), flush=True)
    except OSError:
        pass
"""
_CUT = """add table inet cut
add chain inet cut in { type filter hook prerouting priority -500; policy drop; }
add chain inet cut out { type filter hook output priority -500; policy drop; }
"""


@dataclass(frozen=True)
class Rival:
    """A way from node-1 to node-2, and how long its relay stays cut at most."""

    name: str
    places: Places
    address: str
    hubs: tuple[str, ...]
    limit_s: float

    def begin(self) -> None:
        """Start the questions: fifty a second."""
        self.places["node-1"].start(self._log, sys.executable, "-u", "-c", _ASKER, self.address)

    def measure(self) -> float:
        """Cut the relay in use, and tell for how many seconds no answer came; `limit_s` if none came at all."""
        self._wait_for_flow(LIMIT_S)
        hub = self._find_hub_in_use()
        since = time.time()
        hub.run("nft", "-f", "-", stdin=_CUT)
        try:
            resumed_at = self._wait_for_answers(since)
        finally:
            hub.run("nft", "delete", "table", "inet", "cut")
        return self.limit_s if resumed_at is None else resumed_at - since

    @property
    def _log(self) -> str:
        return "asks-" + "".join(letter for letter in self.name if letter.isalnum())

    def _answers(self) -> list[float]:
        lines = self.places["node-1"].run("tail", "-n", "5000", f"/run/{self._log}.log").rpartition("\n")[0]
        return [float(line) for line in lines.splitlines() if line[:1].isdigit()]

    def _find_hub_in_use(self) -> Place:
        places = [self.places[name] for name in self.hubs]
        before = [place.received_bytes() for place in places]
        time.sleep(WATCH_S)
        return max(zip(places, before, strict=True), key=lambda one: one[0].received_bytes() - one[1])[0]

    def _wait_for_flow(self, limit_s: float) -> None:
        deadline = time.time() + limit_s
        while sum(at > time.time() - 1 for at in self._answers()) < STEADY_ANSWERS:
            if time.time() > deadline:
                raise SystemExit(f"{self.name}: no traffic flows")
            time.sleep(0.5)

    def _wait_for_answers(self, since: float) -> float | None:
        """When answers came again after the gap; `since` if there was none, None if it did not end."""
        while time.time() < since + self.limit_s:
            time.sleep(0.5)
            answers = [at for at in self._answers() if at > since]
            # What came at once was on its way when the relay was cut.
            later = next(
                (at for before, at in zip([since, *answers], answers, strict=False) if at - before > GAP_S), None
            )
            if later is not None and sum(at >= later for at in answers) >= STEADY_ANSWERS:
                return later
            if later is None and len(answers) > 2 * self.limit_s:
                return since
        return None


@contextmanager
def all_rivals() -> Iterator[list[Rival]]:
    """All three, up at the same time."""
    with ExitStack() as stack:
        ours = stack.enter_context(deployed("sealed", NAMES))
        plain = stack.enter_context(bare(NAMES))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="spokewire-bench-")))
        tunnels.add_nebula(plain, folder)
        address = tunnels.add_plain_hub(plain["hub-1"], (plain["node-1"], plain["node-2"]))
        rivals = [
            Rival(SPOKEWIRE, ours, "10.88.0.12", NAMES[:2], LIMIT_S),
            Rival(NEBULA, plain, tunnels.NEBULA["node-2"], NAMES[:2], LIMIT_S),
            Rival(PLAIN, plain, address, NAMES[:1], PLAIN_LIMIT_S),
        ]
        for places in (ours, plain):
            places["node-2"].start("answers", sys.executable, "-c", _ANSWERER)
        for rival in rivals:
            rival.begin()
        yield rivals


def main() -> None:
    """Measure in turns and print the table of docs/benchmarks.md."""
    parser = argparse.ArgumentParser(prog="python -m bench.failover", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    count, figures, load = parser.parse_args().rounds, Figures(), os.getloadavg()[0]
    with all_rivals() as rivals:
        by_name = {rival.name: rival for rival in rivals}
        time.sleep(SETTLE_S)
        for number in range(count):
            for name in order(list(by_name), number):
                seconds = by_name[name].measure()
                figures.add(name, seconds)
                print(f"round {number + 1}: {name}: {seconds:.2f} s", flush=True)
                time.sleep(SETTLE_S)
    print(
        f"\n{count} rounds; {os.cpu_count()} cores, {platform.system()} {platform.release()}, load before {load:.2f}\n"
    )
    rows = [(rival.name, _show(rival, figures)) for rival in rivals]
    print(table(("the relay in use is cut", "seconds without an answer, median (least to most)"), *rows))


def _show(rival: Rival, figures: Figures) -> str:
    lost = sum(value >= rival.limit_s for value in figures.values(rival.name))
    if lost == len(figures.values(rival.name)):
        return f"never: not within {rival.limit_s:.0f} in any round"
    return figures.show(rival.name, 2) + (f"; {lost} times not within {rival.limit_s:.0f}" if lost else "")


if __name__ == "__main__":
    main()
