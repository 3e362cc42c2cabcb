"""HTTP/1.1 requests on httpcore, the transport under httpx: httpx itself would load a command line, its colours and its highlighter (7 MB, 60 ms)."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpcore

FAILURES = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    OSError,
)
"""Everything that a request may fail with."""
LAST_PORT = 65535
_MAX_CONNECTIONS = 1024
_KEEP_S = 5.0
"""As long as our servers keep an idle connection."""


@dataclass(frozen=True)
class Timeouts:
    """How long each step of a request may take."""

    connect_s: float
    read_s: float

    def extension(self) -> dict[str, float]:
        """In httpcore's words."""
        return {"connect": self.connect_s, "read": self.read_s, "write": self.read_s, "pool": self.read_s}


class Http:
    """Connections to servers, kept for the next request; to be used as an async context manager. No proxy of the environment is used."""

    def __init__(self, context: ssl.SSLContext, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context, max_connections=_MAX_CONNECTIONS, keepalive_expiry=_KEEP_S
        )

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: str | None = None,
        timeouts: Timeouts | None = None,
    ) -> AsyncIterator[httpcore.Response]:
        """Send a request, `json` as its body, and yield the answer as soon as its head is there. Raises one of FAILURES."""
        kind = [] if json is None else [("Content-Type", "application/json")]
        target = _parse(url)
        async with self._pool.stream(
            method,
            target,
            headers=[("Host", _authority(target)), *(headers or {}).items(), *kind],
            content=None if json is None else json.encode(),
            extensions={"timeout": (timeouts or self._timeouts).extension()},
        ) as response:
            yield response


async def read(response: httpcore.Response, limit: int) -> bytes | None:
    """Read an answer's body; None if it is longer than `limit`."""
    data = bytearray()
    async for chunk in response.aiter_stream():
        data += chunk
        if len(data) > limit:
            return None
    return bytes(data)


def _authority(url: httpcore.URL) -> bytes:
    """What the Host header says (RFC 9112 section 3.2); httpcore would leave out the brackets of an IPv6 address."""
    host = b"[" + url.host + b"]" if b":" in url.host else url.host
    return host if url.port is None else b"%b:%d" % (host, url.port)


def _parse(text: str) -> httpcore.URL:
    try:
        url = httpcore.URL(text.encode("ascii"))
    except ValueError as error:
        raise httpcore.UnsupportedProtocol(f"{text!r} is no URL") from error
    if not url.host or not 0 < (url.port or 1) <= LAST_PORT:
        raise httpcore.UnsupportedProtocol(f"{text!r} is no URL of a server")
    return url
