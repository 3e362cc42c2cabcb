"""Requests as they are on the wire."""

import asyncio
import ssl

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
