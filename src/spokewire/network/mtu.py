"""What size of packet passes to one machine: when to doubt it, which sizes to try, and what to conclude. Pure.

All sizes are those of whole packets inside the tunnel, as in an interface's MTU. A black hole is a path that loses large packets without a word: small
echoes come back, large ones do not, and whatever transfers data stands still for ever.

A full-size echo goes out every two seconds where there is traffic. If it stays away as often as no chance explains, while small ones come back, one of each size is sent, as
often; the largest that comes back is the limit. From then on larger ones are tried again, with growing waits, and believed when each of them came back.
"""

import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

SIZES = (1408, 1392, 1376, 1360, 1344, 1328, 1312, 1296, 1280, 1264, 1248, 1232, 1216, 1200, 1152, 1024, 896, 768, 576)
"""Multiples of 16: WireGuard pads every packet to such a one, as far as the MTU lets it (paper section 5.4.6), so that a size between them would
show what the next larger one does. 1408 fits 1500 over either family; 1216 a path of 1280 over IPv4, 1200 over IPv6."""
CHECK_INTERVAL_S = 2.0
"""Where there is traffic: TCP waits 3, then 6, then 12 s between its own tries, and begins to flow at the first after the MTU was lowered."""
IDLE_INTERVAL_S = 10.0
"""To a hub while no peer has traffic: a thousand idle nodes make its line carry a megabit a second for this."""
CHECKS_PER_S = 4.0
"""To all machines together: 6 kB a second at most, whatever their number."""
PACE_S = 0.25
"""From one try to the next."""
PATIENCE_S = 0.5
"""An answer that is not back a round trip and this long after its question is missing."""
LEAST_TRIES = 3
MOST_TRIES = 20
CHANCE = 1e-5
"""So seldom may a line that loses packets of any size look like a black hole."""
SHOWN = 3
"""Machines that one sentence names."""
RETRY_S = 10.0
RETRY_MAX_S = 600.0
"""A larger size is tried again after 10 s, then after 20, 40 and so on."""


class Way(Enum):
    """On which way the larger packets got lost."""

    OUT = auto()
    BACK = auto()


class _Phase(Enum):
    WAITING = auto()
    CHECKING = auto()
    """The largest size that is believed to pass is tried."""
    MEASURING = auto()
    """It does not pass: every smaller one is tried."""
    RAISING = auto()
    """Every larger one is tried."""


@dataclass(frozen=True)
class Line:
    """What the usual small echoes say of the same machine: their loss in the last minute (0 to 1), and their round trip."""

    loss: float = 0.0
    rtt_s: float = 0.0


def find_tries(loss: float) -> int:
    """How many echoes must stay away until chance does not explain it, on a line that loses this share of them."""
    if loss <= 0:
        return LEAST_TRIES
    if loss >= 1:
        return MOST_TRIES
    return min(MOST_TRIES, max(LEAST_TRIES, math.ceil(math.log(CHANCE) / math.log(loss))))


@dataclass(frozen=True)
class Limit:
    """What passes to one machine, as it was found out."""

    name: str
    is_hub: bool
    size: int
    way: Way = Way.OUT


def find_narrowest(limits: Iterable[Limit], ceiling: int) -> list[Limit]:
    """Those to whom the least passes; none while the ceiling passes to all. Where a hub is among them it is this node's own line, whoever is behind."""
    narrow = [limit for limit in limits if limit.size < ceiling]
    least = min((limit.size for limit in narrow), default=ceiling)
    chosen = [limit for limit in narrow if limit.size == least]
    return [limit for limit in chosen if limit.is_hub] or chosen


def tell_narrowest(narrowest: Sequence[Limit]) -> str:
    """What is wrong with the way to these machines, of which there is one at least, as a sentence."""
    names = ", ".join(limit.name for limit in narrowest[:SHOWN])
    more = f" and {len(narrowest) - SHOWN} more" if len(narrowest) > SHOWN else ""
    way = "back from" if all(limit.way is Way.BACK for limit in narrowest) else "to"
    return f"packets above {narrowest[0].size} bytes do not pass on the way {way} {names}{more}"


def find_check_interval_s(crowd: int, *, in_use: bool) -> float:
    """How long to wait from one full-size echo to the next, with so many machines to check; `in_use`: any of them may have traffic."""
    return max(CHECK_INTERVAL_S if in_use else IDLE_INTERVAL_S, crowd / CHECKS_PER_S)


@dataclass
class Gauge:
    """The size of packet that passes to one machine. Instants are monotonic seconds."""

    ceiling: int
    """The MTU that a good path has."""
    check_at: float
    limit: int = 0
    """The largest size that is believed to pass; at first the ceiling."""
    way: Way = Way.OUT
    """Where the larger ones got lost, while the limit is below the ceiling."""
    is_proved: bool = True
    """Whether a packet of that size came back since the limit was changed."""
    retry_s: float = RETRY_S
    retry_at: float = math.inf
    _phase: _Phase = _Phase.WAITING
    _mtu: int = 0
    _checked: int = 0
    """The size that this phase began with."""
    _sequence: int = 0
    _sent: "OrderedDict[int, int]" = field(default_factory=OrderedDict)
    """Sequence number to size, of this phase."""
    _came: dict[int, int] = field(default_factory=dict)
    """How many of each size came back in this phase."""
    _tries: int = 0
    _tried_at: float = 0.0
    _missing: int | None = None
    """How many of our echoes had not arrived there, by the newest answer."""
    _missing_before: int | None = None

    def __post_init__(self) -> None:
        self.limit = self.limit or self.ceiling

    def step(self, line: Line, mtu: int, interval_s: float, now: float) -> tuple[int, ...]:
        """The sizes to send now, each once and in this order; mostly none. Call it every PACE_S.

        `mtu` is that of the interface: what is larger need not be checked, as nobody sends it. `interval_s` is the time between checks.
        """
        self._mtu = mtu
        match self._phase:
            case _Phase.WAITING:
                if now >= self.retry_at:
                    return self._enter(_Phase.RAISING, now)
                return self._enter(_Phase.CHECKING, now) if now >= self.check_at else ()
            case _Phase.CHECKING:
                return self._check(line, interval_s, now)
            case _Phase.MEASURING:
                return self._repeat(line, now) or self._conclude(line, interval_s, now)
            case _Phase.RAISING:
                return self._repeat(line, now) or self._raise(line, interval_s, now)

    def send(self, size: int) -> int:
        """Note an echo of a size that leaves now; return its sequence number, which counts from 1."""
        self._sequence += 1
        self._sent[self._sequence] = size
        return self._sequence

    def answer(self, sequence: int, received: int) -> int | None:
        """Note an answer; `received` is how many of our sized echoes had arrived there. Return its size; None: it is of no interest any more."""
        size = self._sent.pop(sequence, None)
        if size is None:
            return None
        self._missing = sequence - received
        self._came[size] = self._came.get(size, 0) + 1
        return size

    def check_soon(self, now: float) -> None:
        """Let the next check be at once."""
        self.check_at = min(self.check_at, now)

    def retry_soon(self, now: float) -> None:
        """Let a larger size be tried at once, if there is one."""
        if self.limit < self.ceiling:
            self.retry_at = now

    def is_resting(self, now: float) -> bool:
        """Whether `step` would do nothing now."""
        return self._phase is _Phase.WAITING and now < min(self.check_at, self.retry_at)

    @property
    def is_busy(self) -> bool:
        """Whether something is being found out that may change the limit."""
        return self._phase in (_Phase.MEASURING, _Phase.RAISING) or (self._phase is _Phase.CHECKING and self._tries > 1)

    def _enter(self, phase: _Phase, now: float) -> tuple[int, ...]:
        self._phase, self._tries, self._tried_at = phase, 1, now
        self._checked = min(self.limit, self._mtu)
        self._sent.clear()
        self._came.clear()
        if phase is not _Phase.MEASURING:
            self._missing_before = self._missing
        return self._sizes()

    def _sizes(self) -> tuple[int, ...]:
        """The largest first, so that the answers to the small ones tell how many of the large ones arrived."""
        every = (self.ceiling, *(size for size in SIZES if size < self.ceiling))
        match self._phase:
            case _Phase.CHECKING:
                # A small one beside it, once the first is missing, tells a black hole from silence.
                return (self._checked,) if self._tries == 1 else (self._checked, SIZES[-1])
            case _Phase.MEASURING:
                return tuple(size for size in every if size <= self._checked)
            case _Phase.RAISING:
                return tuple(size for size in every if size > self.limit)
            case _Phase.WAITING:
                return ()

    def _check(self, line: Line, interval_s: float, now: float) -> tuple[int, ...]:
        if self._checked in self._came:
            self.is_proved = True
            self._wait(now, interval_s)
            return ()
        is_missing = now - self._tried_at >= PATIENCE_S + line.rtt_s
        if self._tries < find_tries(line.loss):
            return self._again(now) if is_missing or (self._tries > 1 and now - self._tried_at >= PACE_S) else ()
        if not is_missing:
            return ()
        if self._came:
            return self._enter(_Phase.MEASURING, now)
        self._wait(now, interval_s)
        return ()

    def _repeat(self, line: Line, now: float) -> tuple[int, ...]:
        if self._tries < find_tries(line.loss) and now - self._tried_at >= PACE_S:
            return self._again(now)
        return ()

    def _again(self, now: float) -> tuple[int, ...]:
        self._tries += 1
        self._tried_at = now
        return self._sizes()

    def _conclude(self, line: Line, interval_s: float, now: float) -> tuple[int, ...]:
        if now - self._tried_at < PATIENCE_S + line.rtt_s:
            return ()
        passing = max(self._came, default=self._checked)
        if passing < self._checked:
            self.way = self._find_way()
            self.limit, self.is_proved, self.retry_at = passing, False, now + self.retry_s
            self._wait(now, 0.0)
        else:
            self._wait(now, interval_s)
        return ()

    def _raise(self, line: Line, interval_s: float, now: float) -> tuple[int, ...]:
        if now - self._tried_at < PATIENCE_S + line.rtt_s:
            return ()
        passing = max((size for size, count in self._came.items() if count >= self._tries), default=None)
        if passing is not None:
            self.limit, self.is_proved = passing, False
        self.retry_s = min(RETRY_MAX_S, 2 * self.retry_s)
        if self.limit == self.ceiling:
            self.retry_at = math.inf
        else:
            self.retry_at = now + self.retry_s
        self._wait(now, 0.0 if passing is not None else interval_s)
        return ()

    def _wait(self, now: float, wait_s: float) -> None:
        self._phase, self.check_at = _Phase.WAITING, now + wait_s

    def _find_way(self) -> Way:
        """If those that are lost did arrive there, their answers were lost."""
        if self._missing is None or self._missing_before is None or self._missing < self._missing_before:
            return Way.OUT  # It cannot be told: none had come back before, or the other side has begun to count anew.
        return Way.OUT if self._missing - self._missing_before >= self._tries else Way.BACK
