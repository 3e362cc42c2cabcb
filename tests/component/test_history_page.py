"""The page that shows a node's history: what it says, what it never says, and its limits."""

import asyncio
from pathlib import Path

import httpx
import pytest

from spokewire.api.serve import listen
from spokewire.host import clock
from spokewire.network.events import NodeHistory
from spokewire.network.status import NodeStatus
from spokewire.node import server
from spokewire.node.history import History
from tests.component.remembered import begin, remembering, texts, wait_until_stored
from tests.component.served import serving


async def answers(history: History, *paths: str) -> list[httpx.Response]:
    """What the status server answers to these paths."""

    def status() -> NodeStatus:
        raise AssertionError("the history does not need the status")

    app = server.build(status, clock.monotonic, history.tell)
    async with (
        serving(listen(0, None, "127.0.0.1"), app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
    ):
        return [await http.get(path) for path in paths]


def test_the_history_page_says_what_happened_and_nobodys_endpoint(tmp_path: Path) -> None:
    async def scenario() -> None:
        history = begin(tmp_path)
        now = clock.wall()
        history.note_event(now - 7200, "test", "node-2", "long ago")
        history.note_event(now, "endpoint", "node-2", "roamed to 203.0.113.9:51820 and [2001:db8::9]:51820")
        for minute in range(3):
            history.note_probes(now - 60 * minute, "hub-1", 60, 3 * minute, 1.5, 20.0)
        async with remembering(history):
            await wait_until_stored(history, "roamed")
            hour, newest, everything = await answers(history, "/history?since=1h", "/history?limit=1", "/history")
        told = NodeHistory.model_validate_json(hour.content)
        assert texts(told) == ["roamed to … and …"]
        assert (told.complete, told.kept_since) == (True, round(now - 7200, 3))
        assert "203.0.113" not in hour.text
        [echoes] = told.echoes
        assert (echoes.subject, echoes.sent, echoes.lost, echoes.rtt_ms_max) == ("hub-1", 180, 9, 20.0)
        assert echoes.worst_loss_pct == 10.0
        short = NodeHistory.model_validate_json(newest.content)
        assert (texts(short), short.complete) == (["roamed to … and …"], False)
        assert len(NodeHistory.model_validate_json(everything.content).events) == 2

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "query", ["since=tomorrow", "since=", "limit=0", "limit=1001", "limit=-1", "limit=x", "limit=²"]
)
def test_a_question_that_is_not_understood_is_told_how_to_ask(tmp_path: Path, query: str) -> None:
    [answer] = asyncio.run(answers(begin(tmp_path), f"/history?{query}"))
    problem = answer.json()
    assert (answer.status_code, problem["code"], bool(problem["hint"])) == (400, "request-invalid", True)


def test_the_largest_answer_is_bounded_and_a_flood_of_questions_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        history = begin(tmp_path)
        now = clock.wall()
        for number in range(1200):
            history.note_event(now, "test", f"node-{number}", "𝄞" * 1000)
        for number in range(1200):
            history.note_probes(now, f"{'n' * 28}{number:04}", 60, 30, 123.456, 1234.567)
        async with remembering(history):
            await wait_until_stored(history, "𝄞")
            got = await answers(history, "/history?limit=1000")
            # Small ones: a flood of large answers takes so long that most are within the rate.
            flood = await answers(history, *["/history?limit=1"] * 150)
        refused = [answer for answer in flood if answer.status_code == 429]
        assert 5 < len(refused) < 150
        assert {answer.json()["code"] for answer in refused} == {"rate-limited"}
        print(f"measured: the largest answer has {len(got[0].content)} bytes")
        assert len(got[0].json()["events"]) == 1000
        assert len(got[0].content) < 2_000_000

    asyncio.run(scenario())
