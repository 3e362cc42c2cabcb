"""What a hub costs the whole machine for each relayed gigabyte: a flow through it, less the same flow without a hub. No core is bound.

Fair where the nodes' part of the work is the same: sealed and routed against a direct tunnel. Nebula's nodes do other work than WireGuard's, so of
Nebula only what its relay's process took is told: a lower bound, without the kernel's part.
"""

import time
from collections.abc import Mapping

from bench.relay import cores, flows, rounds
from bench.relay.rivals import DIRECT, NEBULA, ROUTED, SEALED, Rival

RATE_MBIT_S = 100
FLOW_S, FLOW_QUICK_S = 8.0, 3.0
CASES = (SEALED, ROUTED, DIRECT, NEBULA)
_GB = 1e9


def measure_difference(rivals: Mapping[str, Rival], count: int, *, quick: bool) -> str:
    """All rounds; the table."""
    seconds = FLOW_QUICK_S if quick else FLOW_S
    machine, processes, rest = (rounds.Figures() for _ in range(3))
    for number in range(count):
        begun = cores.look(rivals[SEALED].hub)
        time.sleep(seconds)
        ended = cores.look(rivals[SEALED].hub)
        share = ended.machine_busy_since(begun) / (ended.at - begun.at)
        rest.add("rest", 100 * share)
        for name in rounds.order(CASES, number):
            before = cores.look(rivals[name].hub)
            payload, _ = flows.paced_tcp(rivals[name], RATE_MBIT_S, seconds)
            after = cores.look(rivals[name].hub)
            busy_s = after.machine_busy_since(before) - share * (after.at - before.at)
            machine.add(name, busy_s / (payload / _GB))
            processes.add(name, (after.processes - before.processes) / (payload / _GB))
        print(f"hub's cost by difference: round {number + 1} of {count}", flush=True)
    return _show(machine, processes, rest)


def _show(machine: rounds.Figures, processes: rounds.Figures, rest: rounds.Figures) -> str:
    hub = {
        name: [a - b for a, b in zip(machine.values(name), machine.values(DIRECT), strict=True)]
        for name in (SEALED, ROUTED)
    }
    head = ("CPU seconds for a GB, by difference", "whole machine", "less direct: the hub", "the hub's processes alone")
    rows = [
        (
            name,
            machine.show(name, 2),
            rounds.spread(hub[name], 2) if name in hub else "",
            "" if name == DIRECT else processes.show(name, 2),
        )
        for name in CASES
    ]
    ratios = [
        (f"sealed ÷ {name}", "", rounds.spread([a / b for a, b in zip(hub[SEALED], theirs, strict=True)], 3), note)
        for name, theirs, note in (
            (ROUTED, hub[ROUTED], ""),
            (NEBULA, processes.values(NEBULA), "÷ its process alone"),
        )
    ]
    return (
        rounds.table(head, *rows, *ratios)
        + f"\nThe two cores were busy for {rest.show('rest', 0)} % of one core before the flows.\n"
    )
