"""The hub of the capacity measurement. Run inside its namespace: `python -m bench.relay.switching FOLDER ROUNDS FRAMES`; prints JSON.

One sender on one processor: the kernel carries each frame from the sender through the hub to the sink before it takes the next, so a rate is what one
core does with all three. The table and the tap are the product's own; without the table there is no tap either.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.relay import labels, rounds
from bench.relay.modules import python
from spokewire.relay.labels import LABEL_LIFETIME_S, Install, Label
from spokewire.relay.messages import Index
from spokewire.relay.places import Endpoint
from spokewire.relay.tables import Tables
from spokewire.relay.tap import Tap

MACS = (bytes.fromhex("02000000000b"), bytes.fromhex("02000000000a"))
"""The hub's, then the sender's."""
SIZES = {"small": 64, "large": 1376}
"""Bytes of a message; IP and UDP add 28. A data message is a multiple of 16 long."""
PLAIN, FEW, MANY_FEW, MANY = "plain", "few", "many-few", "many"
_LIFETIME_S = 86_400.0
_BATCH = 5000
INSTALL = "install"
"""Not a size of packets but the milliseconds for one label more, as a handshake costs them."""
_INSTALLS = 50
_LEAST_SHARE = 0.99
"""Less than that arriving is no measurement."""


class Bench:
    """One hub namespace, with its table or without."""

    def __init__(self, folder: Path, frames: int) -> None:
        self._folder, self._frames = folder, frames
        self._tables = Tables("bench")
        self._tap = Tap(labels.HUB_PORT, _ignore)
        self._few, self._many = labels.make_traffic(labels.FEW), labels.make_traffic(labels.MANY)
        for name, size in SIZES.items():
            for case, traffic in ((PLAIN, self._many), (FEW, self._few), (MANY, self._many)):
                self._path(case, name).write_bytes(traffic.heads(MACS, size, plain=case == PLAIN))

    def run(self, state: str, found: dict[str, rounds.Figures]) -> None:
        """Measure one state of the namespace, with messages of each size."""
        if state == "none":
            self._measure(PLAIN, PLAIN, found)
        elif state == "few":
            self._install(self._few)
            self._measure_install(FEW, found[INSTALL])
            self._measure(FEW, FEW, found)
        else:
            self._install(self._many)
            self._measure_install(MANY, found[INSTALL])
            self._measure(MANY_FEW, FEW, found)
            self._measure(MANY, MANY, found)
        self._tap.close()
        self._tables.remove()

    def _install(self, traffic: labels.Traffic) -> None:
        self._tap.open()
        self._tap.know(labels.sources())
        self._tables.create(labels.OUTSIDE)
        self._tables.place(labels.sources(), labels.endpoints().items())
        for begin in range(0, len(traffic.labels), _BATCH):
            self._tables.install((install, _LIFETIME_S) for install in traffic.labels[begin : begin + _BATCH])
            self._tables.commit()

    def _measure_install(self, case: str, figures: rounds.Figures) -> None:
        times = []
        for number in range(_INSTALLS):
            label = Label(labels.FIRST_SENDER, Index(number))
            begun = time.perf_counter()
            self._tables.install([(Install(label, labels.FIRST_RECEIVER), LABEL_LIFETIME_S)])
            self._tables.commit()
            times.append((time.perf_counter() - begun) * 1000)
        figures.add(case, statistics.median(times))

    def _measure(self, case: str, heads: str, found: dict[str, rounds.Figures]) -> None:
        for name, size in SIZES.items():
            before = _sunk()
            argv = python("sender", "wire", str(self._path(heads, name)), str(size), str(self._frames))
            seconds, sent = map(float, _run("ip", "netns", "exec", "sender", *argv).split())
            arrived = _sunk() - before
            if arrived < _LEAST_SHARE * sent:
                raise SystemExit(f"{case}, {name}: of {sent:,.0f} frames {arrived:,} arrived")
            found[name].add(case, arrived / seconds)

    def _path(self, case: str, size: str) -> Path:
        return self._folder / f"{case}-{size}.heads"


def _ignore(message: bytes, source: Endpoint) -> None:
    """Nothing arrives for the tap here."""


def _sunk() -> int:
    words = _run("ip", "netns", "exec", "sink", "nft", "list", "counter", "ip", "sink", "sunk").split()
    return int(words[words.index("packets") + 1])


def _run(*argv: str) -> str:
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout


def measure(bench: Bench, count: int, said: Callable[[str], None]) -> dict[str, rounds.Figures]:
    """All rounds; packets a second by size and case."""
    found = {name: rounds.Figures() for name in (*SIZES, INSTALL)}
    for number in range(count):
        for state in rounds.order(("none", "few", "many"), number):
            bench.run(state, found)
        said(f"capacity: round {number + 1} of {count}")
    return found


async def measure_and_print() -> None:
    """Measure and print; a tap belongs to an event loop."""
    folder, count, frames = sys.argv[1:4]
    found = measure(Bench(Path(folder), int(frames)), int(count), lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps({size: {c: figures.values(c) for c in figures.cases} for size, figures in found.items()}))


if __name__ == "__main__":
    asyncio.run(measure_and_print())
