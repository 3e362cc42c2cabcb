"""Limits on everything public: how much, how fast, how long."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Network

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spokewire.api.problem import respond
from spokewire.errors import Code, InputError, TemporaryError

BODY_TIMEOUT_S = 10.0
MAX_LENGTH_DIGITS = 18
MAX_CLIENTS = 4096
"""How many client addresses a limiter remembers; the one seen longest ago is forgotten first."""


@dataclass
class TokenBucket:
    """At most `burst` at once, and `rate` a second on average, for each client. Pure: `now` is an argument."""

    rate: float
    burst: float
    _levels: "OrderedDict[str, tuple[float, float]]" = field(default_factory=OrderedDict)

    def admit(self, client: str, now: float) -> bool:
        """Whether one more request of this client is within the limit; if so it is counted."""
        level, since = self._levels.pop(client, (self.burst, now))
        level = min(self.burst, level + (now - since) * self.rate)
        admitted = level >= 1
        self._levels[client] = (level - 1 if admitted else level, now)
        while len(self._levels) > MAX_CLIENTS:
            self._levels.popitem(last=False)
        return admitted

    def is_empty(self, client: str, now: float) -> bool:
        """Whether a request of this client would be refused; nothing is counted."""
        level, since = self._levels.get(client, (self.burst, now))
        return level + (now - since) * self.rate < 1


def name_client(address: str) -> str:
    """Whose limit a request counts against: an IPv4 address, or the /64 of an IPv6 address, all of which one machine may use (RFC 4291 section 2.5.4)."""
    try:
        return str(IPv6Network((address, 64), strict=False))
    except ValueError:
        return address


def refuse() -> TemporaryError:
    """What a client that asks too often is told."""
    return TemporaryError(Code.RATE_LIMITED, "Too many requests from this address.", hint="Wait a second.")


class LimitRate:
    """ASGI middleware: refuse clients that ask too often, before any work is done for them."""

    def __init__(self, app: ASGIApp, bucket: TokenBucket, now: Callable[[], float]) -> None:
        self._app, self._bucket, self._now = app, bucket, now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        client = scope.get("client")
        if scope["type"] == "http" and not self._bucket.admit(name_client(client[0] if client else ""), self._now()):
            await respond(refuse())(scope, receive, send)
            return
        await self._app(scope, receive, send)


class LimitBody:
    """ASGI middleware: refuse bodies that are too large or too slow, whatever their Content-Length says."""

    def __init__(self, app: ASGIApp, max_bytes: int, timeout_s: float = BODY_TIMEOUT_S) -> None:
        self._app, self._max_bytes, self._timeout_s = app, max_bytes, timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request: its body is read whole, within the limits, before the application sees it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await self._read(scope, receive)
        except TimeoutError:
            late = TemporaryError(Code.TIMEOUT, "The request's body did not arrive in time.", hint="Send it again.")
            await respond(late)(scope, receive, send)
            return
        except InputError as error:
            await respond(error)(scope, receive, send)
            return
        except _GoneError:
            return
        delivered = False

        async def replay() -> Message:
            nonlocal delivered
            if delivered:
                return await receive()
            delivered = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not length.isdigit():
            raise InputError(
                Code.REQUEST_INVALID, "The request's Content-Length is not a number.", hint="See RFC 9110 section 8.6."
            )
        if len(length) > MAX_LENGTH_DIGITS or int(length) > self._max_bytes:
            raise self._too_large()
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _GoneError
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._max_bytes:
                raise self._too_large()
        return bytes(body)

    def _too_large(self) -> InputError:
        return InputError(
            Code.TOO_LARGE,
            f"The request's body is larger than {self._max_bytes} bytes.",
            hint="No honest request is that large.",
        )


class _GoneError(Exception):
    """The caller left before its request was whole."""
