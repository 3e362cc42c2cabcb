"""The truth about the whole network: different faults have different answers."""

from typing import Any

import pytest

from spokewire.network.evidence import Answer, Evidence, HubEvidence, judge_evidence
from spokewire.network.names import MachineName
from spokewire.network.overview import NetworkOverview, judge_network
from spokewire.network.status import Issue, State
from tests.builders import NOW, SPEC_TEXT, make_hub_status, make_node_status, make_peer, make_spec, make_view


def evidence(**changes: Any) -> Evidence:
    """A healthy node, but for the changes."""
    values: dict[str, Any] = {
        "machine_state": "running",
        "view": make_view(),
        "report": make_node_status(),
        "answer": Answer.OK,
        "answered": make_node_status(),
    }
    return Evidence(**(values | changes))


NO_ECHO = make_view(last_echo_age_s=9.0)
UNHEARD = make_view(last_echo_age_s=None, last_handshake_age_s=None, report_age_s=None)
DEAF = {"answered": None, "report": None}


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        (evidence(), State.CONNECTED, "by its own word connected"),
        (evidence(answered=make_node_status(state=State.DEGRADED)), State.DEGRADED, "by its own word degraded"),
        (evidence(answer=Answer.UNKNOWN, answered=None), State.CONNECTED, "by its own word connected"),
        (evidence(answer=Answer.UNKNOWN, **DEAF), State.STARTING, "the node has not told its own view yet"),
        (evidence(answered=make_node_status(state=State.STARTING)), State.STARTING, "echoes arrive at the hub"),
        (evidence(machine_state="stopped"), State.DISCONNECTED, "the machine is switched off"),
        (
            evidence(answer=Answer.TIMEOUT, answered=None),
            State.DEGRADED,
            "the status server does not answer (no answer",
        ),
        (evidence(answer=Answer.BROKEN, answered=None), State.DEGRADED, "what answers is not a status"),
        (evidence(answer=Answer.REFUSED, answered=None), State.DEGRADED, "nothing listens on its port"),
        (evidence(view=NO_ECHO), State.DISCONNECTED, "the tunnel is cut: the agent runs and answers, but no echo"),
        (
            evidence(view=NO_ECHO, answered=make_node_status(state=State.DISCONNECTED)),
            State.DISCONNECTED,
            "the tunnel is cut: the agent runs and answers, but by its own word disconnected",
        ),
        (
            evidence(view=NO_ECHO, answer=Answer.TIMEOUT, answered=None),
            State.DISCONNECTED,
            "the tunnel is cut: the agent reports, but no echo comes through",
        ),
        (
            evidence(view=NO_ECHO, answered=make_node_status(state=State.DEGRADED, peers=[make_peer()])),
            State.DEGRADED,
            "no echo arrives at the hub; by its own word degraded",
        ),
        (evidence(view=NO_ECHO, answer=Answer.REFUSED, answered=None), State.DISCONNECTED, "the agent is dead"),
        (evidence(view=UNHEARD, answer=Answer.REFUSED, **DEAF), State.DISCONNECTED, "the agent is dead"),
        (evidence(view=UNHEARD, answer=Answer.BROKEN, **DEAF), State.DISCONNECTED, "the agent hangs"),
        (evidence(view=UNHEARD, answer=Answer.TIMEOUT, **DEAF), State.DISCONNECTED, "the machine cannot be reached"),
        (evidence(view=UNHEARD, answer=Answer.UNKNOWN, **DEAF), State.DISCONNECTED, "nothing is heard of it"),
        (evidence(view=None), State.CONNECTED, "(by its own word: the hub could not be asked)"),
        (
            evidence(view=None, answered=make_node_status(state=State.STARTING)),
            State.STARTING,
            "by its own word starting",
        ),
        (evidence(view=None, answer=Answer.TIMEOUT, **DEAF), State.DISCONNECTED, "the machine cannot be reached"),
        (evidence(view=make_view(agent=False)), State.STARTING, "a stock WireGuard client"),
        (
            evidence(view=make_view(agent=False, last_handshake_age_s=None)),
            State.STARTING,
            "no handshake with the hub yet",
        ),
        (evidence(view=make_view(agent=False)), State.STARTING, "last handshake with the hub 30 s ago"),
    ],
)
def test_each_fault_of_a_node_has_its_own_answer(found: Evidence, state: State, words: str) -> None:
    health = judge_evidence(found)
    assert health.state is state
    assert words in health.reason


def test_a_dead_agent_a_cut_tunnel_and_a_silent_status_server_are_three_answers() -> None:
    dead = evidence(view=UNHEARD, answer=Answer.REFUSED, **DEAF)
    cut = evidence(view=NO_ECHO)
    silent = evidence(answer=Answer.TIMEOUT, answered=None)
    reasons = {judge_evidence(found).reason for found in (dead, cut, silent)}
    assert len(reasons) == 3


def judge(
    nodes: dict[str, Evidence] | None = None, hub: HubEvidence | None = None, **more: Evidence
) -> NetworkOverview:
    found = {name: evidence(answered=make_node_status(name)) for name in ("node-1", "node-2", "node-3")}
    found |= nodes or {}
    hubs = {MachineName("hub-1"): hub or HubEvidence("running", "203.0.113.1", make_hub_status())}
    return judge_network(make_spec(SPEC_TEXT), hubs, {MachineName(name): item for name, item in found.items()})


GONE = Evidence(None, None, None, Answer.UNKNOWN)


def test_a_healthy_network_is_connected_and_nothing_is_missing() -> None:
    overview = judge()
    assert (overview.network, overview.state, overview.missing) == ("demo", State.CONNECTED, [])
    assert overview.reason == "3 nodes and 1 hub connected"
    assert [hub.state for hub in overview.hubs] == [State.CONNECTED]
    assert [node.name for node in overview.nodes] == ["node-1", "node-2", "node-3"]


def test_what_is_shown_of_a_node_says_where_each_figure_comes_from() -> None:
    issue = Issue(code="disk", text="full", since=NOW)
    told = make_node_status(
        "node-1", hubs=[make_peer("hub-1", rtt_ms=2.5, loss_pct=1.0)], peers=[make_peer()], issues=[issue]
    )
    node = judge({"node-1": evidence(view=make_view(last_echo_age_s=0.449), answered=told)}).nodes[0]
    assert (node.path, node.rtt_ms, node.loss_pct) == ("via hub-1", 2.5, 1.0)
    assert (node.last_echo_age_s, node.last_handshake_age_s) == (0.4, 30.0)
    assert [peer.name for peer in node.peers] == ["node-2"]
    assert node.issues == [issue]
    assert (node.overlay_ip, node.since, node.agent) == ("10.88.0.11", NOW, True)


def test_a_stale_report_is_not_shown_as_news() -> None:
    stale = evidence(view=make_view(last_echo_age_s=60.0, report_age_s=60.0), answer=Answer.TIMEOUT, answered=None)
    node = judge({"node-1": stale}).nodes[0]
    assert node.state is State.DISCONNECTED
    assert (node.path, node.rtt_ms, node.peers) == ("none", None, [])


@pytest.mark.parametrize(("report_age_s", "echo_ages_s"), [(2.0, [2.5]), (5.0, [])])
def test_peers_are_shown_from_a_report_only_while_it_is_news_and_their_echoes_have_aged_with_it(
    report_age_s: float, echo_ages_s: list[float]
) -> None:
    told = make_node_status("node-1", peers=[make_peer(last_echo_age_s=0.5)])
    view = make_view(last_echo_age_s=5.0, report_age_s=report_age_s)
    cut = evidence(view=view, report=told, answer=Answer.TIMEOUT, answered=None)
    assert [peer.last_echo_age_s for peer in judge({"node-1": cut}).nodes[0].peers] == echo_ages_s


@pytest.mark.parametrize("found", [GONE, Evidence("incomplete", None, None, Answer.UNKNOWN)])
def test_a_machine_that_is_not_there_is_missing_with_what_to_do(found: Evidence) -> None:
    overview = judge({"node-2": found})
    assert [(item.name, item.reason) for item in overview.missing] == [
        ("node-2", "it is not deployed: run spokewire deploy")
    ]
    assert overview.state is State.DEGRADED
    assert overview.reason == "missing: node-2"
    assert [node.name for node in overview.nodes] == ["node-1", "node-3"]


def test_a_host_of_ones_own_that_has_not_joined_is_missing_with_the_command_that_helps() -> None:
    spec = make_spec(SPEC_TEXT + '[[nodes]]\nname = "laptop"\nprovider = "host"\n')
    missing = {item.name: item.reason for item in judge_network(spec, {}, {}).missing}
    assert "spokewire node token laptop" in missing["laptop"]
    assert set(missing) == {"hub-1", "node-1", "node-2", "node-3", "laptop"}


def test_nothing_deployed_is_said_in_words() -> None:
    overview = judge_network(make_spec(), {}, {})
    assert (overview.state, overview.reason) == (State.DISCONNECTED, "nothing is deployed")


def test_a_leftover_that_the_spec_does_not_want_is_shown() -> None:
    assert [node.name for node in judge({"old": evidence()}).nodes][-1] == "old"


@pytest.mark.parametrize(
    ("hub", "words"),
    [
        (HubEvidence("running", "203.0.113.1", None, "no route"), "its API does not answer: no route"),
        (HubEvidence("stopped", None, None, "refused"), "the machine is switched off"),
        (HubEvidence("running", None, make_hub_status(state=State.DISCONNECTED)), "by its own word disconnected"),
    ],
)
def test_a_hub_that_fails_says_how(hub: HubEvidence, words: str) -> None:
    overview = judge(hub=hub)
    assert overview.hubs[0].state is State.DISCONNECTED
    assert words in overview.hubs[0].reason
    assert overview.state is State.DEGRADED
    assert "not connected: hub-1" in overview.reason


def test_two_nodes_that_reach_the_hub_but_not_each_other_are_both_degraded_and_named() -> None:
    def cut(name: str, other: str) -> Evidence:
        return evidence(answered=make_node_status(name, peers=[make_peer(other, State.DISCONNECTED)]))

    overview = judge({"node-1": cut("node-1", "node-2"), "node-2": cut("node-2", "node-1")})
    first, second, third = overview.nodes
    assert first.state is second.state is State.DEGRADED
    assert "it does not reach node-2, although both ends reach the hub" in first.reason
    assert "it does not reach node-1" in second.reason
    assert third.state is State.CONNECTED


def test_a_node_is_not_blamed_for_a_peer_that_is_switched_off() -> None:
    blind = evidence(answered=make_node_status("node-1", peers=[make_peer("node-2", State.DISCONNECTED)]))
    overview = judge({"node-1": blind, "node-2": evidence(machine_state="stopped")})
    assert [node.state for node in overview.nodes] == [State.CONNECTED, State.DISCONNECTED, State.CONNECTED]
    assert overview.reason == "not connected: node-2"


def test_a_stock_client_does_not_count_against_the_network() -> None:
    overview = judge({"phone": evidence(view=make_view("phone", agent=False), answered=None, report=None)})
    assert overview.nodes[-1].agent is False
    assert overview.state is State.CONNECTED


@pytest.mark.parametrize(
    ("answered", "state"), [(State.STARTING, State.STARTING), (State.DISCONNECTED, State.DISCONNECTED)]
)
def test_a_network_without_a_living_node_is_starting_or_disconnected(answered: State, state: State) -> None:
    found = evidence(view=UNHEARD, answered=make_node_status(state=answered))
    assert judge(dict.fromkeys(("node-1", "node-2", "node-3"), found)).state is state


def test_while_two_nodes_have_not_heard_each_other_yet_the_network_is_starting() -> None:
    peers = {"node-1": [make_peer("node-2", State.STARTING)], "node-2": [make_peer("node-1", State.STARTING)]}
    told = {name: make_node_status(name, peers=peers.get(name, [])) for name in ("node-1", "node-2", "node-3")}
    nodes = {
        MachineName(name): evidence(view=make_view(name), report=status, answered=status)
        for name, status in told.items()
    }
    hubs = {MachineName("hub-1"): HubEvidence("running", "203.0.113.1", make_hub_status())}
    overview = judge_network(make_spec(SPEC_TEXT), hubs, nodes)
    assert overview.state is State.STARTING
    assert overview.reason == "no echo has come back yet between node-1 and node-2"
