"""How long ago handshakes were, whatever happens to the wall clock that WireGuard tells them by. Pure.

`wg` tells the instant of a handshake by the wall clock of then. After the clock was set, that instant and the time of now cannot be compared; that it is
another instant than at the last look can.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from spokewire.network.names import WireGuardKey


@dataclass
class Ages:
    """The latest handshakes, as they were looked at. Steady instants are in seconds."""

    _seen: dict[WireGuardKey, tuple[int, float]] = field(default_factory=dict)
    """By peer: the wall-clock instant as it was told, and when that was by the steady clock."""
    _looked_at: float | None = None

    def note(self, told: Mapping[WireGuardKey, int | None], wall: float, steady: float) -> None:
        """Note a look: the latest handshake of every peer (seconds since 1970; None: none), and both clocks at that moment."""
        since_look_s = None if self._looked_at is None else steady - self._looked_at
        seen = {}
        for key, instant in told.items():
            if instant is None:
                continue
            before = self._seen.get(key)
            if before is not None and before[0] == instant:
                seen[key] = before
                continue
            age_s = max(0.0, wall - instant)
            # What is new since the last look happened since the last look.
            seen[key] = (instant, steady - (age_s if since_look_s is None else min(age_s, since_look_s)))
        self._seen, self._looked_at = seen, steady

    def age_s(self, key: WireGuardKey, steady: float) -> float | None:
        """Seconds since the latest handshake with a peer; None: there was none."""
        found = self._seen.get(key)
        return None if found is None else max(0.0, steady - found[1])
