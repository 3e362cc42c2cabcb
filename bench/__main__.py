"""`make bench`: deploy-to-proof, memory and idle CPU of the daemons, latency of /status, time to generate a large configuration."""

import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence

from bench.configuration import measure_configuration
from bench.network import Network, deploy_to_proof_s, network

ROUNDS = 5
ROUNDS_LARGE = 2
LARGE = 20
IDLE_S = 30.0
STATUS_REQUESTS = 300
STATUS_SPACING_S = 0.06
"""Below the status server's limit of 20 requests a second."""
_STATUS_SCRIPT = """
import json, sys, time, urllib.request
times = []
for _ in range({requests}):
    begun = time.perf_counter()
    with urllib.request.urlopen("http://127.0.0.1:8000/status", timeout=5) as answer:
        json.load(answer)
    times.append((time.perf_counter() - begun) * 1000)
    time.sleep({spacing})
print(json.dumps(times))
"""


def main() -> None:
    """Measure everything and print it."""
    print(
        f"machine: {os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    )
    print(f"load before: {os.getloadavg()[0]:.2f}\n")
    small, large = [], []
    for _ in range(ROUNDS):
        with network(3) as lab:
            small.append(deploy_to_proof_s(lab))
    _line("deploy to proof, 3 nodes", small, "s")
    for round_ in range(ROUNDS_LARGE):
        with network(LARGE) as lab:
            large.append(deploy_to_proof_s(lab))
            if round_ == ROUNDS_LARGE - 1:
                _line(f"deploy to proof, {LARGE} nodes", large, "s")
                _measure_daemons(lab)
                _measure_status(lab)
    for name, values in measure_configuration(500).items():
        _line(name, values, "s")


def _measure_daemons(lab: Network) -> None:
    """Resident memory, and CPU share over an idle half minute, with 20 nodes."""
    time.sleep(10)
    machines = ("hub-1", "node-1", f"node-{LARGE}")
    before = {machine: _usage(lab, machine) for machine in machines}
    begun = time.monotonic()
    time.sleep(IDLE_S)
    for machine in machines:
        after, elapsed = _usage(lab, machine), time.monotonic() - begun
        for name, (rss_kb, anonymous_kb, ticks) in after.items():
            share = (ticks - before[machine][name][2]) / os.sysconf("SC_CLK_TCK") / elapsed * 100
            print(
                f"{machine} {name}: {rss_kb / 1024:.0f} MB resident ({anonymous_kb / 1024:.0f} MB of it its own), {share:.2f} % of a core idle"
            )


def _usage(lab: Network, machine: str) -> dict[str, tuple[int, int, int]]:
    """Resident and anonymous kB and CPU ticks of the daemon and of wireguard-go, by name."""
    script = r"""
for stat in /proc/[0-9]*/stat; do
  dir=${stat%/stat}
  words=$(tr '\0' ' ' < $dir/cmdline)
  case "$words" in
    "sh -c "*) continue ;;
    *"-m spokewire "*" run "*) name=agent ;;
    "wireguard-go -f "*) name=wireguard-go ;;
    *) continue ;;
  esac
  set -- $(sed 's/.*) //' $stat)
  echo "$name $(awk '/^VmRSS/ {print $2}' $dir/status) $(awk '/^RssAnon/ {print $2}' $dir/status) $((${12} + ${13}))"
done"""
    lines = [line.split() for line in lab.inside(machine, "sh", "-c", script).splitlines()]
    return {name: (int(rss), int(anonymous), int(ticks)) for name, rss, anonymous, ticks in lines}


def _measure_status(lab: Network) -> None:
    import json

    script = _STATUS_SCRIPT.format(requests=STATUS_REQUESTS, spacing=STATUS_SPACING_S)
    times = sorted(json.loads(lab.inside("node-1", sys.executable, "-c", script)))
    cut = statistics.quantiles(times, n=100)
    print(
        f"/status with {LARGE - 1} peers, {STATUS_REQUESTS} requests, a new connection each: p50 {cut[49]:.1f} ms, p99 {cut[98]:.1f} ms, max {times[-1]:.1f} ms"
    )


def _line(name: str, values: Sequence[float], unit: str) -> None:
    print(
        f"{name}: median {statistics.median(values):.2f} {unit} (min {min(values):.2f}, max {max(values):.2f}, {len(values)} rounds)"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
