"""What is known of single machines, and how the pieces of evidence on a node are weighed. Pure.

The evidence: what the provider says, what the hubs saw, what the node reports, and whether its public status server answers. Three different faults
have three different answers: a dead agent, a cut tunnel, a silent status server.
"""

from dataclasses import dataclass
from enum import StrEnum

from spokewire.network.health import Health
from spokewire.network.status import HubStatus, HubView, NodeStatus, State
from spokewire.network.views import REPORT_FRESH_S

ECHO_FRESH_S = 4.5
"""Echoes come once a second; this is the node's own limit for silence and one second for the way of the news."""


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
    if has_reported(evidence, ECHO_FRESH_S):
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


def has_reported(evidence: Evidence, within_s: float = REPORT_FRESH_S) -> bool:
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
    return evidence.report if has_reported(evidence) else None
