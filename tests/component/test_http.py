"""Requests as they are on the wire."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable

import pytest

from spokewire.api.http import FAILURES, ConnectError, Http, Timeouts, read

TIMEOUTS = Timeouts(5, 5)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"


def client() -> Http:
    return Http(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), TIMEOUTS)


@pytest.mark.parametrize(("address", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_the_host_header_names_the_server_as_a_url_does(address: str, shown: str) -> None:
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    async def scenario() -> tuple[bytes | None, bytes | None, int]:
        try:
            server = await asyncio.start_server(answer, address, 0)
        except OSError:
            pytest.skip(f"there is no {address} here")
        port: int = server.sockets[0].getsockname()[1]
        async with server, client() as http:
            async with http.stream("GET", f"http://{shown}:{port}/status") as response:
                whole = await read(response, 4)
            async with http.stream("GET", f"http://{shown}:{port}/status") as response:
                return whole, await read(response, 3), port

    whole, cut, port = asyncio.run(scenario())
    assert (whole, cut) == (b"body", None)
    assert f"Host: {shown}:{port}\r\n".encode() in heads[0]


@pytest.mark.parametrize("url", ["https://[::1", "nonsense", "ftp://127.0.0.1", "http://127.0.0.1:1/x"])
def test_a_request_that_cannot_be_made_fails_in_a_way_that_is_announced(url: str) -> None:
    async def scenario() -> None:
        async with client() as http, http.stream("GET", url):
            pytest.fail("something answered")

    with pytest.raises(FAILURES):
        asyncio.run(scenario())
    assert issubclass(ConnectError, FAILURES)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def ask(serve: Serve, times: int, timeouts: Timeouts = TIMEOUTS) -> tuple[list[bytes | None], int]:
    """What one client gets for so many requests, one after the other, and over how many connections."""
    connections = 0

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()

    answers = []
    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    async with server, Http(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), timeouts) as http:
        for _ in range(times):
            async with http.stream("POST", f"http://127.0.0.1:{port}/", json="{}") as response:
                answers.append(await read(response, 100))
    return answers, connections


async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Content-Type: application/json\r\n" in head
        assert await reader.readexactly(2) == b"{}"
        writer.write(ANSWER)


async def answer_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER)


def say(text: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)

    return serve


async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


def test_requests_to_a_server_share_a_connection() -> None:
    assert asyncio.run(ask(answer_all, 3)) == ([b"body"] * 3, 1)


def test_a_server_that_ends_each_connection_is_called_anew() -> None:
    assert asyncio.run(ask(say(ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")), 3)) == ([b"body"] * 3, 3)


def test_an_answer_in_chunks_is_put_together() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n"
    assert asyncio.run(ask(say(chunked), 1)) == ([b"body"], 1)


def test_what_a_server_says_before_its_answer_is_passed_over() -> None:
    assert asyncio.run(ask(say(b"HTTP/1.1 103 Early Hints\r\n\r\n" + ANSWER), 1)) == ([b"body"], 1)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
    ],
    ids=["nothing", "half a head", "half a body", "half of the chunks", "no HTTP", "a head without end"],
)
def test_an_answer_that_is_none_fails_in_a_way_that_is_announced(text: bytes) -> None:
    with pytest.raises(FAILURES):
        asyncio.run(ask(say(text), 1))


def test_a_server_that_is_silent_is_given_up() -> None:
    with pytest.raises(FAILURES):
        asyncio.run(ask(say_nothing, 1, Timeouts(5, 0.05)))


def test_a_server_that_ended_an_idle_connection_is_called_anew() -> None:
    ended = asyncio.Event()

    async def answer_and_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_one(reader, writer)
        await writer.drain()
        writer.close()
        ended.set()

    async def scenario() -> list[bytes | None]:
        answers = []
        server = await asyncio.start_server(answer_and_end, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        async with server, client() as http:
            for _ in range(3):
                async with http.stream("GET", f"http://127.0.0.1:{port}/") as response:
                    answers.append(await read(response, 100))
                await ended.wait()
                ended.clear()
        return answers

    assert asyncio.run(scenario()) == [b"body"] * 3
