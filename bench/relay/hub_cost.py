"""What a hub's core spends for each relayed gigabyte."""

import os
import time
from collections.abc import Mapping

from bench.relay import cores, flows, rounds
from bench.relay.rivals import NEBULA, ROUTED, SEALED, Rival

RATE_MBIT_S = 60
"""The same for all, and less than any of them can carry while both nodes share a core."""
FLOW_S, FLOW_QUICK_S = 8.0, 3.0
QUIET_PERCENT = 20
"""The agents and tunnels of all labs take less than that of the hubs' core."""
CASES = (SEALED, ROUTED, NEBULA)
_GB = 1e9


def measure_hub_cost(rivals: Mapping[str, Rival], count: int, *, quick: bool) -> str:
    """All rounds; the table. Machines stay bound to their cores afterwards."""
    for rival in (rivals[name] for name in CASES):
        for place in rival.places.values():
            cores.bind(place)
    cores_before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cores.NODE_CORE})
    found = Found()
    for number in range(count):
        for name in rounds.order(CASES, number):
            _measure(rivals[name], FLOW_QUICK_S if quick else FLOW_S, found)
        print(f"hub's cost: round {number + 1} of {count}", flush=True)
    os.sched_setaffinity(0, cores_before)
    return _show(found)


class Found:
    """CPU seconds for a GB: of the whole core, of the hub's processes, of the core's softirqs; percent busy before the flow; and the flow's rate."""

    def __init__(self) -> None:
        self.core, self.processes, self.softirq, self.rest, self.rate = (rounds.Figures() for _ in range(5))

    def least_saving(self, rival: str) -> str:
        """The ratio at its worst: all softirqs of the core count for sealed, and none for the rival."""
        mine = zip(self.processes.values(SEALED), self.softirq.values(SEALED), strict=True)
        both = zip(mine, self.processes.values(rival), strict=True)
        return rounds.spread([(processes + softirq) / theirs for (processes, softirq), theirs in both], 3)


def _show(found: Found) -> str:
    head = (
        "hub's CPU seconds for a relayed GB",
        "all of its core",
        "its processes",
        "softirq of its core",
        "core busy before",
        "Mbit/s",
    )
    rows = [
        (
            name,
            found.core.show(name, 2),
            found.processes.show(name, 2),
            found.softirq.show(name, 2),
            found.rest.show(name, 0) + " %",
            found.rate.show(name, 1),
        )
        for name in CASES
    ]
    ratios = [
        (f"sealed ÷ {name}", found.core.ratio(SEALED, name, 3), f"at worst {found.least_saving(name)}", "", "", "")
        for name in (ROUTED, NEBULA)
    ]
    restless = max(max(found.rest.values(name)) for name in CASES)
    warning = f"\nOther programs ran: before a flow the core was busy for up to {restless:.0f} %, so its first column says little.\n"
    return rounds.table(head, *rows, *ratios) + (warning if restless > QUIET_PERCENT else "")


def _measure(rival: Rival, seconds: float, into: Found) -> None:
    """A quiet time, then a flow: the hub's cost is what the flow adds."""
    first = cores.look(rival.hub)
    time.sleep(seconds)
    rest = cores.look(rival.hub)
    payload, mbit_s = flows.paced_tcp(rival, RATE_MBIT_S, seconds)
    last = cores.look(rival.hub)
    rested_s = rest.at - first.at
    scale = (last.at - rest.at) / rested_s
    for figures, before, during in (
        (into.core, rest.busy_since(first), last.busy_since(rest)),
        (into.processes, rest.processes - first.processes, last.processes - rest.processes),
        (into.softirq, rest.softirq - first.softirq, last.softirq - rest.softirq),
    ):
        figures.add(rival.name, (during - before * scale) / (payload / _GB))
    into.rest.add(rival.name, 100 * rest.busy_since(first) / rested_s)
    into.rate.add(rival.name, mbit_s)
