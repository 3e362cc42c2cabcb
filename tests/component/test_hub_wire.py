"""The hub's API under the hands of those who do not speak HTTP well, or on purpose wrongly."""

import asyncio
import json
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from spokewire.api.client import connect
from spokewire.api.limits import LimitBody
from spokewire.api.messages import MAX_BODY_BYTES
from spokewire.api.serve import Listener, listen
from spokewire.errors import Code
from spokewire.hub import api
from tests.component.made import Network
from tests.component.served import insecure, make_parts, serve_hub, serving, speak, until

HEAD = b"POST /v1/records HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\n"
CLOSE = b"Connection: close\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        pytest.param(HEAD + b"Content-Length: abc\r\n\r\n{}", 400, Code.REQUEST_INVALID, id="a length in letters"),
        pytest.param(HEAD + b"Content-Length: -1\r\n\r\n", 400, Code.REQUEST_INVALID, id="a negative length"),
        pytest.param(
            HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400, Code.REQUEST_INVALID, id="5000 digits"
        ),
        pytest.param(
            HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, Code.REQUEST_INVALID, id="two lengths"
        ),
        pytest.param(HEAD + CLOSE + b"Content-Length: 99999999\r\n\r\n{}", 413, Code.TOO_LARGE, id="a huge length"),
        pytest.param(
            HEAD + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"x" * 65536) * (MAX_BODY_BYTES // 65536 + 2),
            413,
            Code.TOO_LARGE,
            id="chunks without end",
        ),
        pytest.param(
            HEAD + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"{}") + b"0\r\n\r\n",
            400,
            Code.REQUEST_INVALID,
            id="chunks of another shape",
        ),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, Code.REQUEST_INVALID, id="broken chunks"),
        pytest.param(
            HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 400, Code.REQUEST_INVALID, id="another coding"
        ),
        pytest.param(b"\x16\x03\x01\x02\x00garbage\r\n\r\n", 400, Code.REQUEST_INVALID, id="no HTTP"),
        pytest.param(b"GET /v1/hub HTTP/1.1\r\n\r\n", 400, Code.REQUEST_INVALID, id="no host"),
        pytest.param(
            b"GET /v1/hub HTTP/1.1\r\nHost: a\r\n b: c\r\n\x00: d\r\n\r\n", 400, Code.REQUEST_INVALID, id="a zero"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000, 400, Code.REQUEST_INVALID, id="a head too long"
        ),
    ],
)
def test_a_malformed_request_is_answered_once_with_a_problem_and_the_connection_ends(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], request_bytes: bytes, status: int, code: Code
) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub:
            answer = await speak(hub.port, request_bytes)
            head, _, body = answer.partition(b"\r\n\r\n")
            problem = json.loads(body)
            assert head.startswith(b"HTTP/1.1 %d " % status)
            assert b"application/problem+json" in head
            assert (problem["code"], bool(problem["hint"])) == (code, True)
            assert answer.count(b"HTTP/1.1") == 1

    asyncio.run(scenario())
    assert "Traceback" not in capfd.readouterr().err


def test_a_request_with_two_framings_is_read_by_its_chunks(tmp_path: Path) -> None:
    """RFC 9112 section 6.3: so that no other reader of the same bytes sees other requests in them than the limits do."""

    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub:
            second = b"GET /healthz HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"
            first = HEAD + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % len(second)
            answers = (await speak(hub.port, first + second)).split(b"HTTP/1.1 ")
            assert [answer[:3] for answer in answers] == [b"", b"400", b"200"]

    asyncio.run(scenario())


def test_garbage_after_a_refusal_leaves_no_trace_in_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub:
            refused = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"x" * 300_000) * 2
            answer = await speak(hub.port, refused + b"zz\r\n" * 100)
            assert answer.startswith(b"HTTP/1.1 4")
            async with connect(hub.url, hub.network.operator) as client:
                assert len(await client.fetch_roster()) == 2

    asyncio.run(scenario())
    assert "Traceback" not in capfd.readouterr().err


def test_a_caller_that_hangs_up_in_the_middle_of_its_body_changes_nothing_and_harms_nobody(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, hub.http() as http:
            for part in (b"", b'{"record"', b'{"record": "x"}'):
                _, writer = await asyncio.open_connection("127.0.0.1", hub.port, ssl=insecure())
                writer.write(HEAD + b"Content-Length: 5000\r\n\r\n" + part)
                await writer.drain()
                writer.transport.abort()
            assert (await http.get("/healthz")).status_code == 200

    asyncio.run(scenario())
    assert "Traceback" not in capfd.readouterr().err


def test_a_body_that_breaks_off_never_reaches_the_application() -> None:
    seen: list[bytes] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((await receive())["body"])

    async def scenario() -> None:
        messages: list[Message] = [
            {"type": "http.request", "body": b"first half", "more_body": True},
            {"type": "http.disconnect"},
        ]
        await LimitBody(application, 1024)({"type": "http", "headers": []}, _deliver(messages), _collect([]))

    asyncio.run(scenario())
    assert seen == []


def test_a_body_that_does_not_arrive_in_time_is_given_up() -> None:
    async def scenario() -> list[Message]:
        async def never() -> Message:
            await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        sent: list[Message] = []
        limited = LimitBody(_unreachable, 1024, timeout_s=0.01)
        await limited({"type": "http", "headers": []}, never, _collect(sent))
        return sent

    start, body = asyncio.run(scenario())
    assert start["status"] == 504
    assert json.loads(body["body"])["code"] == Code.TIMEOUT


def test_a_caller_that_leaves_before_the_first_line_leaves_no_stream_and_no_test_behind(tmp_path: Path) -> None:
    network = Network()
    parts = make_parts(network, network.grant("hub-1", 1, role="hub"), tmp_path)
    parts.membership.take(network.settings())
    body = json.dumps({"request": network.request(("node-1", "node-2"))}).encode()

    async def scenario() -> None:
        app = api.build(parts)
        for _ in range(40):
            for method, path, sent in (("GET", "/v1/roster", b""), ("POST", "/v1/tests", body)):
                await app(_scope(method, path, network.proof()), _deliver([_whole(sent)]), _collect([]))

    asyncio.run(scenario())
    assert not parts.membership.followers
    parts.tests.refuse_more()
    parts.membership.close()


@pytest.mark.parametrize(
    "beginning", [b"", b"GET /healthz HTTP/1.1\r\nHos", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /he"]
)
def test_a_client_that_never_finishes_a_request_head_is_cut_off(tmp_path: Path, beginning: bytes) -> None:
    async def scenario() -> None:
        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})

        listener = Listener(listen(0, None, "127.0.0.1").sock, head_timeout_s=0.2)
        async with serving(listener, application) as port:
            answer = await speak(port, beginning, tls=False, limit_s=3.0)
            assert answer.count(b"200 OK") == beginning.count(b"\r\n\r\n")

    asyncio.run(scenario())


def test_who_speaks_plain_text_to_the_tls_port_harms_nobody(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, hub.http() as http:
            answer = await speak(hub.port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", tls=False)
            assert b"HTTP" not in answer
            assert (await http.get("/healthz")).status_code == 200

    asyncio.run(scenario())
    assert "Traceback" not in capfd.readouterr().err


def test_an_open_stream_is_seen_to_end_when_its_reader_goes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub:
            async with connect(hub.url, hub.network.operator) as client:
                stream = client.stream_roster()
                await anext(stream)
                assert len(hub.membership.followers) == 1
                await stream.aclose()
            await until(lambda: not hub.membership.followers)

    asyncio.run(scenario())


def _scope(method: str, path: str, headers: dict[str, str]) -> Scope:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [*raw, (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 443),
    }


def _whole(body: bytes) -> Message:
    return {"type": "http.request", "body": body, "more_body": False}


def _deliver(messages: list[Message]) -> Receive:
    waiting = list(messages)

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    return receive


def _collect(sent: list[Message]) -> Send:
    async def send(message: Message) -> None:
        sent.append(message)

    return send


async def _unreachable(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("the application must not see this request")
