"""The node's public status server: read-only, rate-limited, without secrets, and up before anything else."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from spokewire.api import problem
from spokewire.api.limits import LimitBody, LimitRate, TokenBucket, name_client
from spokewire.errors import Code, InputError, SpokewireError, TemporaryError
from spokewire.network.events import NodeHistory, parse_span
from spokewire.network.status import NodeStatus, State

if TYPE_CHECKING:
    from spokewire.node import metrics

REQUESTS_PER_S = 20.0
REQUEST_BURST = 100.0
MAX_BODY_BYTES = 1024
"""Nothing here takes a body; this is what a careless client may send."""
MAX_CONNECTIONS_EACH = 64
"""Of the 256 that there are: one address cannot keep all others out. A gateway before the node may speak for many."""
KEEP_S = 0.2
"""The status is looked up at most so often, whoever asks: with 1,000 peers a look takes tens of milliseconds."""
HISTORIES_PER_S = 5.0
HISTORY_BURST = 20.0
"""Of all callers together: an answer takes about 20 ms of work, and nobody may have more of the machine for it than a tenth of a core."""
DEFAULT_SPAN, DEFAULT_EVENTS, MAX_EVENTS = "1d", 200, 1000
HEALTHY = (State.CONNECTED, State.DEGRADED)


Tell = Callable[[float, int], Awaitable[NodeHistory]]
"""What happened in the last so many seconds, and how many events of it at most."""


class StatusServer(Starlette):
    """The application, which refuses a flood before its requests are parsed."""

    bucket: TokenBucket
    monotonic: Callable[[], float]

    def is_tired_of(self, client: str) -> bool:
        """Whether a client has asked too often."""
        return self.bucket.is_empty(name_client(client), self.monotonic())

    def has_enough_of(self, client: str, connections: int) -> bool:
        """Whether a client with so many open connections may not have another."""
        return connections > MAX_CONNECTIONS_EACH


@dataclass
class _Look:
    """The newest look at the status, for whoever asks within KEEP_S."""

    status: Callable[[], NodeStatus]
    monotonic: Callable[[], float]
    _made: tuple[float, NodeStatus, bytes] | None = None

    def read(self) -> tuple[NodeStatus, bytes]:
        """The status, and the page that shows it."""
        now = self.monotonic()
        if self._made is None or now - self._made[0] >= KEEP_S:
            status = self.status()
            self._made = now, status, status.model_dump_json().encode()
        return self._made[1:]


def build(status: Callable[[], NodeStatus], monotonic: Callable[[], float], tell: Tell | None = None) -> StatusServer:
    """Build the status server; without `tell` it has no history."""
    histories, bucket = TokenBucket(HISTORIES_PER_S, HISTORY_BURST), TokenBucket(REQUESTS_PER_S, REQUEST_BURST)
    look, pages = _Look(status, monotonic), list["metrics.Page"]()

    async def show_status(_: Request) -> Response:
        return Response(look.read()[1], media_type="application/json", headers={"Cache-Control": "no-store"})

    async def show_health(_: Request) -> Response:
        now = look.read()[0]
        body = {"state": now.state, "reason": now.reason}
        return JSONResponse(body, 200 if now.state in HEALTHY else 503, headers={"Cache-Control": "no-store"})

    async def show_metrics(_: Request) -> Response:
        if not pages:
            pages.append(await asyncio.to_thread(_make_page, status, monotonic))
        return Response(pages[0].read(), media_type="text/plain; version=0.0.4", headers={"Cache-Control": "no-store"})

    async def show_history(request: Request) -> Response:
        if tell is None:
            raise HTTPException(404)
        if not histories.admit("", monotonic()):
            raise TemporaryError(Code.RATE_LIMITED, "Too many ask for the history.", hint="Wait a second.")
        history = await tell(*_parse_history_query(request))
        return Response(history.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})

    app = StatusServer(
        routes=[
            Route("/status", show_status),
            Route("/health", show_health),
            Route("/metrics", show_metrics),
            Route("/history", show_history),
        ],
        middleware=[
            Middleware(LimitRate, bucket=bucket, now=monotonic),
            Middleware(LimitBody, max_bytes=MAX_BODY_BYTES),
        ],
        exception_handlers={
            SpokewireError: problem.handle_ours,
            HTTPException: problem.handle_http,
            Exception: problem.handle_defect,
        },
    )
    app.bucket, app.monotonic = bucket, monotonic
    return app


def _make_page(status: Callable[[], NodeStatus], monotonic: Callable[[], float]) -> "metrics.Page":
    """Prometheus' client is loaded when it is asked for: it would be 2 MB of each agent that nobody asks."""
    from spokewire.node import metrics

    return metrics.Page(status, monotonic)


def _parse_history_query(request: Request) -> tuple[float, int]:
    """The query of /history: `since` (how far back) in seconds, and `limit`. InputError if it is not understood."""
    limit = request.query_params.get("limit", str(DEFAULT_EVENTS))
    if not (
        limit.isascii() and limit.isdigit() and len(limit) <= len(str(MAX_EVENTS)) and 1 <= int(limit) <= MAX_EVENTS
    ):
        raise InputError(Code.REQUEST_INVALID, f"limit is not a number from 1 to {MAX_EVENTS}.", hint="Say limit=200.")
    return parse_span(request.query_params.get("since", DEFAULT_SPAN)), int(limit)
