"""The hub's API: thin; every decision is made elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException
from starlette.responses import Response

from spokewire.api import problem
from spokewire.api.limits import LimitBody, LimitRate, TokenBucket
from spokewire.api.messages import (
    MAX_BODY_BYTES,
    Accepted,
    HubIntroduction,
    RecordSubmission,
    ReportSubmission,
    RosterLine,
    SettingsSubmission,
    TestLine,
    TestSubmission,
)
from spokewire.errors import Code, Fault, InputError, SpokewireError
from spokewire.hub.description import PROBLEMS, DescribedApi
from spokewire.hub.membership import Membership
from spokewire.hub.reports import Reports
from spokewire.hub.tests import Tests
from spokewire.network.documents import (
    Caller,
    Report,
    Result,
    TestRequest,
    read_kind,
    verify_chained,
    verify_member,
    verify_proof,
    verify_request,
    verify_settings,
)
from spokewire.network.status import HubStatus

STREAM_KEEPALIVE_S = 10.0
APPLY_TIMEOUT_S = 3.0
"""How long news waits for this hub's own tunnel: one that cannot be built must not keep the documents from travelling."""
RESULT_TIMEOUT_S = 40.0
"""A pair that fails in every way takes a node 22 s; beyond that its result will not come."""
REQUESTS_PER_S = 50.0
REQUEST_BURST = 200.0
"""Per client address: a household of nodes behind one NAT may start at once."""
MAX_FAULTS = 16
MAX_PLACE = 100
"""An answer must not grow with what a caller without proof sends."""
NDJSON = "application/x-ndjson"


@dataclass(frozen=True)
class Parts:
    """What the API stands on."""

    name: str
    own_record: Callable[[], str]
    membership: Membership
    reports: Reports
    tests: Tests
    status: Callable[[], HubStatus]
    refresh: Callable[[], Awaitable[None]]
    """Look at the tunnel again before `status` tells of it."""
    metrics: CollectorRegistry
    now: Callable[[], float]
    """Wall clock, seconds."""
    monotonic: Callable[[], float]
    keepalive_s: float = STREAM_KEEPALIVE_S


def build(parts: Parts) -> FastAPI:
    """Build the API over its parts."""
    app = DescribedApi(
        title="Spokewire hub", version="1", docs_url=None, redoc_url=None, redirect_slashes=False, responses=PROBLEMS
    )
    app.add_middleware(LimitBody, max_bytes=MAX_BODY_BYTES)
    app.add_middleware(LimitRate, bucket=TokenBucket(REQUESTS_PER_S, REQUEST_BURST), now=parts.monotonic)
    app.add_exception_handler(SpokewireError, problem.handle_ours)
    app.add_exception_handler(HTTPException, problem.handle_http)
    app.add_exception_handler(RequestValidationError, _handle_validation)
    app.add_exception_handler(Exception, problem.handle_defect)
    _add_public(app, parts)
    _add_documents(app, parts)
    _add_operator(app, parts)
    return app


_bearer = HTTPBearer(
    auto_error=False,
    description="A proof: a short-lived JWS (typ spokewire-proof) made with the caller's grant key, or the root key.",
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def _authenticate(parts: Parts, credentials: HTTPAuthorizationCredentials | None) -> Caller:
    if credentials is None:
        raise InputError(
            Code.PROOF_MISSING,
            "The request carries no proof of who is calling.",
            hint="Send Authorization: Bearer and a proof.",
        )
    roster = parts.membership.roster
    caller = verify_proof(credentials.credentials, roster.root, roster.network, parts.name, parts.now())
    if caller.grant is not None:
        parts.membership.refuse_revoked(caller.grant)
    return caller


def _require_operator(parts: Parts, credentials: HTTPAuthorizationCredentials | None) -> None:
    if not _authenticate(parts, credentials).is_operator:
        raise InputError(
            Code.FORBIDDEN, "Only the operator may do this.", hint="Sign the proof with the network's root key."
        )


def _add_public(app: FastAPI, parts: Parts) -> None:
    @app.get("/v1/hub")
    async def introduce() -> HubIntroduction:
        """Who this hub is, for a caller to check before it pins the certificate."""
        return HubIntroduction(record=parts.own_record(), time=parts.now())

    @app.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """Whether the daemon's loop runs."""
        return "ok\n"

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        """Metrics in Prometheus' text format, for callers on this machine only."""
        if request.client is None or request.client.host not in ("127.0.0.1", "::1"):
            raise InputError(
                Code.FORBIDDEN, "Metrics are for callers on this machine only.", hint="Ask from this machine itself."
            )
        return PlainTextResponse(generate_latest(parts.metrics))


def _add_documents(app: FastAPI, parts: Parts) -> None:
    membership = parts.membership

    @app.post("/v1/records")
    async def submit_record(submission: RecordSubmission, credentials: Credentials) -> Accepted:
        """A machine hands in its own record, or a member another's that this hub may have lost: a record verifies by itself."""
        caller = _authenticate(parts, credentials)
        member = verify_member(submission.record, membership.roster.root, membership.roster.network, parts.now())
        is_own = caller.grant is None or caller.grant.id == member.grant.id
        if caller.grant is not None and not is_own:
            membership.find_caller(caller.grant)
        try:
            return Accepted(changed=membership.take(submission.record))
        except InputError as error:
            if error.code is Code.GRANT_IN_USE and is_own:
                parts.reports.note_refused(member.name, parts.monotonic())
            raise

    @app.get("/v1/roster", response_class=StreamingResponse, responses={200: {"content": {NDJSON: {}}}})
    async def follow_roster(credentials: Credentials) -> StreamingResponse:
        """The roster as lines of JSON: the whole at first, then changes; an empty line keeps the stream alive."""
        caller = _authenticate(parts, credentials)
        if caller.grant is not None:
            membership.find_caller(caller.grant)
        return StreamingResponse(_follow(parts, caller), media_type=NDJSON)

    @app.post("/v1/reports")
    async def submit_report(submission: ReportSubmission, credentials: Credentials) -> Accepted:
        """A node hands in its own signed status, or the result of a test."""
        caller = _authenticate(parts, credentials)
        if caller.grant is None:
            raise InputError(Code.FORBIDDEN, "Reports come from nodes.", hint="Use the key of a node's grant.")
        membership.find_caller(caller.grant)
        roster, now = membership.roster, parts.now()
        if read_kind(submission.document) == Result.typ:
            grant, result = verify_chained(Result, submission.document, roster.root, roster.network, now)
            _refuse_other(caller, grant.id)
            return Accepted(changed=parts.tests.deliver(result.test, grant.name, submission.document))
        grant, report = verify_chained(Report, submission.document, roster.root, roster.network, now)
        _refuse_other(caller, grant.id)
        parts.reports.keep(grant.name, submission.document, report.status.started_at, parts.monotonic())
        return Accepted(changed=True)


def _add_operator(app: FastAPI, parts: Parts) -> None:
    membership = parts.membership

    @app.put("/v1/settings")
    async def put_settings(submission: SettingsSubmission, credentials: Credentials) -> Accepted:
        """The operator, or a member that holds newer ones, hands in settings: their own signature decides."""
        _authenticate(parts, credentials)
        verify_settings(submission.settings, membership.roster.root, membership.roster.network)
        return Accepted(changed=membership.take(submission.settings))

    @app.get("/v1/status")
    async def read_status(credentials: Credentials) -> HubStatus:
        """All that this hub knows (operator)."""
        _require_operator(parts, credentials)
        await parts.refresh()
        return parts.status()

    @app.post("/v1/tests", response_class=StreamingResponse, responses={200: {"content": {NDJSON: {}}}})
    async def run_test(submission: TestSubmission, credentials: Credentials) -> StreamingResponse:
        """The operator's signed test request goes to the nodes; their signed results come back as lines of JSON."""
        _require_operator(parts, credentials)
        request = verify_request(submission.request, membership.roster.root, membership.roster.network, parts.now())
        parts.tests.refuse_more()
        return StreamingResponse(_relay_test(parts, request, submission.request), media_type=NDJSON)


async def _relay_test(parts: Parts, request: TestRequest, text: str) -> AsyncIterator[bytes]:
    """Hand a test request to its nodes and their results on; a line without any of it keeps the stream alive."""
    sources = {source for source, _ in request.pairs}
    absent = parts.membership.send_test(text, sources)
    running = parts.tests.begin(request.id, text, sources - absent)
    try:
        yield _line(TestLine(absent=sorted(absent)))
        deadline = parts.monotonic() + RESULT_TIMEOUT_S
        while not running.is_over:
            try:
                async with asyncio.timeout(parts.keepalive_s):
                    result = await running.results.get()
            except TimeoutError:
                if parts.monotonic() >= deadline:
                    return
                yield _line(TestLine())
                continue
            deadline = parts.monotonic() + RESULT_TIMEOUT_S
            yield _line(TestLine(result=result))
        yield _line(TestLine(done=True))
    finally:
        parts.tests.end(request.id)


async def _follow(parts: Parts, caller: Caller) -> AsyncIterator[bytes]:
    """One roster stream. It is registered in here, so that a caller who left before the first line leaves nothing behind."""
    grant, membership = caller.grant, parts.membership
    follower = membership.follow(None, "") if grant is None else membership.follow(grant.id, grant.name)
    follower.tests = [] if grant is None else parts.tests.list_awaited(grant.name)
    try:
        while True:
            try:
                async with asyncio.timeout(parts.keepalive_s):
                    await follower.news.wait()
            except TimeoutError:
                yield _line(RosterLine(clone=membership.clones.get(follower.name, "")))
                continue
            follower.news.clear()
            await membership.wait_until_applied(APPLY_TIMEOUT_S)
            documents, follower.documents = list(follower.documents.values()), {}
            tests, follower.tests = follower.tests, []
            clone = membership.clones.get(follower.name, "")
            yield _line(RosterLine(documents=documents, tests=tests, clone=clone))
            if follower.closed:
                return
    finally:
        membership.followers.pop(follower, None)


def _refuse_other(caller: Caller, grant_id: str) -> None:
    if caller.grant is None or caller.grant.id != grant_id:
        raise InputError(
            Code.FORBIDDEN, "A node may report about itself only.", hint="Use the key of the report's grant."
        )


def _line(line: RosterLine | TestLine) -> bytes:
    return line.model_dump_json(exclude_defaults=True).encode() + b"\n"


def _fault(detail: Any) -> Fault:
    """Where and what, in printable characters and not many of them: the place may hold a key that the caller chose."""
    place = ".".join(map(str, detail["loc"])).encode("ascii", "backslashreplace").decode()
    return Fault(place[:MAX_PLACE], str(detail["msg"]))


async def _handle_validation(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [_fault(detail) for detail in error.errors()[:MAX_FAULTS]]
    return problem.respond(
        InputError(
            Code.REQUEST_INVALID, "The request is not what the API expects.", hint="See /openapi.json.", faults=faults
        )
    )  # type: ignore[return-value]
