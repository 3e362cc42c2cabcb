"""What all emulators share: an API over TLS that judges every request and each answer of its own, keeps a log, and fails when it is told to."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.emulators.contract import Contract


@dataclass(frozen=True)
class Call:
    """One request, as a handler gets it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Any = None
    """Parsed JSON; None without a body."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """What the placeholders of the route's pattern stand for."""

    def __str__(self) -> str:
        query = "&".join(f"{key}={value}" for key, value in self.query.items())
        return f"{self.method} {self.path}" + (f"?{query}" if query else "")


@dataclass(frozen=True)
class Reply:
    """One answer. `raw` is sent as it is (an HTML page, say) in place of `body`."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    cut: bool = False
    """The connection is cut in the middle of the answer."""

    def response(self) -> Response:
        """The answer as Starlette sends it."""
        headers = {str(key): str(value) for key, value in self.headers.items()}
        if self.raw is not None:
            return Response(self.raw, self.status, {"content-type": "text/html; charset=UTF-8"} | headers)
        if self.body is None:
            return Response(None, self.status, headers)
        return Response(json.dumps(self.body), self.status, headers, media_type="application/json")


class RefusedError(Exception):
    """Ends a handler with an answer."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.status} {reply.body}")
        self.reply = reply


class Handler(Protocol):
    """Carries out a request. Handlers run one at a time."""

    def __call__(self, call: Call) -> Reply:
        """Answer, or raise RefusedError."""
        ...


@dataclass
class Fault:
    """Something that goes wrong with requests of one method whose path matches; `after`: when they have been carried out."""

    method: str
    path: str
    """A regular expression for the whole path."""
    reply: Reply
    after: bool = False
    times: int = 1
    skip: int = 0
    """How many such requests are spared first."""

    def strikes(self, call: Call) -> bool:
        """Whether it is this request's turn; counts it."""
        if self.times <= 0 or call.method != self.method or not re.fullmatch(self.path, call.path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


HTML_PAGE = b"<html><head><title>Web server is returning an unknown error</title></head><body>Error 520</body></html>"
CUT = Reply(200, cut=True)
"""For a Fault: the connection is cut."""


def html_error(status: int) -> Reply:
    """An error page of what stands before the API."""
    return Reply(status, raw=HTML_PAGE, headers={"server": "cloudflare", "cf-ray": "0123456789abcdef-FRA"})


@dataclass(frozen=True)
class Entry:
    """One line of the log."""

    call: Call
    reply: Reply

    def __str__(self) -> str:
        return f"{self.call} -> {'cut' if self.reply.cut else self.reply.status}"


class Emulator:
    """An API in memory. A vendor's emulator inherits, hands over its routes, and says who may do what."""

    def __init__(self, contract: Contract, undescribed: Sequence[str] = ()) -> None:
        self._contract = contract
        self._undescribed = [re.compile(pattern) for pattern in undescribed]
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []
        self.lock = threading.RLock()
        self.faults: list[Fault] = []
        self.log: list[Entry] = []
        self.violations: list[str] = []
        """What broke the description: requests and answers of our own. A test ends with none."""
        self.after_call: Callable[[int, Call], None] = lambda _number, _call: None
        """Called when a request was carried out, before it is answered, with the number of requests so far: a test ends a process here."""

    def route(self, method: str, pattern: str, handler: Handler) -> None:
        """Serve a path; `{name}` stands for one part of it. Earlier routes win."""
        expression = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
        self._routes.append((method, re.compile(expression), handler))

    def authorize(self, call: Call) -> None:
        """Raise RefusedError for a caller who may not do this."""

    def refuse_request(self, faults: Sequence[str]) -> Reply:
        """The vendor's answer to a request that breaks the description."""
        return Reply(422, {"id": "unprocessable_entity", "message": "; ".join(faults)})

    def missing(self, call: Call) -> Reply:
        """The vendor's answer to a path that it does not have."""
        return Reply(404, {"id": "not_found", "message": "The resource you requested could not be found."})

    def decorate(self, call: Call, reply: Reply) -> Reply:
        """Add what every answer of the vendor's carries, such as its headers."""
        return reply

    def control(self, call: Call) -> Reply:
        """The control surface for use by hand, under /_emulator/. Inheritors add their switches."""
        if call.path == "/_emulator/log":
            return Reply(200, [str(entry) for entry in self.log])
        if call.path == "/_emulator/violations":
            return Reply(200, self.violations)
        if call.path == "/_emulator/faults" and call.method == "POST":
            values = dict(call.body)
            values["reply"] = Reply(**values["reply"])
            self.faults.append(Fault(**values))
            return Reply(204)
        return Reply(404, {"message": "not an emulator's control"})

    def calls(self, method: str = "", path: str = "") -> list[Call]:
        """Those requests in the log, in order; `path` is a regular expression for the whole path."""
        return [
            entry.call
            for entry in list(self.log)
            if method in ("", entry.call.method) and (not path or re.fullmatch(path, entry.call.path))
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        raw = await request.body()
        reply, response = await run_in_threadpool(self._answer, request, raw)
        if not reply.cut:
            await response(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4096")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})

    def _answer(self, request: Request, raw: bytes) -> tuple[Reply, Response]:
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = raw
        headers = {key.lower(): value for key, value in request.headers.items()}
        call = Call(request.method, request.url.path, dict(request.query_params), headers, body)
        with self.lock:
            if call.path.startswith("/_emulator/"):
                reply = self.control(call)
                return reply, reply.response()
            reply = self._judge(call, request, raw)
            self.log.append(Entry(call, reply))
            number = len(self.log)
        self.after_call(number, call)
        return reply, reply.response()

    def _judge(self, call: Call, request: Request, raw: bytes) -> Reply:
        before = next((fault for fault in self.faults if not fault.after and fault.strikes(call)), None)
        if before is not None:
            return before.reply
        reply = self.decorate(call, self._carry_out(call, request, raw))
        if self._is_described(call):
            faults = self._contract.answer_faults(request, raw, reply.response())
            self.violations += [f"answer to {call}: {fault}" for fault in faults]
        after = next((fault for fault in self.faults if fault.after and fault.strikes(call)), None)
        return reply if after is None else after.reply

    def _carry_out(self, call: Call, request: Request, raw: bytes) -> Reply:
        try:
            self.authorize(call)
            found = [
                (pattern.fullmatch(call.path), handler) for m, pattern, handler in self._routes if m == call.method
            ]
            match, handler = next(((m, h) for m, h in found if m is not None), (None, None))
            if match is None or handler is None:
                self.violations.append(f"{call}: the emulator does not have it")
                return self.missing(call)
            if self._is_described(call):
                faults = self._contract.request_faults(request, raw)
                if faults:
                    self.violations += [f"{call}: {fault}" for fault in faults]
                    return self.refuse_request(faults)
            return handler(Call(call.method, call.path, call.query, call.headers, call.body, match.groupdict()))
        except RefusedError as refused:
            return refused.reply

    def _is_described(self, call: Call) -> bool:
        return not any(pattern.fullmatch(call.path) for pattern in self._undescribed)


@contextmanager
def violations_are_errors(emulator: Emulator) -> Iterator[None]:
    """Fail when the block ends with something that broke the description."""
    yield
    assert emulator.violations == []
