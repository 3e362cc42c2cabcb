"""What is wrong with single nodes. Pure."""

from collections.abc import Iterator

from spokewire.errors import Code
from spokewire.network.evidence import ECHO_FRESH_S, Answer, Evidence
from spokewire.network.findings import (
    ALIVE,
    Examination,
    Finding,
    Kind,
    list_tried,
    make_finding,
    name_some,
)
from spokewire.network.names import MachineName
from spokewire.network.overview import NodeOverview
from spokewire.network.spec import ProviderName
from spokewire.network.status import Issue, PeerStatus, State
from spokewire.network.story import tell_span

_ANSWERS = {
    Answer.OK: "Its status server answers.",
    Answer.REFUSED: "Its machine answers, but nothing listens on its status port.",
    Answer.TIMEOUT: "Its status server is silent: not even a refusal comes.",
    Answer.BROKEN: "Its status server accepts connections, but answers nothing of use.",
}
_BY_ANSWER = {
    Answer.REFUSED: Kind.AGENT_DEAD,
    Answer.BROKEN: Kind.AGENT_HANGS,
    Answer.TIMEOUT: Kind.MACHINE_UNREACHABLE,
}


def find_nodes(seen: Examination) -> Iterator[Finding]:
    """Everything that is wrong with single nodes."""
    for node in seen.overview.nodes:
        evidence = seen.nodes[MachineName(node.name)]
        kind = _classify(seen, node, evidence)
        if kind is not None:
            yield _describe(seen, node, evidence, kind)
    for item in seen.overview.missing:
        if item.name not in seen.hub_names:
            yield _describe_missing(seen, item.name, item.reason)


def _classify(seen: Examination, node: NodeOverview, evidence: Evidence) -> Kind | None:
    if not node.agent or node.state is State.CONNECTED:
        return None
    if evidence.machine_state == "stopped":
        return Kind.MACHINE_OFF
    match node.state:
        case State.DEGRADED:
            return _classify_degraded(seen, node, evidence)
        case State.STARTING:
            return Kind.NODE_STARTING
        case _:
            return _classify_disconnected(seen, node, evidence)


def _classify_disconnected(seen: Examination, node: NodeOverview, evidence: Evidence) -> Kind:
    if _find_blocking(node) is not None:
        return Kind.NODE_BLOCKED
    if seen.grants_end.get(MachineName(node.name), seen.now + 1) <= seen.now:
        return Kind.GRANT_EXPIRED
    return Kind.TUNNEL_CUT if _speaks(evidence) else _BY_ANSWER.get(evidence.answer, Kind.NODE_UNHEARD)


def _speaks(evidence: Evidence) -> bool:
    """Whether the agent tells of itself at this moment, and not only until a moment ago."""
    age_s = None if evidence.view is None else evidence.view.report_age_s
    reports = evidence.report is not None and age_s is not None and age_s <= ECHO_FRESH_S
    return evidence.answered is not None or (reports and evidence.answer is not Answer.REFUSED)


def _classify_degraded(seen: Examination, node: NodeOverview, evidence: Evidence) -> Kind | None:
    """None where its pairs with other nodes are what is wrong: they are told by themselves."""
    if evidence.answer not in (Answer.OK, Answer.UNKNOWN):
        return Kind.STATUS_SILENT
    told = seen.told.get(node.name)
    hubs = [] if told is None else told.hubs
    if any(hub.state is State.DEGRADED for hub in hubs):
        return Kind.NODE_LOSSY
    pairs_tell = any(peer.state not in ALIVE for peer in node.peers) or _is_mixed(node)
    return None if hubs and pairs_tell and all(hub.state is State.CONNECTED for hub in hubs) else Kind.NODE_DEGRADED


def _is_mixed(node: NodeOverview) -> bool:
    return any(issue.code == Code.MIXED_FAMILY for issue in node.issues)


def _find_blocking(node: NodeOverview) -> Issue | None:
    """The issue of its own that stops it from keeping its tunnel, or sends what belongs there elsewhere."""
    return next(
        (
            issue
            for issue in node.issues
            if issue.code == Code.ROUTE_DIVERTED or (issue.text and issue.text in node.reason)
        ),
        None,
    )


def _describe(seen: Examination, node: NodeOverview, evidence: Evidence, kind: Kind) -> Finding:
    blocking = _find_blocking(node)
    what, todo = (text.format_map(_name_commands(seen, node)) for text in _WORDS[kind])
    silence = next((issue for issue in node.issues if issue.code == Code.TUNNEL_SILENT), None)
    if kind is Kind.NODE_BLOCKED and blocking is not None:
        what, todo = f"{node.name} cannot keep its tunnel: {blocking.text}", blocking.hint or todo
    elif kind is Kind.TUNNEL_CUT and silence is not None:
        blocking, todo = silence, silence.hint or todo
    since = _find_since(seen, node, evidence)
    return make_finding(
        kind,
        [node.name],
        what,
        todo,
        code="" if blocking is None else blocking.code,
        since=seen.grants_end[MachineName(node.name)] if kind is Kind.GRANT_EXPIRED else since,
        evidence=_tell_evidence(seen, node, evidence),
        tried=[
            *list_tried(seen, {node.name}),
            *list_tried(seen, {hub.name for hub in seen.overview.hubs}, by={node.name}),
            *([] if blocking is None else blocking.tried),
        ],
    )


def _name_commands(seen: Examination, node: NodeOverview) -> dict[str, str]:
    """What differs from node to node in the words below."""
    name, service = node.name, f"spokewire-node on {node.name}"
    commands = {
        "log": f"journalctl -u {service}",
        "restart": f"systemctl restart {service}",
        "kill": f"systemctl kill --signal=KILL {service}, whose service starts it again",
    }
    if seen.is_lab(name):
        restart = f"spokewire lab restart {name}"
        commands = {"log": f"spokewire lab logs {name}", "restart": restart, "kill": restart}
    return {"node": name, "why": node.reason, **commands}


_WORDS: dict[Kind, tuple[str, str]] = {
    Kind.MACHINE_OFF: ("The machine {node} is switched off.", "Run spokewire deploy: it starts what is switched off."),
    Kind.AGENT_DEAD: ("The agent of {node} is dead.", "Read its last words ({log}), then start it again: {restart}."),
    Kind.AGENT_HANGS: (
        "The agent of {node} hangs: it is there, and does nothing.",
        "Keep its log ({log}), then end it hard, for a stop would take the tunnel down: {kill}.",
    ),
    Kind.MACHINE_UNREACHABLE: (
        "The machine {node}, or its whole line, is down.",
        "Look at it where it stands, or ask its provider; it comes back by itself with its line.",
    ),
    Kind.GRANT_EXPIRED: (
        "The grant of {node} has expired, so the others let it in no more.",
        "Mint a new token (spokewire node token {node}) and start the agent with it.",
    ),
    Kind.NODE_BLOCKED: ("{node} cannot keep its tunnel.", "Read its log: {log}."),
    Kind.TUNNEL_CUT: (
        "The tunnel of {node} is cut, while its agent runs.",
        "Let UDP to port 51820 of the hub through the firewalls before {node}, in both directions; its log: {log}.",
    ),
    Kind.NODE_UNHEARD: (
        "Nothing is heard of {node}, and nobody here knows where its status server is.",
        "Look at the host itself: does the agent run ({log}), and does curl localhost:8000/status answer?",
    ),
    Kind.NODE_STARTING: ("{node} is starting: {why}", "Wait some seconds, then run this again; its log: {log}."),
    Kind.NODE_LOSSY: (
        "The line of {node} loses packets: {why}",
        "Test the line of {node} without the tunnel, and limit what fills it.",
    ),
    Kind.NODE_DEGRADED: ("{node} is degraded: {why}", "Read its log: {log}."),
    Kind.STATUS_SILENT: (
        "Echoes of {node} come through the tunnel, but its status server does not answer this computer.",
        "Let this computer through to TCP 8000 of {node}; on {node} itself curl localhost:8000/status must answer.",
    ),
}
"""What is wrong, and what to do."""


def _find_since(seen: Examination, node: NodeOverview, evidence: Evidence) -> float | None:
    """The node's own word, else the last echo that its hub heard, else since when others miss it."""
    if node.since is not None:
        return seen.at_home(node.name, node.since)
    view = evidence.view
    if view is not None and view.last_echo_age_s is not None and node.state is State.DISCONNECTED:
        return seen.now - view.last_echo_age_s
    return None if node.state is State.DEGRADED else seen.first_loss_of(node.name)


def _tell_evidence(seen: Examination, node: NodeOverview, evidence: Evidence) -> list[str]:
    lines = [] if evidence.machine_state is None else [f"By its provider the machine is {evidence.machine_state}."]
    lines += [_ANSWERS[evidence.answer]] if evidence.answer in _ANSWERS and evidence.machine_state != "stopped" else []
    lines += _tell_hubs_view(seen, evidence)
    told = seen.told.get(node.name)
    if told is not None and told.reason:
        lines.append(f"By its own word it is {told.state}: {told.reason}.")
    missed = [by for by, view in seen.views_of.get(node.name, []) if view.state not in ALIVE]
    lines += [f"No echo of it comes back to {name_some(missed)}."] if missed else []
    if told is not None:
        lines += [_tell_loss(hub) for hub in told.hubs if hub.loss_1m_pct and hub.state is not State.DISCONNECTED]
    return lines


def _tell_loss(hub: PeerStatus) -> str:
    ways = ""
    if hub.lost_out_pct is not None and hub.lost_back_pct is not None:
        ways = f", {hub.lost_out_pct:g} % on the way out and {hub.lost_back_pct:g} % on the way back"
    return f"Echoes to {hub.name} lost in the last minute: {hub.loss_1m_pct:g} %{ways}."


def _tell_hubs_view(seen: Examination, evidence: Evidence) -> list[str]:
    asked = [hub.status.name for hub in seen.hubs.values() if hub.status is not None]
    view = evidence.view
    if not asked:
        return ["No hub could be asked what it hears of it."]
    if view is None:
        return [f"{name_some(asked)} does not know it: it has never handed in its record."]
    if view.last_echo_age_s is None:
        return [f"No echo of it has arrived at {name_some(asked)} since the daemon there started."]
    return [f"Its last echo arrived at {name_some(asked)} {tell_span(view.last_echo_age_s)} ago."]


def _describe_missing(seen: Examination, name: str, reason: str) -> Finding:
    """A host of the operator's own is seen by hubs only: while none answers nobody knows whether it has joined."""
    evidence = seen.nodes.get(MachineName(name))
    is_host = any(machine.name == name and machine.provider is ProviderName.HOST for machine in seen.spec.nodes)
    if is_host and not any(hub.status for hub in seen.hubs.values()):
        what = f"Nothing is known of {name}: it is a host of yours, and no hub could be asked."
        return make_finding(
            Kind.NODE_UNHEARD, [name], what, f"On {name} curl localhost:8000/status tells its own view."
        )
    is_incomplete = evidence is not None and evidence.machine_state == "incomplete"
    todo = (
        f"Mint its token (spokewire node token {name}) and start the agent with it on the host."
        if is_host
        else "Run spokewire deploy: it makes what is missing, or says why it cannot."
    )
    proof = "Its creation was interrupted: what there is of it is of no use." if is_incomplete else f"{reason}."
    return make_finding(Kind.NODE_MISSING, [name], f"{name} is wanted, and is not there.", todo, evidence=[proof])
