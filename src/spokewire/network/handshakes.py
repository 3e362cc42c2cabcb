"""Who calls first, and when a silent peer is worth a new handshake. Pure.

WireGuard by itself is slow in both. Two initiations that cross end each other, and are repeated only after five seconds (REKEY_TIMEOUT); a session
that the other end has lost is given up only after fifteen (KEEPALIVE_TIMEOUT and REKEY_TIMEOUT; WireGuard paper, section 6).
Removing the peer and adding it again begins a handshake at once. It costs the old session, which is no loss where nothing comes back through it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from spokewire.network.names import WireGuardKey

SILENT_S = 2.5
"""Without any sign of life, after we asked for one: several echoes are on their way by then, so that heavy loss alone is no silence."""
ANSWERER_WAITS_S = 1.5
"""How much longer than its peer the one that does not call first waits: a handshake has been answered by then, or was lost."""
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 60.0
"""A peer that is switched off costs one handshake a minute."""
RESUME_S = 1.0
"""After a hub came back: its relay knows the labels of running sessions, and resumes them as soon as it has heard both ends."""
MOST_AT_ONCE = 8
"""Handshakes forced in one pass, so that a crowd which lost its hub does not drown it when it is back."""


@dataclass(frozen=True)
class Silence:
    """What was heard of a machine, and what was tried since. Instants are monotonic seconds."""

    heard_at: float
    """Its last sign of life, or when we began to listen."""
    asked_at: float | None = None
    """The first time that we asked for one since; None: we did not."""
    back_at: float | None = None
    """The first sign of life after its last silence; None: there was none yet."""
    forced_at: float | None = None
    """When a handshake was forced last, since it was heard."""
    forced: int = 0
    """How often, since it was heard."""


@dataclass(frozen=True)
class Peer:
    """A WireGuard peer of ours. `calls`: whether we call it first."""

    key: WireGuardKey
    is_hub: bool
    calls: bool
    silence: Silence


def calls_first(mine: int, theirs: int) -> bool:
    """Whether we call another node first, by host numbers. A node calls its hubs: they do not know where it is."""
    return mine < theirs


def ask(silence: Silence, now: float) -> Silence:
    """We asked for a sign of life."""
    return replace(silence, asked_at=now) if silence.asked_at is None else silence


def hear(silence: Silence, now: float) -> Silence:
    """A sign of life came."""
    was_silent = silence.asked_at is not None and now - silence.asked_at > SILENT_S
    return Silence(now, back_at=now if was_silent or silence.back_at is None else silence.back_at)


def choose_handshakes(peers: Sequence[Peer], now: float) -> list[WireGuardKey]:
    """The silent peers with which to shake hands anew now, hubs first, at most MOST_AT_ONCE.

    Peers behind a hub that is silent itself are left alone, and for RESUME_S after it came back: no handshake would reach them, or none is needed.
    """
    due = [peer for peer in peers if _is_due(peer, now)]
    if not any(_has_settled(peer.silence, now) for peer in peers if peer.is_hub):
        due = [peer for peer in due if peer.is_hub]
    due.sort(key=lambda peer: (not peer.is_hub, peer.silence.forced))
    return [peer.key for peer in due[:MOST_AT_ONCE]]


def _is_due(peer: Peer, now: float) -> bool:
    silence, patience_s = peer.silence, 0.0 if peer.calls else ANSWERER_WAITS_S
    if silence.asked_at is None:
        return False
    if silence.forced_at is None:
        return now - silence.asked_at >= SILENT_S + patience_s
    pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(silence.forced - 1, 10))
    return now - silence.forced_at >= pause_s + patience_s


def _has_settled(hub: Silence, now: float) -> bool:
    is_heard = hub.asked_at is None or now - hub.asked_at < SILENT_S
    return is_heard and hub.back_at is not None and now - hub.back_at >= RESUME_S
