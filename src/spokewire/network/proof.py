"""The proof: what each pair of nodes showed with real traffic, and the verdict over all of them (DESIGN section 6)."""

from collections.abc import Iterable
from itertools import permutations

from pydantic import BaseModel, ConfigDict

MAX_LOSS_PCT = 20.0
"""One echo in ten may be lost on a bad day; two are a finding."""
ECHOES_PER_PAIR = 10
TRANSFER_BYTES = 256 * 1024
"""Enough for some 190 full packets each way: a black hole for large packets shows, and 20 nodes finish in seconds."""
BANDWIDTH_SECONDS = 3.0


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
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether this pair proved its traffic in this direction."""
        return self.udp_loss_pct <= MAX_LOSS_PCT and self.tcp_ok and self.checksum_ok


def all_pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Every ordered pair: each direction is a claim of its own."""
    return list(permutations(names, 2))


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
