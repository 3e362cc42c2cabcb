"""Give the hub a core of its own, so that all of its work can be told from the nodes' work.

A packet between namespaces is carried by whoever sent it: the kernel does the hub's part in the sender's time. Here each cable hands packets over to
the core of the machine that they arrive at (receive packet steering), and processes are bound: hubs to the last core, everything else of the
labs to the first. What the last core does is then the hub's: its processes, its system calls, its softirqs.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from bench.relay.places import Place

NODE_CORE, HUB_CORE = 0, 1
_STEER = 'echo {mask:x} > "$(ls -d /sys/class/net/{device}/queues/rx-0/rps_cpus)"'


def bind(place: Place) -> None:
    """Bind a machine's processes and both ends of its cable."""
    is_hub = place.machine.role == "hub"
    core = HUB_CORE if is_hub else NODE_CORE
    place.run("sh", "-c", _STEER.format(mask=1 << core, device="eth0"))
    place.world.run(["sh", "-c", _STEER.format(mask=1 << NODE_CORE, device=place.machine.wiring.uplink)])
    for pid in processes(place):
        for task in _tasks(pid):
            try:
                os.sched_setaffinity(task, {core})
            except ProcessLookupError:
                continue


def processes(place: Place) -> list[int]:
    """Every process of a machine, as this computer counts."""
    wanted = place.run("readlink", "/proc/self/ns/net").strip()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if str((entry / "ns/net").readlink()) == wanted:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


@dataclass(frozen=True)
class Clock:
    """The hubs' core and one hub's processes at one moment, in seconds so far. Idle time is exact; the kernel samples the others, 250 times a second."""

    at: float
    idle: float
    machine_idle: float
    softirq: float
    processes: float

    def machine_busy_since(self, before: "Clock") -> float:
        """How long all cores together were not idle."""
        return (self.at - before.at) * (os.cpu_count() or 1) - (self.machine_idle - before.machine_idle)

    def busy_since(self, before: "Clock") -> float:
        """How long the core was not idle."""
        return (self.at - before.at) - (self.idle - before.idle)


def look(hub: Place) -> Clock:
    """Look at the hubs' core and at one hub's processes."""
    lines = Path("/proc/stat").read_text().splitlines()
    one, every = (next(line for line in lines if line.startswith(name)).split() for name in (f"cpu{HUB_CORE} ", "cpu "))
    ticks = os.sysconf("SC_CLK_TCK")
    idle, machine_idle = ((int(fields[4]) + int(fields[5])) / ticks for fields in (one, every))
    return Clock(time.monotonic(), idle, machine_idle, int(one[7]) / ticks, _process_seconds(hub))


def _tasks(pid: int) -> list[int]:
    try:
        return [int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []


def _process_seconds(place: Place) -> float:
    """Processor time of a machine's processes so far: what a look at them alone would say."""
    ticks = 0
    for pid in processes(place):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
