"""What people see of a network, on terminals of any width."""

import io

import pytest
from rich.console import Console

from spokewire.cli.tables import findings_table, status_table
from spokewire.network.findings import Kind, make_finding
from spokewire.network.overview import HubOverview, Missing, NetworkOverview, NodeOverview
from spokewire.network.status import Issue, PeerStatus, State

DEAD = "the agent is dead: nothing listens on its status port"
OVERVIEW = NetworkOverview(
    network="demo",
    state=State.DEGRADED,
    reason="not connected: node-1",
    hubs=[
        HubOverview(
            name="hub-1", address="203.0.113.1", overlay_ip="10.88.0.1", state=State.CONNECTED, reason="relaying"
        )
    ],
    nodes=[
        NodeOverview(name="node-1", overlay_ip="10.88.0.11", state=State.DISCONNECTED, reason=DEAD, path="none"),
        NodeOverview(
            name="node-2",
            overlay_ip="10.88.0.12",
            state=State.CONNECTED,
            reason="echoes come back from \x1b[2Jhub-1",
            path="via hub-1",
            rtt_ms=1.25,
            peers=[
                PeerStatus(
                    name="node-1",
                    overlay_ip="10.88.0.11",
                    path="via hub-1",
                    state=State.DISCONNECTED,
                    reason="no echo for 300 s",
                    since=0,
                )
            ],
            issues=[Issue(code="api-unreachable", text="The API of hub-1 does not answer.", hint="Is it up?", since=0)],
        ),
    ],
    missing=[Missing(name="laptop", reason="it has not joined")],
)

WIDE = 110
"""From here on the reason has a column of its own, in which it may wrap."""


def shown(width: int) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, markup=False).print(status_table(OVERVIEW, width))
    return stream.getvalue()


@pytest.mark.parametrize("width", [40, 50, 64, 80, 109, 110, 160])
def test_on_a_terminal_of_any_width_all_names_states_and_faults_are_told_whole(width: int) -> None:
    lines = shown(width).splitlines()
    words = " ".join(shown(width).split())
    for name in ("hub-1", "node-1", "node-2", "laptop", "connected", "disconnected", "missing", "1.2 ms"):
        assert name in words
    assert max(map(len, lines)) <= width
    for reason in (DEAD, "no echo for 300 s", "it has not joined", "The API of hub-1 does not answer. Is it up?"):
        assert all(word in words for word in reason.split()) if width >= WIDE else reason in words


def test_a_narrow_terminal_tells_the_reasons_below_with_whom_they_are_about() -> None:
    lines = shown(80).splitlines()
    assert f"node-1: {DEAD}" in lines
    assert "node-2 to node-1: no echo for 300 s" in lines
    assert "node-2: The API of hub-1 does not answer. Is it up?" in lines
    assert "laptop: it has not joined" in lines
    assert not any(line.startswith("hub-1: ") for line in lines)


def test_what_a_machine_says_of_itself_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in shown(160)
    assert "\\x1b[2J" in shown(160)


FINDING = make_finding(
    Kind.AGENT_DEAD,
    ["node-1"],
    "The agent of node-1 is dead.",
    "Start it again: \x1b[2Jspokewire lab restart node-1.",
    since=1_800_000_000.0,
    evidence=["Nothing listens on its status port.", "No echo of it comes back to node-2 and node-3."],
    explains=["node-1 and node-2 do not reach each other."],
)


@pytest.mark.parametrize("width", [40, 80, 160])
def test_a_finding_is_told_whole_on_a_terminal_of_any_width_and_cannot_steer_it(width: int) -> None:
    stream = io.StringIO()
    Console(file=stream, width=width, markup=False).print(findings_table([FINDING], 1_800_000_090.0))
    words = " ".join(stream.getvalue().split())
    for text in (*FINDING.evidence, *FINDING.explains, FINDING.what, "for 90 s", "1. critical"):
        assert all(word in words for word in text.split()), text
    assert "docs/runbooks/node-silent.md" in words.replace(" ", "")
    assert max(map(len, stream.getvalue().splitlines())) <= width
    assert "\x1b" not in words
    assert "\\x1b[2J" in words


@pytest.mark.parametrize(("began", "told"), [(None, False), (1_800_000_000.0, True), (1_700_000_000.0, True)])
def test_a_beginning_that_nobody_knows_is_not_told(began: float | None, told: bool) -> None:
    stream = io.StringIO()
    finding = FINDING.model_copy(update={"since": began})
    Console(file=stream, width=120, markup=False).print(findings_table([finding], 1_800_000_090.0))
    assert ("since" in stream.getvalue()) is told
    assert ("2023-11-1" in stream.getvalue()) is (began == 1_700_000_000.0)
