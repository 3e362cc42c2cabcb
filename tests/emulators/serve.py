"""Serving an emulator over TLS, in a thread of its own."""

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from tests.emulators.authority import Authority


@dataclass(frozen=True)
class Served:
    """A running emulator."""

    url: str
    authority: Authority


@contextmanager
def serve(emulator: ASGIApp, authority: Authority, host: str = "127.0.0.1", port: int = 0) -> Iterator[Served]:
    """Serve until the block ends; port 0 chooses a free one. Requests that come while it starts wait in the socket's queue."""
    # asyncio switches Nagle's algorithm off only where the protocol is named: without that every answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(128)
    server = uvicorn.Server(
        uvicorn.Config(
            emulator,
            ssl_certfile=str(authority.certificate_file),
            ssl_keyfile=str(authority.key_file),
            log_config=None,
            log_level=logging.CRITICAL,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), name="emulator", daemon=True)
    thread.start()
    try:
        yield Served(f"https://{host}:{listener.getsockname()[1]}", authority)
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
    assert not thread.is_alive(), "the emulator does not end"
