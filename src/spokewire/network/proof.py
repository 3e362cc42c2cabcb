"""The proof: what each pair of nodes showed with real traffic, and the verdict over all of them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations

from pydantic import BaseModel, ConfigDict

MAX_LOSS_PCT = 20.0
"""One echo in ten may be lost on a bad day; two are a finding."""
ECHOES_PER_PAIR = 10
TRANSFER_BYTES = 256 * 1024
"""The most that a pair transfers each way: some 190 full packets, so that a black hole for large ones shows."""
LEAST_TRANSFER_BYTES = 16 * 1024
"""The least: a dozen full packets."""
ALL_TRANSFERS_BYTES = 16 * 1024 * 1024
"""What all pairs together transfer each way."""
MOST_AT_ONCE = 4
ALL_AT_ONCE = 20
"""How many pairs of the whole network speak at a time: twenty send a thousand echoes a second, which the smallest hub relays."""
BANDWIDTH_SECONDS = 3.0


class Step(StrEnum):
    """What a test request asks for. A proof is two requests: the transfers of some nodes must not drown the echoes of others."""

    ECHO = "echo"
    TRANSFER = "transfer"
    BANDWIDTH = "bandwidth"
    """A transfer, and then as much as goes through: for one pair at a time."""


class PairResult(BaseModel):
    """What `source` saw when it spoke to `target` over the overlay."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    source: str
    target: str
    rtt_ms: float | None = None
    """Median round trip of the UDP echoes; None if none came back."""
    udp_loss_pct: float = 100.0
    tcp_ok: bool = False
    checksum_ok: bool = False
    mbits: float | None = None
    """TCP throughput in Mbit/s; None unless bandwidth was asked for."""
    path: str = ""
    """How packets of `source` go to `target` by its own word; "" if it has not told."""
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether this pair proved its traffic in this direction."""
        return self.udp_loss_pct <= MAX_LOSS_PCT and self.tcp_ok and self.checksum_ok


def all_pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Every ordered pair: each direction is a claim of its own."""
    return list(permutations(names, 2))


@dataclass(frozen=True)
class Pace:
    """How hard a node goes about a proof: how many peers at a time, and how much it transfers to each, each way."""

    at_once: int
    transfer_bytes: int


def plan_pace(pairs: Collection[tuple[str, str]]) -> Pace:
    """The pace for a proof of these pairs: all of them go through one hub, and the proof must not be the outage that it looks for."""
    sources = len({source for source, _ in pairs})
    size = ALL_TRANSFERS_BYTES // max(1, len(pairs))
    return Pace(
        at_once=max(1, min(MOST_AT_ONCE, ALL_AT_ONCE // max(1, sources))),
        transfer_bytes=max(LEAST_TRANSFER_BYTES, min(TRANSFER_BYTES, size)),
    )


def order_targets(source: str, targets: Iterable[str]) -> list[str]:
    """The order in which a node speaks to others: those after it first, so that not everybody begins with the same one."""
    names = sorted(targets)
    later = [name for name in names if name > source]
    return later + [name for name in names if name <= source]


def join(echo: PairResult, transfer: PairResult) -> PairResult:
    """One result of the two halves of a pair's proof."""
    return echo.model_copy(
        update={
            "tcp_ok": transfer.tcp_ok,
            "checksum_ok": transfer.checksum_ok,
            "mbits": transfer.mbits,
            "error": echo.error or transfer.error,
        }
    )


def collect(
    pairs: Iterable[tuple[str, str]], results: Iterable[PairResult], silent: dict[str, str]
) -> list[PairResult]:
    """Put the results in the order of the pairs; a pair without result failed, for the reason that `silent` has for its source."""
    seen = {(result.source, result.target): result for result in results}
    return [
        seen.get(pair)
        or PairResult(source=pair[0], target=pair[1], error=silent.get(pair[0], "no result arrived in time"))
        for pair in pairs
    ]
