"""HTTP/1.1 requests on h11, which our servers are made of too.

Clients with more around it would make each agent larger: httpcore by 4.7 MB, as it brings anyio's runtime along; httpx by 7 MB more.
"""

import asyncio
import contextlib
import ipaddress
import select
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import h11

from spokewire.host import clock

_KEEP_S = 4.0
"""How long an idle connection is kept for the next request: our servers keep it for five seconds."""
_READ_BYTES = 64 * 1024
_MAX_HEAD_BYTES = 64 * 1024
_NEXT_ADDRESS_S = 0.25
"""After so long without an answer the next address of a name is tried at the same time (RFC 8305 section 5)."""
_CLOSE_TIMEOUT_S = 1.0


class ConnectError(OSError):
    """There is no connection to that server; the cause says why."""


class ConnectTimeoutError(ConnectError):
    """The server does not answer at all."""


class UrlError(ValueError):
    """What was asked for is no URL of a server."""


FAILURES = (OSError, h11.ProtocolError, UrlError)
"""Everything that a request may fail with. An answer that takes too long is a TimeoutError, which is an OSError."""


@dataclass(frozen=True)
class Timeouts:
    """How long each step of a request may take."""

    connect_s: float
    read_s: float


@dataclass(frozen=True)
class _Target:
    """What a URL says."""

    host: str
    port: int
    is_tls: bool
    authority: str
    """What the Host header says (RFC 9112 section 3.2)."""
    path: str


@dataclass(frozen=True)
class Response:
    """The head of an answer, and its body as it comes."""

    status: int
    certificate: bytes
    """What the server presented, in DER; empty without TLS."""
    chunks: AsyncIterator[bytes]


class Http:
    """Connections to servers, kept for the next request; to be used as an async context manager. No proxy of the environment is used."""

    def __init__(self, context: ssl.SSLContext, timeouts: Timeouts) -> None:
        self._context = context
        self._timeouts = timeouts
        self._idle: list[tuple[float, _Connection]] = []
        """Connections that may be used again, and since when they are idle."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        idle, self._idle = self._idle, []
        for _, connection in idle:
            await connection.close()

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: str | None = None,
        timeouts: Timeouts | None = None,
    ) -> AsyncIterator[Response]:
        """Send a request, `json` as its body, and yield the answer as soon as its head is there. Raises one of FAILURES."""
        target, limits = _parse(url), timeouts or self._timeouts
        body = b"" if json is None else json.encode()
        described = [("Host", target.authority), *(headers or {}).items()]
        if json is not None:
            described += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        connection = self._take(target) or await _connect(target, self._context, limits.connect_s)
        try:
            request = h11.Request(method=method, target=target.path, headers=described)
            yield await connection.ask(request, body, limits.read_s)
        finally:
            if connection.prepare_next():
                self._idle.append((clock.monotonic(), connection))
            else:
                await connection.close()

    def _take(self, target: _Target) -> "_Connection | None":
        """An idle connection to the same server, if there is one; those that are idle for too long are closed."""
        now, idle, self._idle = clock.monotonic(), self._idle, []
        chosen = None
        for since, connection in idle:
            if now - since >= _KEEP_S or connection.is_ended():
                connection.abort()
            elif chosen is None and connection.serves(target):
                chosen = connection
            else:
                self._idle.append((since, connection))
        return chosen


class _Connection:
    """One connection, for one request at a time."""

    def __init__(self, target: _Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = target.host, target.port, target.is_tls
        self._reader = reader
        self._writer = writer
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)

    async def ask(self, request: h11.Request, body: bytes, timeout_s: float) -> Response:
        """Send a request; return when the head of the answer is there. Each step of it, and of the body later, may take so long."""
        for event in (request, *([h11.Data(data=body)] if body else []), h11.EndOfMessage()):
            self._writer.write(self._state.send(event) or b"")
        async with asyncio.timeout(timeout_s):
            await self._writer.drain()
        while not isinstance(head := await self.listen(timeout_s), h11.Response):
            if not isinstance(head, h11.InformationalResponse):
                raise h11.RemoteProtocolError("the server ended the connection")
        presented: ssl.SSLObject | None = self._writer.get_extra_info("ssl_object")
        certificate = b"" if presented is None else presented.getpeercert(binary_form=True) or b""
        return Response(head.status_code, certificate, _Body(self, timeout_s))

    def serves(self, target: _Target) -> bool:
        """Whether it leads to the server that is meant."""
        return self._server == (target.host, target.port, target.is_tls)

    def is_ended(self) -> bool:
        """Whether the server has ended an idle one. What the loop has not read yet counts too: nothing else comes without a question."""
        connected = self._writer.get_extra_info("socket")
        if connected is None or self._writer.is_closing() or self._reader.at_eof():
            return True
        waiting = select.poll()
        waiting.register(connected, select.POLLIN)
        return bool(waiting.poll(0))

    def prepare_next(self) -> bool:
        """Whether another request may follow: the last one and its answer are complete, and nobody wants to end it."""
        try:
            self._state.start_next_cycle()
        except h11.ProtocolError:
            return False
        return True

    def abort(self) -> None:
        """End it without waiting for that."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """End it."""
        self.abort()
        with contextlib.suppress(OSError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._writer.wait_closed()

    async def listen(self, timeout_s: float) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """The next part of the answer."""
        while (event := self._state.next_event()) is h11.NEED_DATA:
            async with asyncio.timeout(timeout_s):
                self._state.receive_data(await self._reader.read(_READ_BYTES))
        return event


@dataclass(frozen=True)
class _Body:
    """The parts of an answer's body. No generator: one that is left half-way would have to be closed."""

    connection: _Connection
    timeout_s: float

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        event = await self.connection.listen(self.timeout_s)
        if not isinstance(event, h11.Data):
            raise StopAsyncIteration
        return bytes(event.data)


async def read(response: Response, limit: int) -> bytes | None:
    """Read an answer's body; None if it is longer than `limit`."""
    data = bytearray()
    async for chunk in response.chunks:
        data += chunk
        if len(data) > limit:
            return None
    return bytes(data)


async def _connect(target: _Target, context: ssl.SSLContext, timeout_s: float) -> _Connection:
    tls, name = (context, target.host) if target.is_tls else (None, None)
    if name is not None and not context.check_hostname and _is_address(name):
        # No server is asked for by its address (RFC 6066 section 3), and reading it as a name would load the tables of international ones.
        name = ""
    try:
        async with asyncio.timeout(timeout_s):
            opened = await asyncio.open_connection(
                target.host, target.port, ssl=tls, server_hostname=name, happy_eyeballs_delay=_NEXT_ADDRESS_S
            )
            return _Connection(target, *opened)
    except TimeoutError as error:
        raise ConnectTimeoutError(f"no connection within {timeout_s:g} s") from error
    except OSError as error:
        raise ConnectError(error.strerror or str(error)) from error


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _parse(url: str) -> _Target:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UrlError(f"{url!r} is no URL") from error
    if not (url.isascii() and url.isprintable() and host) or parts.scheme not in ("http", "https") or port == 0:
        raise UrlError(f"{url!r} is no URL of a server")
    bracketed = f"[{host}]" if ":" in host else host
    return _Target(
        host=host,
        port=port or (443 if parts.scheme == "https" else 80),
        is_tls=parts.scheme == "https",
        authority=bracketed if port is None else f"{bracketed}:{port}",
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )
