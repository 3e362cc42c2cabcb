"""What can be wrong with a network, and what it is found from. Pure.

`spokewire.network.diagnosis` puts findings in order, and says which of them others explain.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field

from spokewire.errors import Code
from spokewire.network.evidence import Evidence, HubEvidence, newest_words
from spokewire.network.names import MachineName
from spokewire.network.overview import NetworkOverview
from spokewire.network.spec import NetworkSpec, ProviderName
from spokewire.network.status import NodeStatus, Outcome, PeerStatus, State
from spokewire.network.story import tell_span

MOST_NAMES = 5
"""So many machines are named in a sentence; more are counted."""
TRIED_WITHIN_S = 1800.0
"""What was tried longer ago was tried against something else."""
ALIVE = (State.CONNECTED, State.DEGRADED)
API_CODES = (Code.API_UNREACHABLE, Code.TIMEOUT)
"""The issues of a node that does not get through to a hub's API."""


class Severity(StrEnum):
    """How bad it is: traffic does not flow; something will go wrong or does already in part; good to know."""

    CRITICAL = "critical"
    WARNING = "warning"
    NOTE = "note"


class Kind(StrEnum):
    """What is wrong. What may explain others stands before them."""

    OPERATOR_OFFLINE = "operator-offline"
    OPERATOR_CLOCK = "operator-clock"
    HUB_OFF = "hub-off"
    HUB_MISSING = "hub-missing"
    HUB_AWAY = "hub-away"
    HUB_NOT_RELAYING = "hub-not-relaying"
    HUB_DAEMON_DEAD = "hub-daemon-dead"
    HUB_API_AWAY = "hub-api-away"
    HUB_UNSEEN = "hub-unseen"
    HUB_STARTING = "hub-starting"
    HUB_DIFFERS = "hub-differs"
    MACHINE_OFF = "machine-off"
    AGENT_DEAD = "agent-dead"
    AGENT_HANGS = "agent-hangs"
    MACHINE_UNREACHABLE = "machine-unreachable"
    GRANT_EXPIRED = "grant-expired"
    NODE_BLOCKED = "node-blocked"
    TUNNEL_CUT = "tunnel-cut"
    NODE_UNHEARD = "node-unheard"
    NODE_STARTING = "node-starting"
    MIXED_FAMILY = "mixed-family"
    RELAY_CUT = "relay-cut"
    NODE_ISOLATED = "node-isolated"
    PAIR_CUT = "pair-cut"
    HUB_LOSSY = "hub-lossy"
    NODE_LOSSY = "node-lossy"
    PAIR_LOSSY = "pair-lossy"
    NODE_DEGRADED = "node-degraded"
    STATUS_SILENT = "status-silent"
    NODE_MISSING = "node-missing"
    LOOP_HUNG = "loop-hung"
    DISK_LOW = "disk-low"
    CLOCK_DIFFERS = "clock-differs"
    ISSUE = "issue"
    FIXES_IN_VAIN = "fixes-in-vain"
    RELAY_REFUSES = "relay-refuses"
    ROSTER_STALE = "roster-stale"
    SETTINGS_OLD = "settings-old"
    GRANT_ENDS = "grant-ends"
    CERTIFICATE_ENDS = "certificate-ends"
    LEFTOVER = "leftover"
    RELEASES_DIFFER = "releases-differ"


GUIDES: dict[Kind, tuple[Severity, str]] = {
    Kind.OPERATOR_OFFLINE: (Severity.CRITICAL, ""),
    Kind.OPERATOR_CLOCK: (Severity.WARNING, ""),
    Kind.HUB_OFF: (Severity.CRITICAL, "hub-unreachable"),
    Kind.HUB_MISSING: (Severity.CRITICAL, "hub-unreachable"),
    Kind.HUB_AWAY: (Severity.CRITICAL, "hub-unreachable"),
    Kind.HUB_NOT_RELAYING: (Severity.CRITICAL, "hub-not-relaying"),
    Kind.HUB_DAEMON_DEAD: (Severity.CRITICAL, "hub-unreachable"),
    Kind.HUB_API_AWAY: (Severity.CRITICAL, "hub-unreachable"),
    Kind.HUB_UNSEEN: (Severity.WARNING, "hub-unreachable"),
    Kind.HUB_STARTING: (Severity.WARNING, ""),
    Kind.HUB_DIFFERS: (Severity.WARNING, "settings-old"),
    Kind.MACHINE_OFF: (Severity.CRITICAL, "node-silent"),
    Kind.AGENT_DEAD: (Severity.CRITICAL, "node-silent"),
    Kind.AGENT_HANGS: (Severity.CRITICAL, "loop-hung"),
    Kind.MACHINE_UNREACHABLE: (Severity.CRITICAL, "node-silent"),
    Kind.GRANT_EXPIRED: (Severity.CRITICAL, "node-disconnected"),
    Kind.NODE_BLOCKED: (Severity.CRITICAL, "node-disconnected"),
    Kind.TUNNEL_CUT: (Severity.CRITICAL, "node-disconnected"),
    Kind.NODE_UNHEARD: (Severity.CRITICAL, "node-silent"),
    Kind.NODE_STARTING: (Severity.WARNING, ""),
    Kind.MIXED_FAMILY: (Severity.CRITICAL, "pair-cut"),
    Kind.RELAY_CUT: (Severity.CRITICAL, "pair-cut"),
    Kind.NODE_ISOLATED: (Severity.CRITICAL, "pair-cut"),
    Kind.PAIR_CUT: (Severity.CRITICAL, "pair-cut"),
    Kind.HUB_LOSSY: (Severity.WARNING, "loss-high"),
    Kind.NODE_LOSSY: (Severity.WARNING, "loss-high"),
    Kind.PAIR_LOSSY: (Severity.WARNING, "loss-high"),
    Kind.NODE_DEGRADED: (Severity.WARNING, "node-degraded"),
    Kind.STATUS_SILENT: (Severity.WARNING, "node-unreachable"),
    Kind.NODE_MISSING: (Severity.WARNING, ""),
    Kind.LOOP_HUNG: (Severity.WARNING, "loop-hung"),
    Kind.DISK_LOW: (Severity.WARNING, "disk-low"),
    Kind.CLOCK_DIFFERS: (Severity.WARNING, ""),
    Kind.ISSUE: (Severity.WARNING, "issue-open"),
    Kind.FIXES_IN_VAIN: (Severity.WARNING, "fixes-fail"),
    Kind.RELAY_REFUSES: (Severity.WARNING, "relay-refuses"),
    Kind.ROSTER_STALE: (Severity.WARNING, "roster-stale"),
    Kind.SETTINGS_OLD: (Severity.WARNING, "settings-old"),
    Kind.GRANT_ENDS: (Severity.WARNING, ""),
    Kind.CERTIFICATE_ENDS: (Severity.WARNING, ""),
    Kind.LEFTOVER: (Severity.WARNING, ""),
    Kind.RELEASES_DIFFER: (Severity.NOTE, ""),
}
"""How bad each kind is, and its runbook."""


class Finding(BaseModel):
    """One thing that is wrong: the shape of a finding in `doctor --network --json`."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    severity: Severity
    machines: list[str]
    what: str
    code: str = ""
    """Of the machines' own issue that this is, or explains; "" if it is none."""
    since: float | None = None
    """When it began, in seconds since 1970 by the operator's clock; None: nobody knows."""
    evidence: list[str] = Field(default_factory=list)
    tried: list[str] = Field(default_factory=list)
    """What the machines tried by themselves, and what came of it."""
    explains: list[str] = Field(default_factory=list)
    """What else is to be seen, and needs no cure of its own."""
    todo: str
    runbook: str = ""
    """A page of the repository; "" if there is none."""


@dataclass(frozen=True)
class Examination:
    """All that was seen of a network at `now`, in seconds since 1970 by the operator's clock."""

    now: float
    release: str
    """Of this program."""
    spec: NetworkSpec
    overview: NetworkOverview
    hubs: Mapping[MachineName, HubEvidence]
    nodes: Mapping[MachineName, Evidence]
    settings_version: int = 0
    """Of the newest settings that the operator signed; 0: not known."""
    grants_end: Mapping[MachineName, float] = field(default_factory=dict)
    certificates_end: Mapping[MachineName, float] = field(default_factory=dict)
    """Of the hubs' APIs."""
    clocks_ahead_s: Mapping[MachineName, float] = field(default_factory=dict)
    """By how much the clock of a machine is ahead of the operator's."""
    refused_per_s: Mapping[MachineName, Mapping[str, float]] = field(default_factory=dict)
    """Handshakes that each hub's relay refuses, by reason."""
    lacking: Mapping[MachineName, Sequence[str]] = field(default_factory=dict)
    """By hub, the machines whose newest record it does not show although another hub does."""

    @cached_property
    def told(self) -> dict[str, NodeStatus]:
        """Each node's own words of this moment; a node that tells nothing is not here."""
        found = {name: newest_words(evidence) for name, evidence in self.nodes.items()}
        return {name: words for name, words in found.items() if words is not None}

    @cached_property
    def hub_names(self) -> list[str]:
        """The hubs that are wanted."""
        return [hub.name for hub in self.spec.hubs]

    @cached_property
    def views_of(self) -> dict[str, list[tuple[str, PeerStatus]]]:
        """By machine: which nodes send it echoes, and what they say of it."""
        found: dict[str, list[tuple[str, PeerStatus]]] = {}
        for name, words in self.told.items():
            for hub in words.hubs:
                found.setdefault(hub.name, []).append((name, hub))
        for node in self.overview.nodes:
            for peer in node.peers:
                found.setdefault(peer.name, []).append((node.name, peer))
        return found

    def is_about(self, text: str, hub: str) -> bool:
        """Whether a machine's words are about this hub, by its name or address; where there is one hub only, they are."""
        if len(self.hub_names) == 1:
            return True
        evidence = self.hubs.get(MachineName(hub))
        names = [hub, *([] if evidence is None or evidence.address is None else [evidence.address])]
        return any(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)", text) for name in names)

    def lacks_api(self, words: NodeStatus, hub: str) -> bool:
        """Whether a node complains that it does not get through to this hub's API."""
        return any(issue.code in API_CODES and self.is_about(issue.text, hub) for issue in words.issues)

    def is_alone(self, hub: str) -> bool:
        """Whether no other hub carries anybody, by the nodes' own word: then nothing goes where this one is wanted."""
        others = [name for name in self.hub_names if name != hub]
        return not any(view.state in ALIVE for name in others for _, view in self.views_of.get(name, []))

    def is_lab(self, name: str) -> bool:
        """Whether a machine is one of the lab."""
        return any(machine.name == name and machine.provider is ProviderName.LAB for machine in self.spec.machines)

    def at_home(self, name: str, at: float) -> float:
        """An instant that a machine tells, by the operator's clock."""
        return at - self.clocks_ahead_s.get(MachineName(name), 0.0)

    def first_loss_of(self, name: str) -> float | None:
        """Since when echoes to a machine have been missed; None: nobody misses any."""
        return min(
            (self.at_home(by, view.since) for by, view in self.views_of.get(name, []) if view.state not in ALIVE),
            default=None,
        )


def make_finding(kind: Kind, machines: list[str], what: str, todo: str, **more: object) -> Finding:
    """A finding with the severity and the runbook of its kind."""
    severity, page = GUIDES[kind]
    runbook = f"docs/runbooks/{page}.md" if page else ""
    values = {"kind": kind, "severity": severity, "machines": machines, "what": what, "todo": todo, "runbook": runbook}
    return Finding.model_validate(values | more)


def name_some(names: Sequence[str]) -> str:
    """Names for a sentence, not too many of them."""
    more = len(names) - MOST_NAMES
    if more > 0:
        return f"{', '.join(names[:MOST_NAMES])} and {more} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def list_tried(seen: Examination, subjects: set[str], by: set[str] | None = None) -> list[str]:
    """What was tried lately about these machines, as sentences; `by` None: by any node."""
    counts: dict[str, tuple[int, float]] = {}
    for name in seen.told if by is None else [name for name in by if name in seen.told]:
        words = seen.told[name]
        for fix in words.fixes:
            age_s = words.time - fix.at
            if fix.subject in subjects and age_s <= TRIED_WITHIN_S:
                about = "" if fix.subject == name else f" with {fix.subject}"
                result = "which helped" if fix.outcome is Outcome.CURED else f"which did not help ({fix.outcome})"
                text = f"{name} tried{about}: {fix.text}, {result}"
                count, newest_s = counts.get(text, (0, age_s))
                counts[text] = count + 1, min(newest_s, age_s)
    return [
        f"{text}; {f'{count} times, the last' if count > 1 else 'that was'} {tell_span(age_s)} ago."
        for text, (count, age_s) in counts.items()
    ]
