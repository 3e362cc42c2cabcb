"""A network as a doctor sees it: one hub and three nodes, all well but for what a test changes."""

from collections.abc import Mapping
from typing import Any

from spokewire.network.evidence import Answer, Evidence, HubEvidence
from spokewire.network.findings import Examination, Finding, Kind
from spokewire.network.names import MachineName
from spokewire.network.overview import judge_network
from spokewire.network.status import Fix, Issue, NodeStatus, Outcome, PeerStatus, State
from tests.builders import NOW, SPEC_TEXT, make_hub_status, make_node_status, make_peer, make_spec, make_view

NAMES = ("node-1", "node-2", "node-3")
HUB = MachineName("hub-1")
LONG_AGO = NOW - 3600
API_ISSUE = Issue(code="api-unreachable", text="The API of hub-1 does not answer.", since=NOW - 60)
MUTE = {"answered": None, "report": None}


def node(name: str, **changes: Any) -> NodeStatus:
    """A well node's words: it reaches the hub and the two others."""
    peers = [make_peer(other, since=LONG_AGO) for other in NAMES if other != name]
    defaults: dict[str, Any] = {
        "hubs": [make_peer("hub-1", since=LONG_AGO)],
        "peers": peers,
        "roster_age_s": 0.0,
        "started_at": LONG_AGO,
        "since": LONG_AGO,
        "settings_version": 1,
    }
    return make_node_status(name, **(defaults | changes))


def missing(name: str, *lost: str, since: float = NOW - 30, **changes: Any) -> NodeStatus:
    """The words of a node that gets no echo from some machines."""
    cut: dict[str, Any] = {"state": State.DISCONNECTED, "reason": "no echo for 30 s", "since": since}
    peers = [make_peer(p, **(cut if p in lost else {"since": LONG_AGO})) for p in NAMES if p != name]
    hubs = [make_peer("hub-1", **(cut if "hub-1" in lost else {"since": LONG_AGO}))]
    return node(name, peers=peers, hubs=hubs, **changes)


def lossy(name: str) -> PeerStatus:
    """A machine to which a node loses packets."""
    return make_peer(name, State.DEGRADED, reason="30 % of the echoes are lost", since=NOW - 90, loss_1m_pct=30.0)


def told(words: NodeStatus, **changes: Any) -> Evidence:
    """The evidence on a node that answers with these words."""
    defaults: dict[str, Any] = {
        "machine_state": "running",
        "view": make_view(words.node),
        "report": words,
        "answer": Answer.OK,
        "answered": words,
    }
    return Evidence(**(defaults | changes))


def mute(name: str, answer: Answer, **changes: Any) -> Evidence:
    """The evidence on a node that says nothing, and was heard half a minute ago."""
    view = make_view(name, last_echo_age_s=30.0, report_age_s=30.0)
    return told(node(name), **({"view": view, "answer": answer} | MUTE | changes))


def cut_off(name: str, **changes: Any) -> Evidence:
    """A node that runs and answers, but gets nothing through its tunnel."""
    words = missing(name, "hub-1", *NAMES, state=State.DISCONNECTED, reason="hub-1: no echo for 30 s", **changes)
    return told(words.model_copy(update={"since": NOW - 30}), view=make_view(name, last_echo_age_s=30.0))


def examination(
    nodes: Mapping[str, Evidence] | None = None, hub: HubEvidence | None = None, **changes: Any
) -> Examination:
    """Everything well, but for these nodes, this hub, and other changes."""
    spec = changes.pop("spec", make_spec(SPEC_TEXT))
    hubs = {HUB: hub or HubEvidence("running", "203.0.113.1", make_hub_status(since=LONG_AGO))}
    found = {MachineName(name): told(node(name)) for name in NAMES}
    found |= {MachineName(name): evidence for name, evidence in (nodes or {}).items()}
    defaults: dict[str, Any] = {
        "now": NOW,
        "release": "0",
        "spec": spec,
        "overview": judge_network(spec, hubs, found),
        "hubs": hubs,
        "nodes": found,
        "settings_version": 1,
    }
    return Examination(**(defaults | changes))


def silent_hub(machine_state: str = "running") -> HubEvidence:
    """A hub whose API does not answer."""
    return HubEvidence(machine_state, "203.0.113.1", None, "The API of hub-1 does not answer: no answer in time.")


def vain(subject: str, count: int = 3, code: str = "peer-silent", outcome: Outcome = Outcome.NO_CHANGE) -> list[Fix]:
    """Attempts of the last minutes that did not help."""
    at = [NOW - 60.0 * (count - place) for place in range(count)]
    return [Fix(code=code, subject=subject, at=when, outcome=outcome, text="a new handshake") for when in at]


def kinds(findings: list[Finding]) -> list[Kind]:
    return [finding.kind for finding in findings]
