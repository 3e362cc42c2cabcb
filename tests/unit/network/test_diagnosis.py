"""What is wrong with a network: each fault has a name of its own, since when, what shows it, and what to do."""

from pathlib import Path
from typing import Any

import pytest

from spokewire.network.diagnosis import count_examined, diagnose, judge_exit
from spokewire.network.evidence import Answer, Evidence, HubEvidence
from spokewire.network.findings import GUIDES, Examination, Kind
from spokewire.network.names import MachineName
from spokewire.network.status import Issue, State
from tests.builders import NOW, make_hub_status, make_node_status, make_peer, make_view
from tests.examined import (
    API_ISSUE,
    HUB,
    LONG_AGO,
    NAMES,
    cut_off,
    examination,
    lossy,
    missing,
    mute,
    node,
    silent_hub,
    told,
    vain,
)

REPOSITORY = Path(__file__).parents[3]
OVERLAP = Issue(code="address-overlap", text="10.88.0.0/24 overlaps with podman0.", hint="Move podman.", since=NOW - 40)
WELL = [told(node(name, issues=[API_ISSUE])) for name in NAMES]
DAY_S = 86400.0


def by_name(found: list[Evidence]) -> dict[str, Evidence]:
    return dict(zip(NAMES, found, strict=True))


def with_hub(**changes: Any) -> HubEvidence:
    return HubEvidence("running", "203.0.113.1", make_hub_status(since=LONG_AGO, **changes))


def blocked() -> Evidence:
    words = missing("node-1", "hub-1", *NAMES, state=State.DISCONNECTED, reason=OVERLAP.text, issues=[OVERLAP])
    return told(words.model_copy(update={"since": NOW - 40}), view=make_view(last_echo_age_s=40.0))


def left_over() -> dict[str, Evidence]:
    return {"old-1": told(make_node_status("old-1", hubs=[make_peer("hub-1")], roster_age_s=0, settings_version=1))}


OFFLINE = {name: mute(name, Answer.TIMEOUT, view=None) for name in NAMES}
ALONE = {name: cut_off(name, issues=[API_ISSUE]) for name in NAMES}
CASES: list[tuple[Kind, Examination, str, float | None]] = [
    (Kind.OPERATOR_OFFLINE, examination(OFFLINE, silent_hub()), "This computer reaches neither", None),
    (
        Kind.OPERATOR_CLOCK,
        examination(clocks_ahead_s={HUB: 90.0, MachineName("node-1"): 91.0}),
        "The clock of this computer is 90 s behind the machines'.",
        None,
    ),
    (Kind.HUB_OFF, examination(ALONE, silent_hub("stopped")), "The hub hub-1 is switched off.", NOW - 60),
    (Kind.HUB_AWAY, examination(ALONE, silent_hub()), "The hub hub-1 is away", NOW - 60),
    (
        Kind.HUB_NOT_RELAYING,
        examination(hub=with_hub(state=State.DISCONNECTED, reason=OVERLAP.text, issues=[OVERLAP])),
        "cannot keep its tunnel: 10.88.0.0/24 overlaps",
        LONG_AGO,
    ),
    (
        Kind.HUB_DAEMON_DEAD,
        examination(
            {name: told(missing(name, "hub-1", state=State.DEGRADED, issues=[API_ISSUE]), view=None) for name in NAMES},
            silent_hub(),
        ),
        "while its kernel relays on",
        NOW - 60,
    ),
    (Kind.HUB_API_AWAY, examination(by_name(WELL), silent_hub()), "The API of hub-1 answers nobody", NOW - 60),
    (Kind.HUB_UNSEEN, examination(hub=silent_hub()), "does not answer this computer", None),
    (
        Kind.HUB_STARTING,
        examination(hub=with_hub(state=State.STARTING, reason="waiting for the operator's settings")),
        "The hub hub-1 is starting: waiting",
        LONG_AGO,
    ),
    (
        Kind.MACHINE_OFF,
        examination({"node-1": mute("node-1", Answer.UNKNOWN, machine_state="stopped")}),
        "node-1 is switched off",
        NOW - 30,
    ),
    (Kind.AGENT_DEAD, examination({"node-1": mute("node-1", Answer.REFUSED)}), "agent of node-1 is dead", NOW - 30),
    (Kind.AGENT_HANGS, examination({"node-1": mute("node-1", Answer.BROKEN)}), "agent of node-1 hangs", NOW - 30),
    (
        Kind.MACHINE_UNREACHABLE,
        examination({"node-1": mute("node-1", Answer.TIMEOUT)}),
        "node-1, or its whole line, is down",
        NOW - 30,
    ),
    (
        Kind.GRANT_EXPIRED,
        examination({"node-1": cut_off("node-1")}, grants_end={"node-1": NOW - 20}),
        "The grant of node-1 has expired",
        NOW - 20,
    ),
    (Kind.NODE_BLOCKED, examination({"node-1": blocked()}), "node-1 cannot keep its tunnel: 10.88.0.0/24", NOW - 40),
    (Kind.TUNNEL_CUT, examination({"node-1": cut_off("node-1")}), "The tunnel of node-1 is cut", NOW - 30),
    (
        Kind.NODE_UNHEARD,
        examination({"node-1": mute("node-1", Answer.UNKNOWN, machine_state=None)}),
        "Nothing is heard of node-1",
        NOW - 30,
    ),
    (
        Kind.NODE_STARTING,
        examination({"node-1": told(node("node-1", state=State.STARTING, reason="no hub is known yet"))}),
        "node-1 is starting",
        LONG_AGO,
    ),
    (
        Kind.HUB_LOSSY,
        examination(
            {n: told(node(n, state=State.DEGRADED, hubs=[lossy("hub-1")])) for n in NAMES},
        ),
        "The line of hub-1 loses packets",
        NOW - 90,
    ),
    (
        Kind.NODE_LOSSY,
        examination({"node-1": told(node("node-1", state=State.DEGRADED, hubs=[lossy("hub-1")]))}),
        "The line of node-1 loses packets",
        LONG_AGO,
    ),
    (
        Kind.PAIR_LOSSY,
        examination({"node-1": told(node("node-1", peers=[lossy("node-2"), make_peer("node-3")]))}),
        "Packets are lost between node-1 and node-2.",
        NOW - 90,
    ),
    (
        Kind.NODE_DEGRADED,
        examination({"node-1": told(missing("node-1", "hub-1", state=State.DEGRADED, reason="odd"))}),
        "node-1 is degraded: odd",
        LONG_AGO,
    ),
    (
        Kind.STATUS_SILENT,
        examination({"node-1": told(node("node-1"), answer=Answer.TIMEOUT, answered=None)}),
        "its status server does not answer this computer",
        None,
    ),
    (Kind.PAIR_CUT, examination({"node-1": told(missing("node-1", "node-2"))}), "node-1 and node-2 do not", NOW - 30),
    (
        Kind.NODE_ISOLATED,
        examination({"node-1": told(missing("node-1", "node-2", "node-3"))}),
        "node-1 reaches the hub, but no other node.",
        NOW - 30,
    ),
    (
        Kind.RELAY_CUT,
        examination({n: told(missing(n, *NAMES)) for n in NAMES}, refused_per_s={HUB: {"no-target": 0.5}}),
        "No two nodes reach each other, though all of them reach hub-1",
        NOW - 30,
    ),
    (Kind.LOOP_HUNG, examination({"node-1": told(node("node-1", loops={"probe": 90.0}))}), "hangs: probe", NOW - 90),
    (Kind.DISK_LOW, examination({"node-1": told(node("node-1", disk_free_gb=0.2))}), "disk of node-1", None),
    (
        Kind.ISSUE,
        examination({"node-2": told(node("node-2", issues=[OVERLAP]))}),
        "node-2: 10.88.0.0/24 overlaps with podman0.",
        NOW - 40,
    ),
    (
        Kind.FIXES_IN_VAIN,
        examination({"node-1": told(node("node-1", fixes=vain("node-1", code="interface-altered")))}),
        "node-1 tries in vain to cure interface-altered.",
        NOW - 180,
    ),
    (Kind.RELAY_REFUSES, examination(refused_per_s={HUB: {"rate": 7.5}}), "The relay of hub-1 refuses", None),
    (
        Kind.ROSTER_STALE,
        examination({"node-1": told(node("node-1", roster_age_s=700.0))}),
        "No hub confirms the roster of node-1",
        NOW - 700,
    ),
    (
        Kind.SETTINGS_OLD,
        examination(settings_version=int(NOW * 1000) - 60_000),
        "in force on hub-1, node-1, node-2 and node-3",
        NOW - 60,
    ),
    (
        Kind.CLOCK_DIFFERS,
        examination(clocks_ahead_s={HUB: 0.1, MachineName("node-1"): -75.0}),
        "The clock of node-1 is 75 s behind the others.",
        None,
    ),
    (
        Kind.GRANT_ENDS,
        examination(grants_end={"node-1": NOW + 3 * DAY_S}),
        "The grant of node-1 ends in 3 days",
        None,
    ),
    (Kind.CERTIFICATE_ENDS, examination(certificates_end={HUB: NOW + DAY_S}), "API of hub-1 ends in 24 h", None),
    (Kind.LEFTOVER, examination(left_over()), "The machine old-1 exists, though", None),
    (Kind.RELEASES_DIFFER, examination(release="0.2.0"), "Not the same release as this computer's 0.2.0", None),
]


@pytest.mark.parametrize(("kind", "seen", "words", "since"), CASES, ids=[str(case[0]) for case in CASES])
def test_each_fault_is_told_alone_with_its_name_its_beginning_and_what_to_do(
    kind: Kind, seen: Examination, words: str, since: float | None
) -> None:
    [finding] = diagnose(seen)
    assert finding.kind is kind
    assert words in finding.what
    assert finding.since == since
    assert finding.todo
    assert "{" not in finding.what + finding.todo
    assert (finding.severity, finding.runbook.removeprefix("docs/runbooks/").removesuffix(".md")) == GUIDES[kind]


def test_a_network_that_is_well_gives_nothing_to_tell() -> None:
    seen = examination()
    assert diagnose(seen) == []
    assert judge_exit(seen, []) == 0
    assert count_examined(seen) == {
        "hubs": 1,
        "hubs_answered": 1,
        "nodes": 3,
        "nodes_told": 3,
        "directions": 6,
        "clocks": 0,
        "grants": 0,
    }


def test_every_runbook_that_is_named_exists() -> None:
    assert set(GUIDES) == set(Kind)
    pages = {page for _, page in GUIDES.values() if page}
    assert pages
    assert [page for page in pages if not (REPOSITORY / f"docs/runbooks/{page}.md").is_file()] == []
