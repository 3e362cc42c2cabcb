"""One machine that is sent echoes, and what is known of it."""

from dataclasses import dataclass

from spokewire.host import clock
from spokewire.network.handshakes import GREETING_S, Silence
from spokewire.network.health import Health
from spokewire.network.probing import MISSING_HUB_S, PATIENCE_RTTS, SUSPECT_S, Interest, Trail, find_missing_interval_s
from spokewire.network.status import State
from spokewire.node.targets import Target

SEALING_BYTES = 47
"""WireGuard's head and tag, and at most 15 of padding."""


@dataclass
class Watched:
    """One machine that we send echoes to. `since` is wall time, other instants are monotonic."""

    target: Target
    address: str
    trail: Trail
    health: Health
    since: float
    silence: Silence
    due_at: float
    """When to ask next, unless an answer is missing before."""
    asked_at: float = 0.0
    active_until: float = 0.0
    packets: int = 0
    """Echo packets of either direction since the traffic was counted last."""
    sized_bytes: int = 0
    """What echoes of chosen sizes made of it."""
    bytes_counted: int | None = None
    is_direct: bool = False
    """Whether packets go there without a hub."""

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.target.name

    def note_sized(self, size: int, packets: int = 1) -> None:
        """Note packets of a chosen size, of either direction, that carry our echoes."""
        self.sized_bytes += packets * (size + SEALING_BYTES)

    def patience_s(self, now: float) -> float:
        """How long an answer may be missing before it means something."""
        return max(MISSING_HUB_S if self.has_other_path else SUSPECT_S, PATIENCE_RTTS * self.rtt_s(now))

    def rtt_s(self, now: float) -> float:
        """The round trip; 0 while it is not known."""
        return (self.trail.rtt_ms(now) or 0.0) / 1000

    @property
    def has_other_path(self) -> bool:
        """Whether packets can go another way at once: through another hub, or through a hub at all."""
        return self.target.has_rivals or self.is_direct

    def interest(self, now: float) -> Interest:
        """How much we want to know of it while nothing is missing."""
        if self.target.is_hub:
            return Interest.HUB
        return Interest.ACTIVE if now < self.active_until else Interest.IDLE

    def is_suspect(self, now: float) -> bool:
        """Whether an answer is missing, and it is not known yet whether that means anything."""
        if self.trail.unanswered_since is None or self.health.state is State.DISCONNECTED:
            return False
        return self.trail.is_suspect(now, self.patience_s(now))

    def next_look_at(self, now: float) -> float:
        """When to look at it again: when it is to be asked, or when a missing answer begins to mean something."""
        since = self.trail.unanswered_since
        if since is None or self.health.state is State.DISCONNECTED:
            return self.due_at
        return min(self.due_at, since + self.patience_s(now))

    def missing_interval_s(self, suspects: int, now: float) -> float:
        """How long to wait from one echo to the next while an answer is missing, of it and of so many machines in all."""
        return find_missing_interval_s(
            is_hub=self.target.is_hub,
            has_other_path=self.has_other_path,
            rtt_s=self.rtt_s(now),
            suspects=suspects,
        )


def begin(target: Target, address: str, now: float, *, is_new: bool = True) -> Watched:
    """Begin to watch a machine: one that is new to us and calls first is given a moment to do so. One of before does not know that we begin anew."""
    is_awaited = is_new and not target.calls and target.peer is not None
    begins_at = now + GREETING_S if is_awaited else now
    health = Health(State.STARTING, "no echo has come back yet")
    return Watched(target, address, Trail(begins_at), health, clock.wall(), Silence(now), due_at=begins_at)
