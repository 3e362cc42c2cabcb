"""The truth about the whole network, judged from every piece of evidence (`spokewire.network.evidence`). Pure."""

from collections.abc import Collection, Mapping, Sequence
from itertools import islice

from pydantic import BaseModel, ConfigDict, Field

from spokewire.errors import Code
from spokewire.network.evidence import ECHO_FRESH_S, Evidence, HubEvidence, has_reported, judge_evidence, newest_words
from spokewire.network.families import list_names, name_family
from spokewire.network.health import Health
from spokewire.network.names import MachineName
from spokewire.network.redundancy import (
    VIA,
    choose_hub,
    count_pairs,
    is_excused,
    sum_up_paths,
    tell_dead_hubs,
    tell_use,
)
from spokewire.network.spec import USUAL_WEIGHT, MachineSpec, NetworkSpec
from spokewire.network.status import HubStatus, Issue, PeerStatus, State

MOST_PAIRS_TOLD = 5


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True)


class HubOverview(_Shape):
    """One hub, as `status --json` shows it."""

    name: str
    address: str | None
    overlay_ip: str | None
    state: State
    reason: str
    since: float | None = None
    settings_version: int | None = None
    issues: list[Issue] = Field(default_factory=list)
    weight: int = USUAL_WEIGHT
    drain: bool = False
    pairs: int | None = None
    """How many pairs of nodes go through it, as the nodes tell."""
    monthly_usd: float | None = None
    """What its machine costs by its cloud's list; None where nobody asks for money, or the list could not be read."""


class NodeOverview(_Shape):
    """One node, as `status --json` shows it.

    Ages are the freshest that a hub tells; round trip and loss are of the node's own echoes to the hub that carries most of its pairs.
    """

    name: str
    overlay_ip: str | None
    state: State
    reason: str
    since: float | None = None
    path: str
    """How its pairs go: "via hub-1", or several of them, the one of most pairs first: "via hub-1 +hub-2"."""
    rtt_ms: float | None = None
    loss_pct: float | None = None
    last_echo_age_s: float | None = None
    last_handshake_age_s: float | None = None
    agent: bool = True
    settings_version: int | None = None
    """Of the settings in force there; None: the node has not told."""
    hubs: list[PeerStatus] = Field(default_factory=list)
    """What it says of each hub."""
    peers: list[PeerStatus] = Field(default_factory=list)
    issues: list[Issue] = Field(default_factory=list)
    monthly_usd: float | None = None
    """As a hub's."""


class Missing(_Shape):
    """A machine that the spec wants and that is not there, and why."""

    name: str
    reason: str


class NetworkOverview(_Shape):
    """The whole network: the shape of `status --json`."""

    network: str
    state: State
    reason: str
    hubs: list[HubOverview]
    nodes: list[NodeOverview]
    missing: list[Missing]


def judge_network(
    spec: NetworkSpec, hubs: Mapping[MachineName, HubEvidence], nodes: Mapping[MachineName, Evidence]
) -> NetworkOverview:
    """Judge everything; `hubs` and `nodes` hold evidence by name, for wanted machines and for leftovers alike."""
    hub_views = [
        _judge_hub(name, evidence)
        for name, evidence in hubs.items()
        if _exists(evidence.machine_state, evidence.status)
    ]
    node_views = [
        _judge_node(name, evidence)
        for name, evidence in nodes.items()
        if _exists(evidence.machine_state, evidence.view)
    ]
    absent = [name for name in hubs if name not in {hub.name for hub in hub_views}]
    node_views = _excuse_nodes(node_views, {*absent, *_find_dead(hub_views, node_views)}, nodes)
    node_views = _blame_pairs(node_views, "the hub" if len(hub_views) == 1 else "a hub")
    mixed = (hub.status for hub in hubs.values() if hub.status is not None and _find_mixed(hub.status) is not None)
    for status in islice(mixed, 1):
        node_views = _blame_families(node_views, status)
    missing = _find_missing(spec.hubs, {hub.name for hub in hub_views}) + _find_missing(
        spec.nodes, {node.name for node in node_views}
    )
    hub_views = _tell_use(spec, hub_views, node_views)
    health = _sum_up(hub_views, node_views, missing)
    return NetworkOverview(
        network=spec.name, state=health.state, reason=health.reason, hubs=hub_views, nodes=node_views, missing=missing
    )


def _exists(machine_state: str | None, seen: object) -> bool:
    return (machine_state is not None and machine_state != "incomplete") or seen is not None


def _judge_hub(name: str, evidence: HubEvidence) -> HubOverview:
    status = evidence.status
    if status is not None:
        health = Health(status.state, status.reason)
    elif evidence.machine_state == "stopped":
        health = Health(State.DISCONNECTED, "the machine is switched off")
    else:
        health = Health(State.DISCONNECTED, f"its API does not answer: {evidence.error}")
    return HubOverview(
        name=name,
        address=evidence.address,
        overlay_ip=None if status is None else status.overlay_ip or None,
        state=health.state,
        reason=health.reason,
        since=None if status is None else status.since,
        settings_version=None if status is None else status.settings_version,
        issues=[] if status is None else status.issues,
    )


def _tell_use(spec: NetworkSpec, hubs: list[HubOverview], nodes: Sequence[NodeOverview]) -> list[HubOverview]:
    """How each hub is used; in words where there are several."""
    wanted = {hub.name: hub for hub in spec.hubs}
    counts = count_pairs({node.name: node.peers for node in nodes})

    def told(hub: HubOverview) -> HubOverview:
        machine, pairs = wanted.get(MachineName(hub.name)), counts[f"{VIA}{hub.name}"]
        if machine is None:
            return hub
        found: dict[str, object] = {"weight": machine.weight, "drain": machine.drain, "pairs": pairs}
        if len(wanted) > 1 and hub.state is State.CONNECTED:
            found["reason"] = f"{hub.reason}; {tell_use(pairs, drain=machine.drain)}"
        return hub.model_copy(update=found)

    return [told(hub) for hub in hubs]


def _judge_node(name: str, evidence: Evidence) -> NodeOverview:
    health = judge_evidence(evidence)
    view = evidence.view
    told = newest_words(evidence)
    hub = None if told is None or not told.hubs else choose_hub(told)
    return NodeOverview(
        name=name,
        overlay_ip=evidence.overlay_ip if view is None else view.overlay_ip,
        state=health.state,
        reason=health.reason,
        since=None if told is None or told.state is not health.state else told.since,
        path=sum_up_paths(told),
        rtt_ms=None if hub is None else hub.rtt_ms,
        loss_pct=None if hub is None else hub.loss_pct,
        last_echo_age_s=None if view is None else _rounded(view.last_echo_age_s),
        last_handshake_age_s=None if view is None else _rounded(view.last_handshake_age_s),
        agent=view is None or view.agent,
        settings_version=None if told is None else told.settings_version or None,
        hubs=[] if told is None else _list_others(evidence, told.hubs),
        peers=[] if told is None else _list_others(evidence, told.peers),
        issues=[] if told is None else told.issues,
    )


def _list_others(evidence: Evidence, others: list[PeerStatus]) -> list[PeerStatus]:
    """What the node says of its hubs, or of its peers. The ages in a report have grown since it was made."""
    if evidence.answered is not None:
        return others
    age_s = None if evidence.view is None else evidence.view.report_age_s
    if age_s is None or not has_reported(evidence, ECHO_FRESH_S):
        return []

    def aged(peer: PeerStatus) -> PeerStatus:
        echo_age_s = None if peer.last_echo_age_s is None else peer.last_echo_age_s + age_s
        return peer.model_copy(update={"last_echo_age_s": _rounded(echo_age_s)})

    return [aged(other) for other in others]


def _find_dead(hubs: Sequence[HubOverview], nodes: Sequence[NodeOverview]) -> list[str]:
    """The hubs that are dead for everybody: by their own silence, or because something is wrong with them and no node hears them."""
    heard = {hub.name for node in nodes for hub in node.hubs if hub.state in (State.CONNECTED, State.DEGRADED)}
    wrong = [hub for hub in hubs if hub.state is not State.CONNECTED]
    return [hub.name for hub in wrong if hub.state is State.DISCONNECTED or hub.name not in heard]


def _excuse_nodes(
    nodes: list[NodeOverview], dead: Collection[str], evidence: Mapping[MachineName, Evidence]
) -> list[NodeOverview]:
    """A hub that is dead is told as such: the nodes that another hub carries are well. Their own status calls them degraded, for they can say no more."""

    def judged(node: NodeOverview) -> NodeOverview:
        told = newest_words(evidence[MachineName(node.name)])
        if node.state is not State.DEGRADED or told is None or node.reason != told.reason or not is_excused(told, dead):
            return node
        return node.model_copy(update={"state": State.CONNECTED})

    return [judged(node) for node in nodes]


def _blame_pairs(nodes: list[NodeOverview], hub: str) -> list[NodeOverview]:
    """A pair that does not reach each other although both reach the hub is a fault of its own, and no node's silence."""
    connected = {node.name for node in nodes if node.state is State.CONNECTED}

    def judged(node: NodeOverview) -> NodeOverview:
        cut = [peer.name for peer in node.peers if peer.state is State.DISCONNECTED and peer.name in connected]
        if node.name not in connected or not cut:
            return node
        reason = f"it does not reach {', '.join(cut)}, although both ends reach {hub}"
        return node.model_copy(update={"state": State.DEGRADED, "reason": reason})

    return [judged(node) for node in nodes]


def _blame_families(nodes: list[NodeOverview], hub: HubStatus) -> list[NodeOverview]:
    """Nodes that a sealed hub cannot bring together are not well, however well each reaches the hub."""
    issue = _find_mixed(hub)
    present = {node.name for node in nodes if node.state is not State.DISCONNECTED}
    families = {view.name: name_family(view.endpoint) for view in hub.nodes if view.endpoint is not None}

    def judged(node: NodeOverview) -> NodeOverview:
        family = families.get(node.name)
        others = [name for name in families if name in present and families[name] != family]
        if issue is None or family is None:
            return node
        found: dict[str, object] = {"issues": [*node.issues, issue]}
        if others and node.state in (State.CONNECTED, State.DEGRADED):
            reason = f"it is on {family} outside, and does not reach {list_names(others)} on the other family"
            before = f"{node.reason}; " if node.state is State.DEGRADED else ""
            found |= {"state": State.DEGRADED, "reason": before + reason}
        return node.model_copy(update=found)

    return [judged(node) for node in nodes]


def _find_mixed(hub: HubStatus) -> Issue | None:
    return next((issue for issue in hub.issues if issue.code == Code.MIXED_FAMILY), None)


def _find_missing(wanted: Sequence[MachineSpec], present: set[str]) -> list[Missing]:
    reasons = {"host": "it has not joined: mint a token for it (spokewire node token NAME) and start it there"}
    return [
        Missing(
            name=machine.name,
            reason=reasons.get(machine.provider, "it is not deployed: run spokewire deploy").replace(
                "NAME", machine.name
            ),
        )
        for machine in wanted
        if machine.name not in present
    ]


def _sum_up(hubs: Sequence[HubOverview], nodes: Sequence[NodeOverview], missing: Sequence[Missing]) -> Health:
    machines: list[HubOverview | NodeOverview] = [*hubs, *(node for node in nodes if node.agent)]
    if not machines:
        return Health(State.DISCONNECTED, "nothing is deployed")
    wrong = [machine.name for machine in machines if machine.state is not State.CONNECTED]
    absent = [item.name for item in missing]
    if not wrong and not absent:
        unheard = _find_unheard(nodes)
        if unheard:
            return Health(State.STARTING, f"no echo has come back yet between {'; '.join(unheard)}")
        noun = "hub" if len(hubs) == 1 else "hubs"
        return Health(State.CONNECTED, f"{len(nodes)} nodes and {len(hubs)} {noun} connected")
    well = not any(node.state is not State.CONNECTED for node in nodes if node.agent)
    dead = _find_dead(hubs, nodes)
    reason = "; ".join(
        part
        for part in (
            f"not connected: {', '.join(wrong)}" if wrong else "",
            f"missing: {', '.join(absent)}" if absent else "",
            tell_dead_hubs(dead, [hub.name for hub in hubs if hub.state is State.CONNECTED]) if well else "",
        )
        if part
    )
    alive = any(node.state in (State.CONNECTED, State.DEGRADED) for node in nodes)
    if alive:
        return Health(State.DEGRADED, reason)
    starting = any(machine.state is State.STARTING for machine in machines)
    return Health(State.STARTING if starting else State.DISCONNECTED, reason)


def _find_unheard(nodes: Sequence[NodeOverview]) -> list[str]:
    """Pairs of nodes that are both there, and that have not heard each other yet: no word can be said of them."""
    present = {node.name for node in nodes}
    pairs = {
        " and ".join(sorted((node.name, peer.name)))
        for node in nodes
        for peer in node.peers
        if peer.state is State.STARTING and peer.name in present
    }
    return sorted(pairs)[:MOST_PAIRS_TOLD]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
