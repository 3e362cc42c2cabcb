"""The truth about the whole network, judged from every piece of evidence. Pure.

The evidence: what the provider says, what the hub saw, what the node reports, and whether its public status server answers.

Three different faults have three different answers: a dead agent, a cut tunnel, a silent status server.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from pydantic import BaseModel, ConfigDict, Field

from spokewire.errors import Code
from spokewire.network.families import list_names, name_family
from spokewire.network.health import Health
from spokewire.network.names import MachineName
from spokewire.network.redundancy import choose_hub, is_excused, sum_up_paths, tell_dead_hubs
from spokewire.network.spec import MachineSpec, NetworkSpec
from spokewire.network.status import HubStatus, HubView, Issue, NodeStatus, PeerStatus, State
from spokewire.network.views import REPORT_FRESH_S

ECHO_FRESH_S = 4.5
"""Echoes come once a second; this is the node's own limit for silence and one second for the way of the news."""
MOST_PAIRS_TOLD = 5


class Answer(StrEnum):
    """What came of asking a node's public status server."""

    OK = "ok"
    REFUSED = "refused"
    """The machine answers, but nothing listens: the agent is dead."""
    TIMEOUT = "timeout"
    BROKEN = "broken"
    """Something listens, but no status comes."""
    UNKNOWN = "unknown"
    """It was not asked: nobody knows where it is."""


@dataclass(frozen=True)
class Evidence:
    """All that is known of one node. `report` has been verified; None: none came, or none that holds."""

    machine_state: str | None
    """The provider's word: "running", "stopped", "pending", "incomplete"; None: there is no machine, or it is on a host of the operator's own."""
    view: HubView | None
    report: NodeStatus | None
    answer: Answer
    answered: NodeStatus | None = None
    overlay_ip: str | None = None
    """The address that the operator granted."""


@dataclass(frozen=True)
class HubEvidence:
    """All that is known of one hub. `status` None: its API did not answer, for the reason `error`."""

    machine_state: str | None
    address: str | None
    status: HubStatus | None
    error: str = ""


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
    dead = {*absent, *(hub.name for hub in hub_views if hub.state is State.DISCONNECTED)}
    node_views = _excuse_nodes(node_views, dead, nodes)
    node_views = _blame_pairs(node_views, "the hub" if len(hub_views) == 1 else "a hub")
    mixed = (hub.status for hub in hubs.values() if hub.status is not None and _find_mixed(hub.status) is not None)
    for status in islice(mixed, 1):
        node_views = _blame_families(node_views, status)
    missing = _find_missing(spec.hubs, {hub.name for hub in hub_views}) + _find_missing(
        spec.nodes, {node.name for node in node_views}
    )
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
    if age_s is None or not _reports(evidence, ECHO_FRESH_S):
        return []

    def aged(peer: PeerStatus) -> PeerStatus:
        echo_age_s = None if peer.last_echo_age_s is None else peer.last_echo_age_s + age_s
        return peer.model_copy(update={"last_echo_age_s": _rounded(echo_age_s)})

    return [aged(other) for other in others]


def judge_evidence(evidence: Evidence) -> Health:
    """Weigh the evidence on one node: echoes through the tunnel first, words second."""
    view, told = evidence.view, newest_words(evidence)
    if view is not None and not view.agent:
        return Health(State.STARTING, f"a stock WireGuard client: it answers no echoes; {_handshake(view)}")
    echoes = view is not None and view.last_echo_age_s is not None and view.last_echo_age_s <= ECHO_FRESH_S
    if evidence.machine_state == "stopped":
        return Health(State.DISCONNECTED, "the machine is switched off")
    if echoes:
        return _judge_alive(evidence, told)
    if evidence.answer is Answer.OK and evidence.answered is not None:
        return _judge_answering(evidence.answered, asked_hub=view is not None)
    if _reports(evidence, ECHO_FRESH_S):
        return _judge_reporting(told)
    return _judge_silent(evidence)


def _judge_alive(evidence: Evidence, told: NodeStatus | None) -> Health:
    if evidence.answer in (Answer.OK, Answer.UNKNOWN):
        if told is None or told.state is State.STARTING:
            return Health(State.STARTING, "echoes arrive at the hub; the node has not told its own view yet")
        return Health(told.state, told.reason)
    words = {
        Answer.REFUSED: "nothing listens on its port",
        Answer.TIMEOUT: "no answer in time",
        Answer.BROKEN: "what answers is not a status",
    }
    return Health(
        State.DEGRADED,
        f"the status server does not answer ({words[evidence.answer]}), although echoes come through the tunnel",
    )


def _judge_answering(answered: NodeStatus, *, asked_hub: bool) -> Health:
    if answered.state is State.STARTING:
        return Health(State.STARTING, answered.reason)
    if not asked_hub:
        return Health(answered.state, f"{answered.reason} (by its own word: the hub could not be asked)")
    if answered.state is State.DEGRADED and _reaches_peers(answered):
        return Health(State.DEGRADED, f"no echo arrives at the hub; {answered.reason}")
    why = answered.reason if answered.state is State.DISCONNECTED else "no echo arrives at the hub"
    return Health(State.DISCONNECTED, f"the tunnel is cut: the agent runs and answers, but {why}")


def _judge_reporting(told: NodeStatus | None) -> Health:
    if told is not None and told.state is State.DEGRADED and _reaches_peers(told):
        return Health(State.DEGRADED, f"no echo arrives at the hub; {told.reason}")
    return Health(State.DISCONNECTED, "the tunnel is cut: the agent reports, but no echo comes through")


def _judge_silent(evidence: Evidence) -> Health:
    match evidence.answer:
        case Answer.REFUSED:
            return Health(
                State.DISCONNECTED, "the agent is dead: the machine runs, but nothing listens on its status port"
            )
        case Answer.BROKEN:
            return Health(
                State.DISCONNECTED, "the agent hangs: it accepts connections but answers nothing, and no echo comes"
            )
        case Answer.TIMEOUT:
            return Health(
                State.DISCONNECTED,
                "the machine cannot be reached: neither echoes nor reports come, and its status server is silent",
            )
        case Answer.OK | Answer.UNKNOWN:
            return Health(State.DISCONNECTED, "nothing is heard of it: neither echoes nor reports come")


def _handshake(view: HubView) -> str:
    age = view.last_handshake_age_s
    return "no handshake with the hub yet" if age is None else f"last handshake with the hub {age:.0f} s ago"


def _reports(evidence: Evidence, within_s: float = REPORT_FRESH_S) -> bool:
    """Whether the agent's own report is fresh. A refused connection is fresher: whatever was reported before, the agent is dead now.

    As a witness for echoes it must be as fresh as they are: an older one may be from before the node was cut off.
    """
    age_s = None if evidence.view is None else evidence.view.report_age_s
    is_known = evidence.report is not None and age_s is not None and age_s <= within_s
    return is_known and evidence.answer is not Answer.REFUSED


def _reaches_peers(told: NodeStatus) -> bool:
    return any(peer.state in (State.CONNECTED, State.DEGRADED) for peer in told.peers)


def newest_words(evidence: Evidence) -> NodeStatus | None:
    """The node's own words: the public answer is of this moment; the signed report may be seconds old, and counts only while fresh."""
    if evidence.answered is not None:
        return evidence.answered
    return evidence.report if _reports(evidence) else None


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
    dead = [hub.name for hub in hubs if hub.state is State.DISCONNECTED]
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
