"""Why packets of two nodes take the path that they take, and which they would take next. Pure.

The choice itself is made in each node, from measurements through the tunnel. This reads what the nodes tell of it, and of every hub.
"""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from spokewire.network.overview import NetworkOverview, NodeOverview
from spokewire.network.paths import LOSS_BETTER_PCT, RTT_BETTER_MS
from spokewire.network.redundancy import ALIVE, DIRECT, VIA
from spokewire.network.shares import name_pair, rank_hub
from spokewire.network.spec import MachineSpec, NetworkSpec
from spokewire.network.status import PeerStatus, State


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True)


class Side(_Shape):
    """What one node of the pair says of the other."""

    node: str
    path: str | None = None
    """None: no word comes of it."""
    reason: str = ""
    """Why this path; "" where there is no choice."""
    since: float | None = None
    """When packets began to take it, in seconds since 1970; None where there is no choice."""
    state: State = State.DISCONNECTED
    state_reason: str = ""
    rtt_ms: float | None = None
    loss_pct: float | None = None


class Leg(_Shape):
    """The way from one node to a hub, as the node measures it: round trip there and back."""

    node: str
    state: State | None = None
    """None: nothing is known of it."""
    reason: str = ""
    rtt_ms: float | None = None
    loss_pct: float | None = None


class Candidate(_Shape):
    """A path that packets of the pair take or might take."""

    path: str
    in_use: bool
    usable: bool
    reason: str
    """What speaks for or against it."""
    weight: int | None = None
    """Of the hub; None for a direct path."""
    drain: bool = False
    legs: list[Leg] = Field(default_factory=list)
    rtt_ms: float | None = None
    """Of both legs together."""
    loss_pct: float | None = None


class Explanation(_Shape):
    """The path of a pair: the shape of `path --json`."""

    network: str
    state: State
    """The worse of what both say."""
    sides: list[Side]
    candidates: list[Candidate]
    next: str | None = None
    """What would be taken if the present path failed; None: nothing."""
    next_reason: str


def explain_path(spec: NetworkSpec, overview: NetworkOverview, one: str, other: str) -> Explanation:
    """Explain the path between two nodes."""
    nodes = {node.name: node for node in overview.nodes}
    sides = [_tell_side(nodes.get(one), one, other), _tell_side(nodes.get(other), other, one)]
    used = {side.path for side in sides}
    pair = [(one, nodes.get(one)), (other, nodes.get(other))]
    hubs = [_weigh_hub(hub, pair, used) for hub in spec.hubs]
    candidates = [*hubs, _weigh_direct(spec, sides)]
    shares = {f"{VIA}{hub.name}": rank_hub(name_pair(one, other), hub.name, hub.weight) for hub in spec.hubs}
    following, why = _choose_next(candidates, shares)
    return Explanation(
        network=spec.name,
        state=max((side.state for side in sides), key=_BADNESS.index),
        sides=sides,
        candidates=candidates,
        next=following,
        next_reason=why,
    )


_BADNESS = [State.CONNECTED, State.DEGRADED, State.STARTING, State.DISCONNECTED]


def _tell_side(node: NodeOverview | None, name: str, other: str) -> Side:
    peer = next((peer for peer in node.peers if peer.name == other), None) if node is not None else None
    if peer is None:
        what = f"{name} tells nothing of {other}" if node is not None else f"nothing is heard of {name}"
        return Side(node=name, state_reason=what)
    return Side(
        node=name,
        path=peer.path,
        reason=peer.path_reason,
        since=peer.path_since,
        state=peer.state,
        state_reason=peer.reason,
        rtt_ms=peer.rtt_ms,
        loss_pct=peer.loss_pct,
    )


def _weigh_hub(hub: MachineSpec, pair: Sequence[tuple[str, NodeOverview | None]], used: set[str | None]) -> Candidate:
    path = f"{VIA}{hub.name}"
    legs = [_tell_leg(name, node, hub.name) for name, node in pair]
    lost = [leg.loss_pct for leg in legs if leg.loss_pct is not None]
    trips = [leg.rtt_ms for leg in legs if leg.rtt_ms is not None]
    without = [leg.node for leg in legs if leg.state not in ALIVE]
    return Candidate(
        path=path,
        in_use=path in used,
        usable=not without,
        reason=_tell_against(hub, without),
        weight=hub.weight,
        drain=hub.drain,
        legs=legs,
        rtt_ms=round(sum(trips), 3) if len(trips) == len(legs) else None,
        loss_pct=round(_combine(lost), 1) if len(lost) == len(legs) else None,
    )


def _tell_leg(name: str, node: NodeOverview | None, hub: str) -> Leg:
    seen: PeerStatus | None = None
    if node is not None:
        seen = next((view for view in node.hubs if view.name == hub), None)
    if seen is None:
        return Leg(node=name, reason="nothing is known of it")
    return Leg(node=name, state=seen.state, reason=seen.reason, rtt_ms=seen.rtt_ms, loss_pct=seen.loss_pct)


def _tell_against(hub: MachineSpec, without: Sequence[str]) -> str:
    if without:
        return f"{' and '.join(without)} does not reach it" if len(without) == 1 else "neither reaches it"
    if hub.drain:
        return "it drains: nothing new goes through it"
    return "it stands by: taken when no other hub works" if hub.weight == 0 else "both reach it"


def _combine(lost_pct: Sequence[float]) -> float:
    """Losses of legs that follow each other, in percent."""
    passed = 1.0
    for pct in lost_pct:
        passed *= 1.0 - pct / 100.0
    return 100.0 * (1.0 - passed)


def _weigh_direct(spec: NetworkSpec, sides: Sequence[Side]) -> Candidate:
    on_it = [side for side in sides if side.path == DIRECT]
    if on_it:
        works = all(side.state in ALIVE for side in on_it)
        first = on_it[0]
        reason = "packets take it" if works else first.state_reason
        return Candidate(
            path=DIRECT, in_use=True, usable=works, reason=reason, rtt_ms=first.rtt_ms, loss_pct=first.loss_pct
        )
    why = (
        "the nodes have not found one, or have no traffic that asks for one"
        if spec.direct
        else "the spec does not allow it: direct = false"
    )
    return Candidate(path=DIRECT, in_use=False, usable=False, reason=why)


def _choose_next(candidates: Sequence[Candidate], shares: Mapping[str, float]) -> tuple[str | None, str]:
    """The best path that is not in use. A pair that is on none yet takes it first. `shares`: what ranks hubs that are equal."""
    usable = [item for item in candidates if item.usable and not item.in_use]
    free = sorted(usable, key=lambda item: _rank(item, shares.get(item.path, 0.0)))
    used = " and ".join(_name(item.path) for item in candidates if item.in_use)
    when = f"if {used} failed" if used else "when they speak"
    if not free:
        return None, f"{when}, there is no other path that both reach"
    best, rest = free[0], free[1:]
    against = "" if best.weight is None or best.reason == "both reach it" else f"; {best.reason}"
    others = f", before {', '.join(item.path for item in rest)}" if rest else ", the only other path"
    return best.path, f"{when}: {best.path}{others}{against}"


def _name(path: str) -> str:
    return "the direct path" if path == DIRECT else path.removeprefix(VIA)


def _rank(candidate: Candidate, share: float) -> tuple[bool, bool, int, int, float]:
    """As the nodes choose (`spokewire.network.paths`): drain, standby, loss, round trip, each in steps of what matters; then the pair's share."""
    loss = round((candidate.loss_pct or 0.0) / LOSS_BETTER_PCT)
    trip = round((candidate.rtt_ms or 0.0) / RTT_BETTER_MS)
    return candidate.drain, candidate.weight == 0, loss, trip, -share
