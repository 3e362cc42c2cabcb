"""Node to node: TCP throughput, small packets and round trips, of every rival in turns."""

from collections.abc import Mapping

from bench.relay import flows, rounds
from bench.relay.rivals import NEBULA, ROUTED, SEALED, Rival

TCP_S, TCP_QUICK_S = 5.0, 2.0
SMALL_S, SMALL_QUICK_S = 3.0, 1.0
ROUND_TRIPS, ROUND_TRIPS_QUICK = 1000, 200


def measure_ends(rivals: Mapping[str, Rival], count: int, *, quick: bool) -> str:
    """All rounds; the table."""
    tcp, small, rtt, tail = (rounds.Figures() for _ in range(4))
    worst_loss = 0.0
    for number in range(count):
        for name in rounds.order(list(rivals), number):
            rival = rivals[name]
            median, p99 = flows.rtt_us(rival, ROUND_TRIPS_QUICK if quick else ROUND_TRIPS)
            rtt.add(name, median)
            tail.add(name, p99)
            rate, lost = flows.small_packets(rival, SMALL_QUICK_S if quick else SMALL_S)
            small.add(name, rate)
            worst_loss = max(worst_loss, lost)
            tcp.add(name, flows.tcp_mbit_s(rival, TCP_QUICK_S if quick else TCP_S))
        print(f"node to node: round {number + 1} of {count}", flush=True)
    rows: list[tuple[str, ...]] = [
        ("node to node", "TCP, Mbit/s", "64-byte UDP, packets/s", "RTT, µs", "p99 of RTT, µs")
    ]
    rows += [(name, tcp.show(name, 0), small.show(name, 0), rtt.show(name, 0), tail.show(name, 0)) for name in rivals]
    rows += [
        (f"sealed ÷ {name}", *(figures.ratio(SEALED, name) for figures in (tcp, small, rtt, tail)))
        for name in (ROUTED, NEBULA)
    ]
    return rounds.table(*rows) + f"\nUDP lost at most {worst_loss:.2%}.\n"
