"""uvicorn inside a daemon's own loop, with limits on slow and idle connections."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from spokewire.host.datagrams import bind

HEAD_TIMEOUT_S = 10.0
"""A connection that has not sent a whole request head by then is closed."""
MAX_HEAD_BYTES = 16 * 1024
STOP_TIMEOUT_S = 2


@dataclass(frozen=True)
class Tls:
    """Where a server's TLS key and certificate are, PEM files."""

    key_file: Path
    certificate_file: Path


class _BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol with a deadline for the first request on a connection."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head_deadline = self.loop.call_later(HEAD_TIMEOUT_S, self._close_if_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_deadline.cancel()
        super().connection_lost(exc)

    def _close_if_silent(self) -> None:
        """The cycle is the request being answered, or the last one: None until a first request head has come whole."""
        cycle: object = self.cycle
        if cycle is None:
            self.transport.close()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the daemon."""
        yield


@dataclass(frozen=True)
class Listener:
    """A bound port, so that a port in use is known before anything else is begun."""

    sock: socket.socket
    tls: Tls | None = None

    async def serve(self, app: ASGIApp, max_connections: int) -> None:
        """Answer requests until cancelled."""
        config = uvicorn.Config(
            app,
            http=_BoundedProtocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            limit_concurrency=max_connections,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=STOP_TIMEOUT_S,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            ssl_keyfile=None if self.tls is None else str(self.tls.key_file),
            ssl_certfile=None if self.tls is None else str(self.tls.certificate_file),
        )
        server = _Server(config)
        try:
            await server.serve(sockets=[self.sock])
        except asyncio.CancelledError:
            server.should_exit = True
            server.force_exit = True
            await server.shutdown(sockets=[self.sock])
            raise


def listen(port: int, tls: Tls | None = None, address: str = "0.0.0.0") -> Listener:  # noqa: S104 - public on purpose
    """Bind and listen on a TCP port; one sentence if it is taken or forbidden."""
    sock = bind(socket.SOCK_STREAM, address, port)
    sock.listen(1024)
    return Listener(sock, tls)
