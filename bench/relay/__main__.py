"""`make bench-relay`: prints the tables of the relay's section in docs/benchmarks.md. `--quick`: one short round, to try it out."""

import argparse
import os
import platform
import time
from collections.abc import Callable

from bench.relay.capacity import measure_capacity
from bench.relay.difference import measure_difference
from bench.relay.ends import measure_ends
from bench.relay.hub_cost import measure_hub_cost
from bench.relay.matching import measure_matching
from bench.relay.rivals import all_rivals

ROUNDS = 7
PARTS = ("capacity", "matching", "ends", "difference", "hub")


def main() -> None:
    """Measure the parts that were asked for and print their tables at the end, ready to be pasted."""
    parser = argparse.ArgumentParser(prog="python -m bench.relay", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, help=f"{ROUNDS} if not told")
    parser.add_argument("parts", nargs="*", help=f"some of: {', '.join(PARTS)}; all if not told")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown parts: {', '.join(unknown)}")
    wanted = options.parts or list(PARTS)
    count = options.rounds or (1 if options.quick else ROUNDS)
    begun, load = time.monotonic(), os.getloadavg()[0]
    tables = measure(wanted, count, quick=options.quick)
    print(
        f"\n{count} rounds in {time.monotonic() - begun:.0f} s; {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"load before {load:.2f}. Median (least to most); ratios are of the same round.\n"
    )
    print("\n".join(tables))


def measure(wanted: list[str], count: int, *, quick: bool) -> list[str]:
    """The tables of some parts."""
    tables = []
    if "capacity" in wanted:
        tables.append(measure_capacity(count, quick=quick))
    if "matching" in wanted:
        tables.append(measure_matching(count))
    # The last binds the machines to cores, so it comes last.
    parts: dict[str, Callable[..., str]] = {
        "ends": measure_ends,
        "difference": measure_difference,
        "hub": measure_hub_cost,
    }
    if set(parts) & set(wanted):
        with all_rivals() as rivals:
            tables += [run(rivals, count, quick=quick) for part, run in parts.items() if part in wanted]
    return tables


if __name__ == "__main__":
    main()
