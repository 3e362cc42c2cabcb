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
    cost, seen, idle, rate = (rounds.Figures() for _ in range(4))
    for number in range(count):
        for name in rounds.order(CASES, number):
            _measure(rivals[name], FLOW_QUICK_S if quick else FLOW_S, (cost, seen, idle, rate))
        print(f"hub's cost: round {number + 1} of {count}", flush=True)
    os.sched_setaffinity(0, cores_before)
    head = (
        "hub's CPU seconds for a relayed GB",
        "all of its core",
        "of its processes alone",
        "busy without traffic",
        "flow, Mbit/s",
    )
    rows = [
        (name, cost.show(name, 2), seen.show(name, 2), idle.show(name, 1) + " %", rate.show(name, 1)) for name in CASES
    ]
    ratios = [(f"sealed ÷ {name}", cost.ratio(SEALED, name, 3), "", "", "") for name in (ROUTED, NEBULA)]
    restless = max(max(idle.values(name)) for name in CASES)
    warning = (
        f"\nOther programs ran: before a flow the core was busy for up to {restless:.0f} %. These figures say little.\n"
    )
    return rounds.table(head, *rows, *ratios) + (warning if restless > QUIET_PERCENT else "")


def _measure(rival: Rival, seconds: float, into: tuple[rounds.Figures, ...]) -> None:
    """A quiet time, then a flow: the hub's cost is what the flow adds."""
    cost, seen, idle, rate = into
    before, at_rest = cores.process_seconds(rival.hub), cores.Busy()
    time.sleep(seconds)
    rest_s, rest_elapsed_s = at_rest.seconds()
    rest_seen_s = cores.process_seconds(rival.hub) - before
    before, busy = cores.process_seconds(rival.hub), cores.Busy()
    payload, mbit_s = flows.paced_tcp(rival, RATE_MBIT_S, seconds)
    busy_s, elapsed_s = busy.seconds()
    seen_s = cores.process_seconds(rival.hub) - before
    scale = elapsed_s / rest_elapsed_s
    cost.add(rival.name, (busy_s - rest_s * scale) / (payload / _GB))
    seen.add(rival.name, (seen_s - rest_seen_s * scale) / (payload / _GB))
    idle.add(rival.name, 100 * rest_s / rest_elapsed_s)
    rate.add(rival.name, mbit_s)
