"""uvicorn inside a daemon's own loop, with limits on slow and idle connections."""

import asyncio
import contextlib
import functools
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from spokewire.api.limits import refuse
from spokewire.api.problem import respond
from spokewire.errors import Code, InputError
from spokewire.host.datagrams import bind

HEAD_TIMEOUT_S = 10.0
"""A connection that has not sent a whole request head by then is closed."""
MAX_HEAD_BYTES = 16 * 1024
MAX_BACKLOG = 1024
STOP_TIMEOUT_S = 1.0
_MAPPED = "::ffff:"
"""How a socket for both families shows an IPv4 address (RFC 4291 section 2.5.5.2)."""


@dataclass(frozen=True)
class Tls:
    """Where a server's TLS key and certificate are, PEM files."""

    key_file: Path
    certificate_file: Path


@runtime_checkable
class Picky(Protocol):
    """An application that says, before a request is even parsed, whose it does not want."""

    def is_tired_of(self, client: str) -> bool:
        """Whether a client has asked too often."""

    def has_enough_of(self, client: str, connections: int) -> bool:
        """Whether a client with so many open connections may not have another."""


class _BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol with a deadline for every request's head, and with our own words for what is no HTTP."""

    def __init__(self, *args: Any, head_timeout_s: float, clients: Counter[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clients = clients
        """How many connections each client has."""
        self._head_timeout_s = head_timeout_s
        self._head_deadline: asyncio.TimerHandle | None = None
        app: object = self.config.app
        self._picky = app if isinstance(app, Picky) else None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if self.client is not None:
            self.client = (self.client[0].removeprefix(_MAPPED), self.client[1])
        self._await_head()
        self._clients[self._client()] += 1
        if self._picky is not None and self._picky.has_enough_of(self._client(), self._clients[self._client()]):
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Refuse whoever asks too often before any work is done: a flood costs a fifth of what parsing it would."""
        if self._picky is None or self._request_under_way() is not None or not self._picky.is_tired_of(self._client()):
            super().data_received(data)
        elif not self.transport.is_closing():
            self.transport.write(_format_refusal())
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._clients[self._client()] -= 1
        if not self._clients[self._client()]:
            del self._clients[self._client()]
        if self._head_deadline is not None:
            self._head_deadline.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._await_head()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, unless an answer is under way already; nobody waits for the rest of the request then."""
        self.hang_up()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = respond(
                InputError(Code.REQUEST_INVALID, "This is not an HTTP request.", hint="It must be as RFC 9112 says.")
            )
            headers = [*answer.raw_headers, (b"connection", b"close")]
            for event in (
                h11.Response(status_code=answer.status_code, headers=headers),
                h11.Data(data=bytes(answer.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def hang_up(self) -> None:
        """Tell the request under way that its caller is gone, which ends it without an error."""
        cycle = self._request_under_way()
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()

    def _client(self) -> str:
        return self.client[0] if self.client else ""

    def _await_head(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
        self._head_deadline = self.loop.call_later(self._head_timeout_s, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if self._request_under_way() is None:
            self.transport.abort()

    def _request_under_way(self) -> RequestResponseCycle | None:
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return None if cycle is None or cycle.response_complete else cycle


@functools.cache
def _format_refusal() -> bytes:
    """The whole answer to a client that asks too often."""
    answer = respond(refuse())
    headers = b"".join(b"%b: %b\r\n" % header for header in [*answer.raw_headers, (b"connection", b"close")])
    return b"HTTP/1.1 %d Too Many Requests\r\n%b\r\n%b" % (answer.status_code, headers, bytes(answer.body))


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the daemon."""
        yield

    async def main_loop(self) -> None:
        """Wait to be cancelled. uvicorn's own looks ten times a second whether there is a reason to end, of which a daemon has none."""
        await asyncio.Event().wait()

    async def stop(self, sock: socket.socket) -> None:
        """End at once, and in order: streams never end by themselves, and cancelling them would log each as a failure."""
        for server in getattr(self, "servers", []):
            server.close()
        sock.close()
        connections: list[Any] = list(self.server_state.connections)
        for connection in connections:
            connection.hang_up()
        if self.server_state.tasks:
            _, late = await asyncio.wait(self.server_state.tasks, timeout=STOP_TIMEOUT_S)
            for task in late:
                task.cancel()
        for connection in connections:
            connection.transport.abort()


@dataclass(frozen=True)
class Listener:
    """A bound port, so that a port in use is known before anything else is begun."""

    sock: socket.socket
    tls: Tls | None = None
    head_timeout_s: float = HEAD_TIMEOUT_S

    async def serve(self, app: ASGIApp, max_connections: int) -> None:
        """Answer requests until cancelled."""
        config = uvicorn.Config(
            app,
            http=functools.partial(_BoundedProtocol, head_timeout_s=self.head_timeout_s, clients=Counter()),  # type: ignore[arg-type]
            # asyncio accepts this many in one turn of the loop, during which nothing else is done.
            backlog=min(MAX_BACKLOG, max_connections),
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            log_level="error",
            proxy_headers=False,
            server_header=False,
            date_header=False,
            limit_concurrency=max_connections,
            timeout_keep_alive=5,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            ssl_keyfile=None if self.tls is None else str(self.tls.key_file),
            ssl_certfile=None if self.tls is None else str(self.tls.certificate_file),
        )
        server = _Server(config)
        try:
            await server.serve(sockets=[self.sock])
        except asyncio.CancelledError:
            await server.stop(self.sock)
            raise


def listen(port: int, tls: Tls | None = None, address: str | None = None) -> Listener:
    """Bind and listen on a TCP port, by default on every address of either family; one sentence if it is taken or forbidden."""
    everywhere = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 - public on purpose
    sock = bind(socket.SOCK_STREAM, address or everywhere, port)
    sock.listen(MAX_BACKLOG)
    return Listener(sock, tls)
