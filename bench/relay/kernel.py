"""Sealed beside routed where WireGuard is in the kernel: run by tools/kernel-bench in the emulated machine.

Everything there is slow, the hub as much as the nodes: the ratio says something, the rates say nothing.
"""

import os
import platform
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from bench.relay import cores, flows, rounds
from bench.relay.rivals import ROUTED, SEALED, Rival, own_rivals
from spokewire.host.processes import command_line

ROUNDS = 7
TCP_S = 4.0
ROUND_TRIPS = 20
"""Before each flow: its session is there."""
TARGET = 1.4


def main() -> None:
    """Measure TCP in turns; print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    tcp = rounds.Figures()
    with own_rivals() as rivals:
        for rival in rivals.values():
            if "wireguard" not in rival.hub.run("ip", "-d", "link", "show", "wg-bench").split():
                raise SystemExit("the hub's WireGuard is not in the kernel")
        for number in range(count):
            for name in rounds.order(list(rivals), number):
                flows.rtt_us(rivals[name], ROUND_TRIPS)
                with paused(rivals.values()):
                    tcp.add(name, flows.tcp_mbit_s(rivals[name], TCP_S))
                print(f"kernel-bench: round {number + 1}: {name} {tcp.values(name)[-1]:.1f} Mbit/s", flush=True)
    print(f"\n{count} rounds; Linux {platform.release()}, {os.cpu_count()} emulated processors\n")
    rows = [("in-kernel WireGuard", "TCP, Mbit/s"), *((name, tcp.show(name)) for name in tcp.cases)]
    print(rounds.table(*rows, (f"sealed ÷ routed (target {TARGET:g})", tcp.ratio(SEALED, ROUTED))))


@contextmanager
def paused(rivals: Iterable[Rival]) -> Iterator[None]:
    """Stop all agents for a flow: emulated, their idle work takes most of the processors, and the kernel's tunnels and tables need none of them."""
    agents = [
        pid for rival in rivals for place in rival.places.values() for pid in cores.processes(place) if _is_agent(pid)
    ]
    for pid in agents:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in agents:
            os.kill(pid, signal.SIGCONT)


def _is_agent(pid: int) -> bool:
    words = command_line(pid)
    return words[1:3] == ["-m", "spokewire"] and words[-1] == "run"


if __name__ == "__main__":
    main()
