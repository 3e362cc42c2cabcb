"""Who calls first, and when a silent peer is worth a new handshake. Pure.

WireGuard by itself is slow in both. Two initiations that cross end each other, and are repeated only after five seconds (REKEY_TIMEOUT); a session
that the other end has lost is given up only after fifteen (KEEPALIVE_TIMEOUT and REKEY_TIMEOUT; WireGuard paper, section 6).
Removing the peer and adding it again begins a handshake at once. It costs the old session, which is no loss where nothing comes back through it.

Where something does, it is not done: while an agent is away its WireGuard goes on, nobody answers echoes, and packets flow. WireGuard counts what it
has authenticated, so a count that grows by more than handshakes make (`note_arrivals`) tells that the session works in the direction to us. That says nothing of
echoes, by which alone a state is judged, nor of the other direction. If that one is dead, the other end is the one that hears nothing: its agent shakes hands
within seconds, or without an agent its WireGuard within fifteen. And no count grows for ever without both: a session is at most 180 s old (REJECT_AFTER_TIME), and
the handshake of the next one must get through both ways. So arrivals withhold our handshakes for as long as they come, and need no limit of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from spokewire.network.names import WireGuardKey

SILENT_S = 2.5
"""Without any sign of life, after we asked for one: several echoes are on their way by then, so that heavy loss alone is no silence."""
GREETING_S = 1.5
"""How long a node waits for the call of a new peer that calls first."""
ANSWERER_WAITS_S = 0.5
"""How much longer than its peer the one that does not call first waits when nothing is heard: a handshake has been answered by then, or was lost.

If the caller's clock was set back, its calls are refused, and this one's must come within five seconds of the last sign of life.
"""
FIRST_PAUSE_S = 2.0
"""A handshake that got lost is begun again so soon: WireGuard itself repeats it only after five seconds."""
LONGEST_PAUSE_S = 60.0
"""A peer that is switched off costs one handshake a minute."""
RESUME_S = 1.0
"""After a hub came back: its relay knows the labels of running sessions, and resumes them as soon as it has heard both ends."""
CALLER_SILENT_S = 2.5
"""How long a hub hears no echo of a node that is alive before it forgets what it knows of it: some eight echoes were lost by then."""
SPOKE_S = 1.5
"""A report that comes so long after the last echo was sent by an agent that runs, and echoes: it is the tunnel that is silent."""
COUNT_S = 2.0
"""So long before a handshake is due we begin to count what arrives: a path is left sooner than that (network/paths.py), and is not where packets arrive."""
SETTLED_S = 0.5
"""What is counted so soon after the last sign of life may have come before it."""
HANDSHAKE_BYTES = 148 + 92
"""An initiation and its answer (paper section 5.4). What comes beyond them within WINDOW_S belongs to a session."""
WINDOW_S = 2.0
"""Handshakes are begun no more often than that (FIRST_PAUSE_S; WireGuard itself: five seconds)."""
MOST_AT_ONCE = 8
"""Handshakes forced in one pass, so that a crowd which lost its hub does not drown it when it is back."""


@dataclass(frozen=True)
class Arrivals:
    """What WireGuard had received from a peer, in bytes, at an instant (monotonic seconds)."""

    at: float
    bytes: int


@dataclass(frozen=True)
class Silence:
    """What was heard of a machine, and what was tried since. Instants are monotonic seconds."""

    heard_at: float
    """Its last sign of life, or when we began to listen."""
    asked_at: float | None = None
    """The first time that we asked for one since; None: we did not."""
    back_at: float | None = None
    """The first sign of life after its last silence, or after packets came without one; None: there was none yet."""
    forced_at: float | None = None
    """When a handshake was forced last, since it was heard."""
    forced: int = 0
    """How often, since it was heard."""
    arrivals: Arrivals | None = None
    """What had arrived when we began to count; None: we do not."""
    flowed_at: float | None = None
    """When packets of its WireGuard arrived last, though it was not heard; None: none did."""


@dataclass(frozen=True)
class Peer:
    """A WireGuard peer of ours. `calls`: whether we call it first."""

    key: WireGuardKey
    is_hub: bool
    calls: bool
    silence: Silence


def find_path_silence(silence: Silence, since: float, now: float) -> float | None:
    """Of a machine that has answered no echo `since`: since when that tells against the path; None if it does not.

    While packets arrive, and nothing else, its WireGuard lives, and its agent does not. An agent that is back may not have been asked yet.
    """
    if silence.heard_at < since and silence.flowed_at is not None and now - silence.flowed_at < SILENT_S:
        return None
    return since if silence.back_at is None else max(since, silence.back_at)


def calls_first(mine: int, theirs: int) -> bool:
    """Whether we call another node first, by host numbers. A node calls its hubs: they do not know where it is."""
    return mine < theirs


def ask(silence: Silence, now: float) -> Silence:
    """We asked for a sign of life."""
    return replace(silence, asked_at=now) if silence.asked_at is None else silence


def hear(silence: Silence, now: float) -> Silence:
    """A sign of life came."""
    was_silent = silence.flowed_at is not None or (silence.asked_at is not None and now - silence.asked_at > SILENT_S)
    return Silence(now, back_at=now if was_silent or silence.back_at is None else silence.back_at)


def note_arrivals(before: Arrivals | None, silent_since: float, counted: Arrivals) -> tuple[Arrivals | None, bool]:
    """Take what WireGuard counted of a silent peer: what to compare the next count with, and whether more has arrived since than handshakes make.

    A count that is smaller than before is of a peer that was added again.
    """
    if counted.at < silent_since + SETTLED_S:
        return None, False
    if before is None or before.at < silent_since + SETTLED_S or counted.bytes < before.bytes:
        return counted, False
    windows = max(1.0, (counted.at - before.at) / WINDOW_S)
    if counted.bytes - before.bytes > HANDSHAKE_BYTES * windows:
        return counted, True
    return (counted if windows > 1.0 else before), False


def count(silence: Silence, counted: Arrivals) -> Silence:
    """Take what WireGuard counted of a machine that is not heard."""
    if silence.asked_at is None:
        return silence
    arrivals, flows = note_arrivals(silence.arrivals, silence.asked_at, counted)
    return replace(silence, arrivals=arrivals, flowed_at=counted.at if flows else silence.flowed_at)


def choose_counts(peers: Sequence[Peer], now: float) -> list[WireGuardKey]:
    """The peers of which to count what arrives, because a handshake with them is due within COUNT_S."""
    return [peer.key for peer in _find_due(peers, now, COUNT_S)]


def choose_handshakes(peers: Sequence[Peer], now: float) -> list[WireGuardKey]:
    """The silent peers with which to shake hands anew now, hubs first, at most MOST_AT_ONCE.

    Peers behind a hub that is silent itself are left alone, and for RESUME_S after it came back: no handshake would reach them, or none is needed.
    """
    due = _find_due(peers, now)
    due.sort(key=lambda peer: (not peer.is_hub, peer.silence.forced))
    return [peer.key for peer in due[:MOST_AT_ONCE]]


def _find_due(peers: Sequence[Peer], now: float, ahead_s: float = 0.0) -> list[Peer]:
    has_hub = any(_has_settled(peer.silence, now) for peer in peers if peer.is_hub)
    return [peer for peer in peers if (has_hub or peer.is_hub) and _is_due(peer, now + ahead_s)]


def _is_due(peer: Peer, now: float) -> bool:
    silence, patience_s = peer.silence, 0.0 if peer.calls else ANSWERER_WAITS_S
    if silence.asked_at is None:
        return False
    if silence.flowed_at is not None and now - silence.flowed_at < SILENT_S + patience_s:
        return False
    if silence.forced_at is None:
        return now - silence.asked_at >= SILENT_S + patience_s
    return now - silence.forced_at >= _find_pause_s(silence.forced) + patience_s


def _has_settled(hub: Silence, now: float) -> bool:
    is_heard = hub.asked_at is None or now - hub.asked_at < SILENT_S
    return is_heard and hub.back_at is not None and now - hub.back_at >= RESUME_S


@dataclass(frozen=True)
class Caller:
    """A node as its hub knows it. Instants are monotonic seconds."""

    key: WireGuardKey
    heard_at: float | None
    """Its last echo through the tunnel; None: there was none yet."""
    follows_since: float | None
    """Since when it follows this hub's roster, which takes its own key; None: it does not now."""
    spoke_at: float | None
    """When it last sent a signed report; None: it did not."""
    renewed_at: float | None = None
    """When its peer was renewed last, since it was heard."""
    renewed: int = 0
    arrivals: Arrivals | None = None
    """What had arrived through the tunnel when we began to count; None: we do not."""
    flowed_at: float | None = None
    """When packets of its WireGuard arrived last, though no echo did; None: none did since its last echo."""

    @property
    def silent_since(self) -> float:
        """Since when an echo of it is missing; meaningless of one that does not follow."""
        return max(self.follows_since or 0.0, self.heard_at or 0.0)


def count_caller(caller: Caller, counted: Arrivals) -> Caller:
    """Take what a hub's WireGuard counted of a node."""
    arrivals, flows = note_arrivals(caller.arrivals, caller.silent_since, counted)
    if arrivals is None:
        return replace(caller, arrivals=None, flowed_at=None)
    return replace(caller, arrivals=arrivals, flowed_at=counted.at if flows else caller.flowed_at)


def choose_renewals(callers: Sequence[Caller], now: float) -> list[WireGuardKey]:
    """The nodes whose WireGuard peer a hub is to remove and add again now, at most MOST_AT_ONCE.

    WireGuard refuses handshakes whose timestamp is not newer than the last (paper section 5.1), so a node whose clock was set back is shut out until
    its hub forgets it. A stranger cannot bring that about: the node must have proved by its own key that it is alive, and hear nothing. One whose packets
    arrive is not shut out: its session works, only its echoes are not there yet, as while its agent starts.
    """
    due = [caller for caller in callers if _is_shut_out(caller, now)]
    due.sort(key=lambda caller: caller.renewed)
    return [caller.key for caller in due[:MOST_AT_ONCE]]


def _is_shut_out(caller: Caller, now: float) -> bool:
    if caller.follows_since is None or caller.spoke_at is None:
        return False
    if caller.flowed_at is not None and now - caller.flowed_at < CALLER_SILENT_S:
        return False
    if now - caller.silent_since < CALLER_SILENT_S or caller.spoke_at - (caller.heard_at or 0.0) < SPOKE_S:
        return False
    return caller.renewed_at is None or now - caller.renewed_at >= _find_pause_s(caller.renewed)


def _find_pause_s(times: int) -> float:
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(times - 1, 10))
