"""A doctor names causes: what something else explains is told by it, and the worst comes first."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from spokewire.network.diagnosis import MOST_EXPLAINED, diagnose, judge_exit
from spokewire.network.evidence import Answer, Evidence, HubEvidence
from spokewire.network.findings import Examination, Kind
from spokewire.network.names import MachineName
from spokewire.network.overview import judge_network
from spokewire.network.spec import ProviderName
from spokewire.network.status import Issue, State
from tests.builders import NOW, SPEC_TEXT, make_hub_status, make_node_status, make_peer, make_spec, make_view
from tests.examined import (
    API_ISSUE,
    HUB,
    LONG_AGO,
    NAMES,
    cut_off,
    examination,
    kinds,
    lossy,
    missing,
    mute,
    node,
    silent_hub,
    told,
    vain,
)

DISK = Issue(code="disk", text="The disk is full.", since=NOW - 100)
HUNG = Issue(code="loop-hung", text="The loop probe has not turned.", since=NOW - 130, subject="probe")
SILENT = Issue(
    code="tunnel-silent",
    text="Nothing comes through the tunnel from hub-1.",
    hint="UDP is lost.",
    since=NOW - 20,
    tried=["3 new handshakes with hub-1"],
)
WRONG = Issue(code="clock-wrong", text="The clock of node-1 is 90 s behind.", since=NOW - 60)
BLOCK = Issue(code="permission", text="It lacks NET_ADMIN.", hint="Give it.", since=NOW - 9)
BLOCKED: dict[str, Any] = {"state": State.DISCONNECTED, "reason": BLOCK.text, "issues": [BLOCK]}
DEAD = mute("node-1", Answer.REFUSED)
HANGS = mute("node-2", Answer.BROKEN)
NO_VIEW = {"view": None}


def all_told(**changes: Any) -> dict[str, Evidence]:
    return {name: told(node(name, **changes)) for name in NAMES}


def without(*lost: str, names: Iterable[str] = NAMES, **changes: Any) -> dict[str, Evidence]:
    return {name: told(missing(name, *lost, **changes)) for name in names if name not in lost}


LOSSY: dict[str, Any] = {"state": State.DEGRADED, "hubs": [lossy("hub-1")]}
PAIRS = ["node-1 and node-2 do not", "node-1 and node-3 do not", "node-2 and node-3 do not"]
LAB = make_spec(SPEC_TEXT)
ONE_HOST = replace(LAB, nodes=(replace(LAB.nodes[0], provider=ProviderName.HOST), *LAB.nodes[1:]))
K = Kind
TABLE: list[tuple[str, Examination, list[Kind], list[str]]] = [
    (
        "a hub that is away explains that its nodes hear nothing",
        examination({name: cut_off(name, issues=[API_ISSUE]) for name in NAMES}, silent_hub()),
        [K.HUB_AWAY],
        ["The tunnel of node-1 is cut", "The tunnel of node-2", "The tunnel of node-3", *PAIRS[:2], "2 more"],
    ),
    (
        "a dead agent explains that others do not reach its node",
        examination({"node-1": DEAD} | without("node-1", fixes=vain("node-1"))),
        [K.AGENT_DEAD],
        ["node-1 and node-2 do not", "node-1 and node-3 do not", "node-2 tries in vain", "node-3 tries in vain"],
    ),
    (
        "a dead agent does not explain that two others do not reach each other",
        examination(
            {"node-1": DEAD, "node-2": told(missing("node-2", "node-1", "node-3"))}
            | without("node-1", names=["node-3"])
        ),
        [K.AGENT_DEAD, K.PAIR_CUT],
        ["node-1 and node-2 do not", "node-1 and node-3 do not"],
    ),
    (
        "three faults at once are three findings, the hub first",
        examination(
            {"node-1": mute("node-1", Answer.REFUSED, view=None), "node-2": mute("node-2", Answer.BROKEN, view=None)}
            | {"node-3": told(missing("node-3", "node-1", "node-2", issues=[API_ISSUE], roster_age_s=90.0), view=None)},
            silent_hub(),
        ),
        [K.HUB_API_AWAY, K.AGENT_DEAD, K.AGENT_HANGS],
        ["node-3: The API of hub-1 does not answer.", "No hub confirms the roster of node-3"],
    ),
    (
        "a hub's dead daemon explains what nodes miss of it, though they reach each other",
        examination(
            {
                n: told(missing(n, "hub-1", state=State.DEGRADED, issues=[API_ISSUE], roster_age_s=99.0), view=None)
                for n in NAMES
            },
            silent_hub(),
        ),
        [K.HUB_DAEMON_DEAD],
        [
            "node-1 is degraded",
            "node-2 is degraded",
            "node-3 is degraded",
            "node-1, node-2 and node-3: The API",
            "No hub",
        ],
    ),
    (
        "an API that is away explains old settings and unheard hosts, and no dead agent",
        examination(
            {
                "node-1": mute("node-1", Answer.UNKNOWN, machine_state=None, view=None),
                "node-2": mute("node-2", Answer.REFUSED),
            }
            | {"node-3": told(node("node-3", issues=[API_ISSUE]))},
            silent_hub(),
            spec=ONE_HOST,
            settings_version=int(NOW * 1000) - 60_000,
        ),
        [K.HUB_API_AWAY, K.AGENT_DEAD],
        ["Nothing is known of node-1: it is a host", "node-3: The API of hub-1", "Older settings"],
    ),
    (
        "a node that reaches nobody explains its pairs",
        examination({"node-1": told(missing("node-1", "node-2", "node-3", fixes=vain("node-2")))}),
        [K.NODE_ISOLATED],
        ["node-1 and node-2 do not", "node-1 and node-3 do not", "node-1 tries in vain"],
    ),
    (
        "a relay that carries nothing explains all pairs",
        examination(without(*NAMES) or {name: told(missing(name, *NAMES)) for name in NAMES}),
        [K.RELAY_CUT],
        ["node-1 and node-2", "node-1 and node-3", "node-2 and node-3"],
    ),
    (
        "a hub's bad line explains that its nodes lose packets, also to each other",
        examination(all_told(**LOSSY) | {"node-1": told(node("node-1", **LOSSY, peers=[lossy("node-2")]))}),
        [K.HUB_LOSSY],
        ["Packets are lost between node-1", "The line of node-1", "The line of node-2", "The line of node-3"],
    ),
    (
        "one node's bad line explains the loss to others",
        examination(
            {"node-1": told(node("node-1", state=State.DEGRADED, hubs=[lossy("hub-1")], peers=[lossy("node-2")]))}
        ),
        [K.NODE_LOSSY],
        ["Packets are lost between node-1 and node-2."],
    ),
    (
        "an issue that stops a node is told once, and another of the same node beside it",
        examination(
            {"node-1": told(missing("node-1", "hub-1", *NAMES, **(BLOCKED | {"issues": [BLOCK, DISK]})), **NO_VIEW)}
        ),
        [K.NODE_BLOCKED, K.ISSUE],
        ["node-1 and node-2", "node-1 and node-3", "node-1: It lacks NET_ADMIN."],
    ),
    (
        "nodes that say that nothing comes from a hub are explained by the hub",
        examination({n: cut_off(n, issues=[SILENT]) for n in NAMES}, silent_hub("stopped")),
        [K.HUB_OFF],
        ["The tunnel of node-1", "The tunnel of node-2", "The tunnel of node-3", *PAIRS[:2], "2 more"],
    ),
    (
        "a wrong clock is told once, though its node says so too",
        examination(
            {"node-1": told(node("node-1", issues=[WRONG]))}, clocks_ahead_s={HUB: 0.0, MachineName("node-1"): -90.0}
        ),
        [K.CLOCK_DIFFERS],
        ["node-1: The clock of node-1"],
    ),
    (
        "an issue that two nodes share is told by both of them",
        examination({n: told(missing(n, "hub-1", *NAMES, **BLOCKED), **NO_VIEW) for n in NAMES[:2]}),
        [K.NODE_BLOCKED, K.NODE_BLOCKED],
        ["node-1 and node-2", "node-1 and node-3", "node-1 and node-2: It lacks"],
    ),
    (
        "a hung loop and a low disk are not told twice",
        examination({"node-1": told(node("node-1", loops={"probe": 130.0}, disk_free_gb=0.0, issues=[HUNG, DISK]))}),
        [K.LOOP_HUNG, K.DISK_LOW],
        ["node-1: The loop probe"],
    ),
    (
        "a full disk is a fault of its own, whatever the hub does",
        examination({n: cut_off(n, issues=[DISK] if n == "node-2" else []) for n in NAMES}, silent_hub("stopped")),
        [K.HUB_OFF, K.ISSUE],
        ["The tunnel of node-1", "The tunnel of node-2", "The tunnel of node-3", *PAIRS[:2], "1 more"],
    ),
    (
        "an API that one node alone does not reach is that node's trouble",
        examination({"node-3": told(node("node-3", issues=[API_ISSUE], roster_age_s=70.0))}),
        [K.ISSUE, K.ROSTER_STALE],
        [],
    ),
    (
        "a computer that is offline tells nothing of others but what their provider says",
        examination(
            {name: mute(name, Answer.TIMEOUT, view=None) for name in NAMES[:2]}
            | {"node-3": mute("node-3", Answer.UNKNOWN, view=None, machine_state="stopped")},
            silent_hub(),
        ),
        [K.OPERATOR_OFFLINE, K.MACHINE_OFF],
        ["The hub hub-1 is away", "The machine node-1, or", "The machine node-2, or"],
    ),
    (
        "what is critical comes before what is not, and notes come last",
        examination(
            {"node-3": mute("node-3", Answer.TIMEOUT), "node-1": told(node("node-1", disk_free_gb=0.1))},
            clocks_ahead_s={HUB: 60.0, MachineName("node-1"): 60.0},
            release="9",
            grants_end={"node-2": NOW + 60},
        ),
        [K.MACHINE_UNREACHABLE, K.OPERATOR_CLOCK, K.DISK_LOW, K.GRANT_ENDS, K.RELEASES_DIFFER],
        [],
    ),
]


@pytest.mark.parametrize(("seen", "order", "explained"), [case[1:] for case in TABLE], ids=[case[0] for case in TABLE])
def test_causes_come_first_and_tell_what_they_explain(
    seen: Examination, order: list[Kind], explained: list[str]
) -> None:
    found = diagnose(seen)
    assert kinds(found) == order
    told_by_first = sorted(found[0].explains)
    assert len(told_by_first) == len(explained), told_by_first
    assert all(any(words in text for text in told_by_first) for words in explained), told_by_first


TWO_HUBS = replace(LAB, hubs=(*LAB.hubs, replace(LAB.hubs[0], name=MachineName("hub-2"))))


@pytest.mark.parametrize("second", [make_hub_status("hub-2", since=LONG_AGO), None], ids=["well", "away too"])
def test_a_hub_that_is_away_explains_a_cut_node_only_if_no_other_hub_is_there(second: Any) -> None:
    hubs = {HUB: silent_hub(), MachineName("hub-2"): HubEvidence("running", "203.0.113.2", second, "no answer")}
    nodes: dict[str, Evidence] = {name: cut_off(name) for name in NAMES}
    overview = judge_network(TWO_HUBS, hubs, {MachineName(name): evidence for name, evidence in nodes.items()})
    found = kinds(diagnose(examination(spec=TWO_HUBS, hubs=hubs, nodes=nodes, overview=overview)))
    assert found == ([K.HUB_AWAY, *[K.TUNNEL_CUT] * 3] if second else [K.HUB_AWAY, K.HUB_AWAY])


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        (examination(), 0),
        (examination({"node-1": DEAD}), 3),
        (examination(settings_version=int(NOW * 1000) - 60_000), 3),
        (examination({name: cut_off(name) for name in NAMES}, silent_hub()), 1),
        (examination({"node-1": told(node("node-1", state=State.STARTING))}), 75),
        (examination({"node-1": told(node("node-1", state=State.STARTING)), "node-2": HANGS}), 3),
    ],
    ids=["well", "one is dead", "only a warning", "nothing works", "starting", "starting and broken"],
)
def test_the_exit_status_tells_a_script_how_bad_it_is(seen: Examination, status: int) -> None:
    assert judge_exit(seen, diagnose(seen)) == status


def test_a_large_network_without_its_hub_is_one_finding_that_stays_short() -> None:
    names = [f"node-{number}" for number in range(1, 41)]
    lost: dict[str, Any] = {"state": State.DISCONNECTED, "reason": "no echo for 30 s", "since": NOW - 30}
    words = [
        make_node_status(
            name,
            State.DISCONNECTED,
            hubs=[make_peer("hub-1", **lost)],
            peers=[make_peer(p, **lost) for p in names if p != name],
        )
        for name in names
    ]
    nodes = {w.node: told(w, view=make_view(w.node, last_echo_age_s=30.0)) for w in words}
    [finding] = diagnose(examination(nodes, silent_hub(), spec=make_spec(SPEC_TEXT.replace("count = 3", "count = 40"))))
    assert finding.kind is K.HUB_AWAY
    assert len(finding.explains) == MOST_EXPLAINED + 1
    assert len(finding.model_dump_json()) < 2000
