"""Who answers at the hub's address: the hub itself, or somebody in its place."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from spokewire.api.client import connect
from spokewire.api.serve import Tls, listen
from spokewire.errors import Code, SpokewireError, TemporaryError
from spokewire.host import clock
from tests.component.made import Network
from tests.component.served import hub_record, make_tls, serve_hub, serving


@asynccontextmanager
async def answering(folder: Path, body: bytes) -> AsyncIterator[str]:
    """Something with TLS and a certificate of its own that answers every request with one body; yields its URL."""

    async def answer(_: Request) -> Response:
        return Response(body, media_type="application/json")

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "PUT"])])
    async with serving(listen(0, make_tls(folder), "127.0.0.1"), app) as port:
        yield f"https://127.0.0.1:{port}"


@asynccontextmanager
async def posing(network: Network, tls: Tls, certificate: str, time: str = "") -> AsyncIterator[str]:
    """A hub with a grant of the network, whose record and clock say what they like; yields its URL."""
    listener = listen(0, tls, "127.0.0.1")
    record = hub_record(network.grant("hub-1", 1, role="hub"), listener.sock.getsockname()[1], certificate)

    async def answer(_: Request) -> Response:
        return Response(introduction(record, time), media_type="application/json")

    async with serving(listener, Starlette(routes=[Route("/v1/hub", answer)])) as port:
        yield f"https://127.0.0.1:{port}"


def introduction(record: str, time: str = "") -> bytes:
    return f'{{"record": "{record}", "time": {time or clock.wall()}}}'.encode()


async def refusal(url: str, network: Network) -> SpokewireError:
    """Why a node of the network does not connect; the test fails if it does."""
    with pytest.raises(SpokewireError) as refused:
        async with connect(url, network.grant("node-1").identity):
            pass
    return refused.value


def test_an_impostor_who_replays_the_hubs_own_record_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, hub.http() as http:
            genuine = (await http.get("/v1/hub")).content
            async with answering(tmp_path / "impostor", genuine) as url:
                error = await refusal(url, hub.network)
            assert error.code is Code.CERTIFICATE_MISMATCH
            async with connect(hub.url, hub.network.operator) as client:
                assert client.member.name == "hub-1"

    asyncio.run(scenario())


def test_a_hub_of_another_network_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub:
            assert (await refusal(hub.url, Network())).code is Code.DOCUMENT_CHAIN

    asyncio.run(scenario())


def test_a_node_that_poses_as_a_hub_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        network, certificate = Network(), make_tls(tmp_path).certificate_file.read_text()
        poser = hub_record(network.grant("node-7"), 443, certificate)
        async with answering(tmp_path / "node", introduction(poser)) as url:
            assert (await refusal(url, network)).code is Code.CERTIFICATE_MISMATCH

    asyncio.run(scenario())


def test_after_the_pin_another_certificate_does_not_get_the_proof(tmp_path: Path) -> None:
    """The first connection reached the hub, the second is led elsewhere: nothing may be said there."""

    heard: list[str] = []

    async def listen_in(request: Request) -> Response:
        heard.append(request.url.path)
        return Response(b"{}")

    async def scenario() -> None:
        async with AsyncExitStack() as stack, AsyncExitStack() as genuine:
            hub = await genuine.enter_async_context(serve_hub(tmp_path))
            client = await stack.enter_async_context(connect(hub.url, hub.network.operator))
            await client.fetch_status()
            await genuine.aclose()
            app = Starlette(routes=[Route("/{path:path}", listen_in)])
            await stack.enter_async_context(serving(listen(hub.port, make_tls(tmp_path / "other"), "127.0.0.1"), app))
            with pytest.raises(TemporaryError) as refused:
                await client.fetch_status()
            assert "certificate" in str(refused.value)

    asyncio.run(scenario())
    assert heard == []


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}",
        b"[]",
        b"<html>",
        b"\xff",
        b'{"record": "a.b.c", "time": 1}',
        b'{"record": 1, "time": 1}',
        b"[" * 9999,
    ],
)
def test_what_is_no_hub_at_all_is_an_error_with_a_code(tmp_path: Path, answer: bytes) -> None:
    async def scenario() -> None:
        async with answering(tmp_path, answer) as url:
            assert (await refusal(url, Network())).code in (Code.API_UNREACHABLE, Code.DOCUMENT_MALFORMED)

    asyncio.run(scenario())


@pytest.mark.parametrize("time", ["1e999", "NaN", "Infinity", "-1", "1e300", '"soon"', "null"])
def test_a_hostile_hubs_clock_cannot_end_a_node(tmp_path: Path, time: str) -> None:
    """It has a grant and a certificate, but no sense of time."""

    async def scenario() -> None:
        network, tls = Network(), make_tls(tmp_path)
        async with posing(network, tls, tls.certificate_file.read_text(), time) as url:
            with pytest.raises(SpokewireError) as refused:
                async with connect(url, network.grant("node-1").identity) as client:
                    await client.fetch_status()
            assert refused.value.code is Code.API_UNREACHABLE

    asyncio.run(scenario())


def test_a_certificate_with_words_around_it_is_read_like_any_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        network, tls = Network(), make_tls(tmp_path)
        decorated = "größe\n" + tls.certificate_file.read_text() + "\nvoilà"
        async with posing(network, tls, decorated) as url, connect(url, network.operator) as client:
            assert client.member.name == "hub-1"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "url",
    [
        "https://",
        "https://[",
        "https://[::1",
        "https://127.0.0.1:99999",
        "https://127.0.0.1:x",
        "https://a b",
        "https://\x00",
        "https://127.0.0.1\r\nHost: b",
        "https://" + "a" * 300,
        "https://" + ".".join(["ä" * 60] * 3),
        "https://127.0.0.1:1",
    ],
)
def test_an_address_that_a_hostile_hub_made_up_cannot_end_a_node(url: str) -> None:
    assert asyncio.run(refusal(url, Network())).code is Code.API_UNREACHABLE
