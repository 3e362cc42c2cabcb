"""The node's public status page: its fields, its limits, and what it never says."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from spokewire.api.serve import Listener, listen
from spokewire.errors import Code, TemporaryError
from spokewire.host import clock, keys
from spokewire.host.identity import load_identity
from spokewire.network.handshakes import Silence
from spokewire.network.health import Health
from spokewire.network.probing import Trail
from spokewire.network.roster import Roster, merge
from spokewire.network.status import NodeStatus, State, WireGuardStatus
from spokewire.node import server
from spokewire.node.board import Board
from spokewire.node.targets import Target
from spokewire.node.watched import Watched
from tests.component.made import Network
from tests.component.served import hub_record, serving, speak

WIREGUARD = WireGuardStatus(interface="wg-made", peer_count=1, max_last_handshake_sec=12.0, device="wireguard-go")


def make_board(folder: Path, *, echoes: bool = True) -> tuple[Board, list[str]]:
    """A board as the daemon fills it, and the secrets that it stands beside."""
    network = Network()
    hub, node, peer = network.grant("hub-1", 1, role="hub"), network.grant("node-1", 11), network.grant("node-2", 12)
    token = node.token("https://192.0.2.1:443")
    identity = load_identity(folder, "node", token)
    certificate = keys.make_certificate("hub-1")[1]
    texts = [network.settings(), hub_record(hub, 443, certificate), node.record(), peer.record()]
    board = Board(folder, identity, merge(Roster(network.root.public_key()), texts, clock.wall()).roster)
    now = clock.monotonic()
    for name, address in (("hub-1", "10.88.0.1"), ("node-2", "10.88.0.12")):
        trail = Trail(now)
        sequence = trail.send(now)
        if echoes:
            trail.answer(sequence, 1, now + 0.004)
        state = State.CONNECTED if echoes else State.DISCONNECTED
        target = Target(name, is_hub=name == "hub-1", peer=None, calls=True)
        health = Health(state, "as told")
        board.watched[address] = Watched(target, address, trail, health, clock.wall(), Silence(now), due_at=now)
    board.wireguard = lambda: WIREGUARD
    board.find_path = lambda _name, _key: ("via hub-1", "the only hub", None)
    return board, [token, token.split(".")[1], *texts, certificate, "192.0.2.1", "127.0.0.1"]


def ask(status: Callable[[], NodeStatus], *paths: str, method: str = "GET") -> list[httpx.Response]:
    """The answers of a status server on a port of its own."""

    async def scenario() -> list[httpx.Response]:
        app = server.build(status, clock.monotonic)
        async with (
            serving(listen(0, None, "127.0.0.1"), app) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
        ):
            return [await http.request(method, path) for path in paths]

    return asyncio.run(scenario())


def test_the_status_page_has_the_fields_that_operators_know(tmp_path: Path) -> None:
    board, _ = make_board(tmp_path)
    [answer] = ask(board.status, "/status")
    page = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert {"node", "overlay_ip", "wg", "disk_free_gb", "time"} <= set(page)
    assert (page["node"], page["overlay_ip"]) == ("node-1", "10.88.0.11")
    assert (page["wg"]["interface"], page["wg"]["peer_count"], page["wg"]["max_last_handshake_sec"]) == (
        "wg-made",
        1,
        12,
    )
    assert page["disk_free_gb"] > 0
    assert abs(page["time"] - clock.wall()) < 60
    assert (page["state"], page["reason"]) == ("connected", "echoes come back from hub-1")
    [hub], [peer] = page["hubs"], page["peers"]
    assert (hub["name"], hub["path"], hub["rtt_ms"], hub["loss_pct"]) == ("hub-1", "direct", 4.0, 0.0)
    assert (peer["name"], peer["path"], peer["state"]) == ("node-2", "via hub-1", "connected")


def test_health_is_good_only_while_echoes_come_back(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    good, bad = make_board(tmp_path / "good")[0], make_board(tmp_path / "bad", echoes=False)[0]
    [well], [ill], [new] = (ask(board.status, "/health") for board in (good, bad, Board(tmp_path)))
    assert (well.status_code, well.json()["state"]) == (200, "connected")
    assert (ill.status_code, ill.json()["state"]) == (503, "disconnected")
    assert "hub-1: as told" in ill.json()["reason"]
    assert (new.status_code, new.json()["state"]) == (503, "starting")


def test_the_status_page_answers_before_anything_else_is_known(tmp_path: Path) -> None:
    [answer] = ask(Board(tmp_path).status, "/status")
    page = answer.json()
    assert answer.status_code == 200
    assert (page["node"], page["overlay_ip"], page["wg"], page["hubs"]) == ("", None, None, [])


def test_the_status_page_says_nothing_secret_and_nobodys_address_outside(tmp_path: Path) -> None:
    board, secrets = make_board(tmp_path)
    board.report("sync")(TemporaryError(Code.API_UNREACHABLE, "The API of hub-1 does not answer."))
    answers = ask(board.status, "/status", "/health", "/", "/status?x=y")
    text = "".join(answer.text + str(answer.headers) for answer in answers)
    assert [issue["code"] for issue in answers[0].json()["issues"]] == ["api-unreachable"]
    assert [secret for secret in secrets if secret in text] == []


def test_an_issue_keeps_its_beginning_and_goes_when_the_loop_works_again(tmp_path: Path) -> None:
    board, _ = make_board(tmp_path, echoes=False)
    note = board.report("reconcile")
    note(TemporaryError(Code.TIMEOUT, "first"))
    since = board.status().issues[0].since
    note(TemporaryError(Code.TIMEOUT, "second"))
    status = board.status()
    assert [(issue.text, issue.since) for issue in status.issues] == [("second", since)]
    assert (status.state, status.reason) == (State.DISCONNECTED, "second")
    note(None)
    assert board.status().issues == []
    assert "hub-1: as told" in board.status().reason


def test_a_loop_that_only_waits_for_news_is_not_listed_as_one_that_has_not_turned(tmp_path: Path) -> None:
    board, _ = make_board(tmp_path)
    board.report("sync", turns=False)(None)
    board.report("probe")(None)
    assert set(board.status().loops) == {"probe"}
    assert board.turns.overdue() == ""


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("GET", "/v1/hub", 404), ("POST", "/status", 405)]
)
def test_anything_else_is_refused_with_a_problem(tmp_path: Path, method: str, path: str, status: int) -> None:
    [answer] = ask(Board(tmp_path).status, path, method=method)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"]
    assert answer.json()["hint"]


def test_who_asks_too_often_gets_429_and_is_not_computed_for(tmp_path: Path) -> None:
    computed = 0
    board, _ = make_board(tmp_path)

    def status() -> NodeStatus:
        nonlocal computed
        computed += 1
        return board.status()

    answers = ask(status, *["/status"] * 300)
    codes = [answer.status_code for answer in answers]
    assert codes[:100] == [200] * 100
    assert codes.count(429) > 50
    assert 1 <= computed < codes.count(200)


def test_a_defect_behind_the_page_is_a_problem_without_a_look_inside(tmp_path: Path) -> None:
    def status() -> NodeStatus:
        raise ZeroDivisionError("inner words")

    [answer] = ask(status, "/status")
    assert (answer.status_code, answer.json()["code"]) == (500, Code.INTERNAL)
    assert "inner words" not in answer.text


@pytest.mark.parametrize("beginning", [b"GET /status HT", b"GET /status HTTP/1.1\r\nHost: a\r\n\r\nGET /sta", b"\x00"])
def test_a_slow_or_senseless_client_is_cut_off_while_others_are_served(tmp_path: Path, beginning: bytes) -> None:
    async def scenario() -> None:
        listener = Listener(listen(0, None, "127.0.0.1").sock, head_timeout_s=0.3)
        async with serving(listener, server.build(Board(tmp_path).status, clock.monotonic)) as port:
            slow = asyncio.create_task(speak(port, beginning, tls=False, limit_s=5))
            whole = await speak(port, b"GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", tls=False)
            assert json.loads(whole.partition(b"\r\n\r\n")[2])["state"] == "starting"
            await slow

    asyncio.run(scenario())


def test_a_body_that_nobody_asked_for_is_bounded(tmp_path: Path) -> None:
    async def scenario() -> bytes:
        app = server.build(Board(tmp_path).status, clock.monotonic)
        async with serving(listen(0, None, "127.0.0.1"), app) as port:
            head = b"GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % 10**9
            return await speak(port, head + b"x" * 4096, tls=False)

    assert asyncio.run(scenario()).startswith(b"HTTP/1.1 413")
