"""The node's public status server: read-only, rate-limited, without secrets, and up before anything else."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from spokewire.api import problem
from spokewire.api.limits import LimitBody, LimitRate, TokenBucket
from spokewire.network.status import NodeStatus, State

REQUESTS_PER_S = 20.0
REQUEST_BURST = 100.0
MAX_BODY_BYTES = 1024
"""Nothing here takes a body; this is what a careless client may send."""
HEALTHY = (State.CONNECTED, State.DEGRADED)


def build(status: Callable[[], NodeStatus], monotonic: Callable[[], float]) -> Starlette:
    """Build the status server."""

    async def show_status(_: Request) -> Response:
        return JSONResponse(status().model_dump(mode="json"), headers={"Cache-Control": "no-store"})

    async def show_health(_: Request) -> Response:
        now = status()
        body = {"state": now.state, "reason": now.reason}
        return JSONResponse(body, 200 if now.state in HEALTHY else 503, headers={"Cache-Control": "no-store"})

    return Starlette(
        routes=[Route("/status", show_status), Route("/health", show_health)],
        middleware=[
            Middleware(LimitRate, bucket=TokenBucket(REQUESTS_PER_S, REQUEST_BURST), now=monotonic),
            Middleware(LimitBody, max_bytes=MAX_BODY_BYTES),
        ],
        exception_handlers={HTTPException: problem.handle_http, Exception: problem.handle_defect},
    )
