"""From echoes to a state: pure, with `now` as an argument."""

from collections.abc import Sequence
from dataclasses import dataclass

from spokewire.network.probing import Trail
from spokewire.network.status import PeerStatus, State

SILENCE_S = 3.0
LEAST_UNANSWERED = 5
"""A missing answer makes us ask every quarter of a second: some ten echoes in three seconds. A line that loses a fifth of the packets each way loses
ten round trips in a row once in sixty thousand seconds; one that loses a twentieth, never."""
MIN_SAMPLES = 40
"""With fewer echoes a few lost packets would look like heavy loss."""
LOSS_DEGRADED_PCT = 25.0
LOSS_RECOVERED_PCT = 15.0
"""Of the last sixty echoes. A line that loses a twentieth each way loses a tenth of the round trips, one that loses a fifth more than a third: both
thresholds are some three standard deviations from either, so that neither flaps."""
FEW_SAMPLES = 6
LOSS_SEVERE_PCT = 50.0
"""Of those few that there are yet."""


HEARD_S = 5.0
"""How long a hub may miss echoes: its nodes send one a second, or are late by their own limit for silence and a little."""


@dataclass(frozen=True)
class Health:
    """A state with its reason."""

    state: State
    reason: str


def judge_echo(trail: Trail, before: State, heard_at: float, now: float) -> Health:
    """Judge one machine by our echoes to it. `before` gives the dead band; `heard_at`: its last sign of life of any kind.

    Only an answered echo is health. What else is heard of it tells in which direction packets are lost.
    """
    since = trail.unanswered_since
    if since is not None and trail.unanswered >= LEAST_UNANSWERED and now - since >= SILENCE_S:
        return Health(State.DISCONNECTED, _tell_silence_of(trail, heard_at > since, now))
    if trail.last_answer_at is None:
        return Health(State.STARTING, "no echo has come back yet")
    threshold = LOSS_RECOVERED_PCT if before is State.DEGRADED else LOSS_DEGRADED_PCT
    count = len(trail.recent)
    if count < MIN_SAMPLES:
        threshold = LOSS_SEVERE_PCT
    if count >= FEW_SAMPLES and 100.0 * trail.recent_lost / count > threshold:
        return Health(State.DEGRADED, _tell_loss(trail, now))
    return Health(State.CONNECTED, "echoes come back")


def _tell_silence_of(trail: Trail, is_heard: bool, now: float) -> str:
    age_s = trail.last_answer_age_s(now)
    what = (
        f"no echo has ever come back in {now - trail.begins_at:.0f} s"
        if age_s is None
        else f"no echo for {age_s:.0f} s"
    )
    return f"{what}, although its own arrive here: packets are lost on the way out" if is_heard else what


def _tell_loss(trail: Trail, now: float) -> str:
    text = f"{100.0 * trail.recent_lost / len(trail.recent):.0f} % of the echoes are lost"
    losses = trail.losses(now, 60.0)
    if (
        losses.out_pct is None
        or losses.back_pct is None
        or max(losses.out_pct, losses.back_pct) < LOSS_RECOVERED_PCT / 2
    ):
        return text
    if losses.out_pct > 3 * losses.back_pct:
        return f"{text}, nearly all on the way out"
    return f"{text}, nearly all on the way back" if losses.back_pct > 3 * losses.out_pct else text


def judge_node(hubs: Sequence[PeerStatus], peers: Sequence[PeerStatus], blocking: str) -> Health:
    """Judge a node by its hubs and peers. `blocking` names what stops it from keeping its tunnel; "" if nothing does.

    Echoes outrank everything: while they come back, a blocked node is connected, and what blocks it is an issue; and one that only its peers answer
    is degraded. A single silent peer is that peer's state, not this node's: it may simply be switched off. A silent hub is this node's too, although
    another hub carries its pairs: there is one path less. A hub that was never heard yet, as one that was just added, is none that was lost.
    """
    alive = [hub for hub in hubs if hub.state in (State.CONNECTED, State.DEGRADED)]
    if not alive:
        return _judge_hubless(_judge_cut_off(hubs, blocking), peers)
    well = [hub.name for hub in alive if hub.state is State.CONNECTED]
    wrong = [f"{hub.name}: {hub.reason}" for hub in hubs if hub.state in (State.DEGRADED, State.DISCONNECTED)]
    silent = [peer for peer in peers if peer.state is State.DISCONNECTED]
    if len(silent) > 1 and len(silent) == len(peers):
        who = "the hub answers" if len(hubs) == 1 else f"{', '.join(hub.name for hub in alive)} answers"
        wrong.append(f"{who}, but none of {len(peers)} peers does")
    elif wrong and well:
        wrong.append(f"echoes come back from {', '.join(well)}")
    if wrong:
        return Health(State.DEGRADED, "; ".join(wrong))
    return Health(State.CONNECTED, f"echoes come back from {', '.join(well)}")


def _judge_hubless(cut_off: Health, peers: Sequence[PeerStatus]) -> Health:
    """A hub whose agent is dead may still relay: a node whose peers answer is not cut off, whatever its hubs do."""
    answering = [peer for peer in peers if peer.state in (State.CONNECTED, State.DEGRADED)]
    if cut_off.state is State.STARTING or not answering:
        return cut_off
    return Health(State.DEGRADED, f"{cut_off.reason}; echoes come back from {len(answering)} of {len(peers)} peers")


def _judge_cut_off(hubs: Sequence[PeerStatus], blocking: str) -> Health:
    if blocking:
        return Health(State.DISCONNECTED, blocking)
    if not hubs:
        return Health(State.STARTING, "no hub is known yet")
    if all(hub.state is State.STARTING for hub in hubs):
        return Health(State.STARTING, "no echo has come back from a hub yet")
    return Health(State.DISCONNECTED, "; ".join(_tell_silence(hub) for hub in hubs))


def _tell_silence(hub: PeerStatus) -> str:
    """A tunnel that once came up and fell silent is another fault than one that never got a packet through."""
    never_heard = hub.last_handshake_age_s is None and hub.last_echo_age_s is None
    never = ", and no WireGuard handshake ever: UDP seems to be blocked on the way" if never_heard else ""
    return f"{hub.name}: {hub.reason}{never}"


@dataclass(frozen=True)
class Guest:
    """A node with an agent, as its hub knows it. Ages in seconds."""

    name: str
    known_s: float
    """How long this hub's daemon has known of it."""
    echo_age_s: float | None
    """Of its last echo through the tunnel; None: there was none yet."""
    follows_s: float | None
    """How long it has followed this hub's API without a break; None: it does not now."""


def judge_hub(guests: Sequence[Guest], before: State, blocking: str) -> Health:
    """Judge a hub by the echoes of its nodes. `blocking` names what stops it from keeping its tunnel; "" if nothing does.

    Where nobody is expected there is nothing to prove. A node that has just come is given HEARD_S, in which the hub is what it was `before`.
    """
    heard = [guest for guest in guests if guest.echo_age_s is not None and guest.echo_age_s <= HEARD_S]
    if heard:
        is_whole = len(heard) == len(guests)
        relaying = "relaying" if is_whole else f"relaying: echoes come from {len(heard)} of {len(guests)} nodes"
        return (
            Health(State.DEGRADED, f"{blocking} It is still {relaying}")
            if blocking
            else Health(State.CONNECTED, relaying)
        )
    if blocking:
        return Health(State.DISCONNECTED, blocking)
    if not guests:
        return Health(State.CONNECTED, "ready to relay: no node with an agent has joined yet")
    if all(guest.known_s < HEARD_S for guest in guests):
        state = before if before is State.CONNECTED else State.STARTING
        return Health(state, "no echo has come from a node yet")
    silent = [guest.name for guest in guests if guest.follows_s is not None and guest.follows_s >= HEARD_S]
    if silent:
        who = silent[0] if len(silent) == 1 else f"{len(silent)} nodes"
        verb = "follows" if len(silent) == 1 else "follow"
        return Health(State.DEGRADED, f"no echo comes through the tunnel, though {who} {verb} its API")
    return Health(
        State.DEGRADED, f"nothing is heard of {_tell_crowd(guests)}, which may be switched off; or this hub is cut off"
    )


def _tell_crowd(guests: Sequence[Guest]) -> str:
    return guests[0].name if len(guests) == 1 else f"any of {len(guests)} nodes"
