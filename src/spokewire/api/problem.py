"""Errors as application/problem+json (RFC 9457), and back."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from spokewire.api.messages import Problem, ProblemFault
from spokewire.errors import Code, Fault, InputError, PermanentError, SpokewireError, TemporaryError

MEDIA_TYPE = "application/problem+json"

Handler = Callable[[Request, Exception], Response | Awaitable[Response]]


def describe(error: SpokewireError) -> Problem:
    """The problem that tells an error of ours."""
    return Problem(
        title=HTTPStatus(error.http_status).phrase,
        status=error.http_status,
        code=error.code,
        detail=error.message,
        hint=error.hint or f"Look up {error.code} in docs/reference/errors.md.",
        faults=[ProblemFault(place=fault.place, problem=fault.problem) for fault in error.faults],
    )


def respond(error: SpokewireError) -> Response:
    """The HTTP answer for an error of ours."""
    headers = (
        {"Retry-After": "1"}
        if error.http_status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
        else {}
    )
    if error.http_status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(describe(error).model_dump(), error.http_status, headers, MEDIA_TYPE)


async def handle_ours(_: Request, error: Exception) -> Response:
    """Starlette's handler for errors of ours."""
    assert isinstance(error, SpokewireError)
    return respond(error)


async def handle_http(_: Request, error: Exception) -> Response:
    """Starlette's handler for its own errors: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    code = Code.NOT_FOUND if error.status_code == HTTPStatus.NOT_FOUND else Code.REQUEST_INVALID
    problem = Problem(
        title=HTTPStatus(error.status_code).phrase,
        status=error.status_code,
        code=code,
        detail=str(error.detail),
        hint="Check the path, the method and the body of the request.",
    )
    return JSONResponse(problem.model_dump(), error.status_code, dict(error.headers or {}), MEDIA_TYPE)


async def handle_defect(_: Request, __: Exception) -> Response:
    """Starlette's handler for everything else, which is a defect of ours: it says nothing about the inside, and the trace is logged."""
    return respond(PermanentError(Code.INTERNAL, "This request met a defect.", hint="Look at the daemon's log."))


def parse(status: int, body: bytes) -> SpokewireError:
    """The error of ours that an HTTP answer tells; what is no problem document becomes a TemporaryError or an InputError by its status."""
    try:
        problem = Problem.model_validate_json(body)
        code = Code(problem.code)
    except (ValidationError, ValueError):
        unclear = TemporaryError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else InputError
        return unclear(Code.API_UNREACHABLE, f"The hub answered with HTTP status {status}.")
    faults = [Fault(fault.place, fault.problem) for fault in problem.faults]
    transient = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in (
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.REQUEST_TIMEOUT,
    )
    kind: type[SpokewireError] = InputError
    if transient:
        kind = PermanentError if code is Code.INTERNAL else TemporaryError
    return kind(code, problem.detail, hint=problem.hint, faults=faults)
