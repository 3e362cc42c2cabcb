"""What a computer holds beside its processes: compared before and after, nothing of a lab may be left in it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.world import Network, measured, wait_until

GONE_LIMIT_S = 10.0


@contextmanager
def nothing_left(network: Network) -> Iterator[None]:
    """The block makes a lab and ends it; afterwards this computer must be as before, but for the spec."""
    before = look(network)
    assert network.processes() == {}
    yield
    wait_until(lambda: not network.processes(), GONE_LIMIT_S, f"every process is gone: {network.processes()}")
    wait_until(
        lambda: not _added(before, look(network)), GONE_LIMIT_S, f"nothing is left: {_added(before, look(network))}"
    )


def look(network: Network) -> dict[str, frozenset[str]]:
    """Interfaces, addresses, routes, rules, namespaces, mounts, and files where a lab or a daemon could leave some."""
    return {
        "links": _lines("ip", "-o", "link"),
        "addresses": _lines("ip", "-o", "address"),
        "routes": _lines("ip", "route", "show", "table", "all") | _lines("ip", "-6", "route", "show", "table", "all"),
        "rules": _lines("nft", "list", "ruleset"),
        "namespaces": _lines("ip", "netns", "list"),
        "mounts": frozenset(line.split(" ", 2)[2] for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        "files": frozenset(_files(network)),
    }


def assert_alive(network: Network, at_least: int) -> None:
    """A check that finds nothing afterwards is worth something only if it found plenty before."""
    found = network.processes()
    measured("processes of the lab", len(found), "")
    assert len(found) >= at_least, found


def _added(before: dict[str, frozenset[str]], after: dict[str, frozenset[str]]) -> dict[str, list[str]]:
    return {kind: sorted(after[kind] - before[kind]) for kind in before if after[kind] - before[kind]}


def _lines(*argv: str) -> frozenset[str]:
    """Output lines without the counters and ages that change by themselves."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return frozenset(line.split(" expires ")[0].strip() for line in done.stdout.splitlines())


def _files(network: Network) -> Iterator[str]:
    places = [network.folder, network.scratch, Path("/run/netns"), Path("/run/lab"), Path("/var/run/wireguard")]
    for place in [*places, Path("/var/lib/spokewire"), Path("/run/spokewire")]:
        if place.exists():
            yield from (str(path) for path in [place, *place.rglob("*")])
