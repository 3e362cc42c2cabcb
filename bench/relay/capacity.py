"""The capacity of the relay alone: labelled packets through a hub's namespace, beside plain forwarding through the same namespace."""

import json
import subprocess
import tempfile
from pathlib import Path

from bench.relay import labels, rounds, switching
from bench.relay.modules import python
from spokewire.lab.world import start_world

FRAMES, FRAMES_QUICK = 1_000_000, 150_000
_WIRING = """
for name in sender hub sink; do ip netns add $name; ip -n $name link set lo up; done
ip link add name wire netns sender address 02:00:00:00:00:0a type veth peer name in address 02:00:00:00:00:0b netns hub
ip link add name wire netns sink address 02:00:00:00:00:0d type veth peer name out address 02:00:00:00:00:0c netns hub
ip -n sender link set wire up
ip -n sink addr add 198.19.0.2/30 dev wire
ip -n sink link set wire up
ip -n hub addr add 198.18.0.1/16 dev in
ip -n hub addr add 198.19.0.1/30 dev out
ip -n hub link set in up
ip -n hub link set out up
ip -n hub route add 198.19.0.0/16 via 198.19.0.2
ip -n hub neigh replace 198.19.0.2 lladdr 02:00:00:00:00:0d dev out nud permanent
ip netns exec hub sysctl -q -w net.ipv4.ip_forward=1
ip netns exec sink nft -f - <<'RULES'
table ip sink {
    counter sunk {}
    chain arrived {
        type filter hook prerouting priority raw; policy drop;
        counter name sunk
    }
}
RULES
"""
"""A sender, a hub and a sink in a row. The sink counts and drops before its kernel does anything else."""


def measure_capacity(count: int, *, quick: bool) -> str:
    """Measure in a world of its own, which ends with us; return the table."""
    with tempfile.TemporaryDirectory(prefix="spokewire-bench-") as folder:
        world = start_world(Path(folder) / "lab", dies_with_us=True)
        try:
            world.run(["sh", "-ec", _WIRING])
            argv = python("switching", folder, str(count), str(FRAMES_QUICK if quick else FRAMES))
            argv = world.enter(["ip", "netns", "exec", "hub", *argv])
            done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
        finally:
            world.stop()
    found = {size: rounds.Figures() for size in (*switching.SIZES, switching.INSTALL)}
    for size, cases in json.loads(done.stdout).items():
        for case, values in cases.items():
            for value in values:
                found[size].add(case, value)
    return _show(found, found.pop(switching.INSTALL))


def _show(found: dict[str, rounds.Figures], install: rounds.Figures) -> str:
    rows: list[tuple[str, ...]] = [
        ("1,000 packets/s on one core", "small", "÷ plain", "1,404 bytes", "÷ plain", "more time a packet than plain")
    ]
    for case, name in (
        (switching.PLAIN, "plain forwarding"),
        (switching.FEW, "10 labels"),
        (switching.MANY_FEW, "100,000 labels, packets of 10 of them"),
        (switching.MANY, "100,000 labels, packets of all of them in random order"),
    ):
        cells = [name]
        for figures in found.values():
            cells += [
                rounds.spread([value / 1000 for value in figures.values(case)], 0),
                figures.ratio(case, switching.PLAIN),
            ]
        small = found["small"]
        added = [1e9 / a - 1e9 / b for a, b in zip(small.values(case), small.values(switching.PLAIN), strict=True)]
        rows.append((*cells, rounds.spread(added, 0) + " ns"))
    head = ("ms to install a label", *(f"{count:,} labels" for count in (labels.FEW, labels.MANY)))
    row = ("one transaction", *(install.show(case, 3) for case in install.cases))
    return rounds.table(*rows) + "\n" + rounds.table(head, row)
