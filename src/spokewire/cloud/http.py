"""Speaking to a cloud's API: JSON over HTTPS, with repeats that can do no harm.

What may be repeated: reading, setting and deleting, and anything that was answered with 429 (RFC 6585 section 4: it was not carried out) or that never
reached the API. What changes something and got no clear answer is never sent again: that is `AmbiguousError`, and whoever sent it must look.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from importlib.metadata import version as version_of
from typing import Any

import httpx

from spokewire.cloud.waiting import Clock, Pace
from spokewire.errors import Code, PermanentError, TemporaryError

TIMEOUT_S = 30.0
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
"""Twice is as good as once (RFC 9110 section 9.2.2)."""
_TOO_MANY = 429
_REQUEST_TIMEOUT = 408
_REDIRECT, _REFUSAL, _FAILURE = 300, 400, 500
"""Where these kinds of status begin (RFC 9110 section 15)."""
_LONGEST_QUOTE = 300


@dataclass(frozen=True)
class Secret:
    """A credential; printing it shows nothing. `reveal` is called where it is sent, and nowhere else."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        """The credential itself."""
        return self._value

    def __str__(self) -> str:
        return "(secret)"


class RefusalError(PermanentError):
    """The API said no (4xx), and means it. `body` is what it sent: parsed JSON, or None. Each cloud's client says what it means for us."""

    def __init__(self, status: int, body: Any, message: str) -> None:
        super().__init__(Code.CLOUD_REFUSED, message, hint="The message is the cloud's own.")
        self.status = status
        self.body = body


class AmbiguousError(TemporaryError):
    """A change was sent and not clearly answered: it may have taken effect. Look before it is sent again."""


@dataclass(frozen=True)
class Service:
    """An API: what it is called, where it is, and what proves who is calling."""

    name: str
    endpoint: str
    headers: Mapping[str, str | Secret]
    explain: Callable[[Any], str] = lambda _: ""
    """Finds the vendor's own explanation in the parsed body of an error; "" if there is none."""
    request_id: str = "x-request-id"
    """The answer's header that names the request, for the vendor's support."""


class CloudClient:
    """A client of one API; may be used by several threads."""

    def __init__(
        self,
        service: Service,
        *,
        clock: Clock | None = None,
        pace: Pace | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.service = service
        self.clock = clock or Clock()
        self._pace = pace or Pace()
        self._http = httpx.Client(
            base_url=service.endpoint.rstrip("/") + "/",
            verify=_trust() if transport is None else True,
            transport=transport,
            timeout=TIMEOUT_S,
            headers={"Accept": "application/json", "User-Agent": f"spokewire/{version_of('spokewire')}"},
            follow_redirects=False,
        )

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def request(
        self, method: str, path: str, *, query: Mapping[str, str | int] | None = None, body: object = None
    ) -> Any:
        """Send a request and return the parsed answer; None for an empty one.

        Raises RefusalError (4xx), AmbiguousError (a change without a clear answer), or TemporaryError when the repeats were in vain.
        """
        begun = self.clock.monotonic()
        attempt = 0
        while True:
            outcome = self._try(method, path, query, body)
            if not isinstance(outcome, _Failure):
                return outcome.value
            if not outcome.repeatable:
                raise outcome.error
            wait_s = max(self._pace.wait_s(attempt), outcome.wait_s)
            limit_s = self._pace.busy_limit_s if outcome.is_busy else self._pace.limit_s
            if self.clock.monotonic() - begun + wait_s > limit_s:
                raise outcome.error
            self.clock.sleep(wait_s)
            attempt += 1

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> Any:
        """Read."""
        return self.request("GET", path, query=query)

    def post(self, path: str, body: object) -> Any:
        """Change something; sent once."""
        return self.request("POST", path, body=body)

    def delete(self, path: str, query: Mapping[str, str | int] | None = None) -> None:
        """Remove something; that it is gone already is no error."""
        try:
            self.request("DELETE", path, query=query)
        except RefusalError as refusal:
            if refusal.status != 404:  # noqa: PLR2004
                raise

    def _try(
        self, method: str, path: str, query: Mapping[str, str | int] | None, body: object
    ) -> "_Success | _Failure":
        what = f"{self.service.name}: {method} /{path.lstrip('/')}"
        secrets = {k: v.reveal() if isinstance(v, Secret) else v for k, v in self.service.headers.items()}
        try:
            answer = self._http.request(
                method,
                path.lstrip("/"),
                params=query,
                json=body,
                headers=secrets,
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            # Nothing was sent, so whatever it was may be sent again.
            return _Failure(_unreachable(f"{what}: cannot connect ({_words(error)})."), repeatable=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return self._no_answer(method, f"{what}: no answer ({_words(error)})")
        return self._judge(method, what, answer)

    def _judge(self, method: str, what: str, answer: httpx.Response) -> "_Success | _Failure":
        body, is_json = _parse(answer)
        told = self._told(answer, body)
        if answer.status_code == _TOO_MANY:
            error = TemporaryError(Code.RATE_LIMITED, f"{what}: too many requests{told}.", hint="Wait a minute.")
            return _Failure(error, repeatable=True, wait_s=self._retry_after_s(answer), is_busy=True)
        refused = _REFUSAL <= answer.status_code < _FAILURE and answer.status_code != _REQUEST_TIMEOUT
        if refused:
            return _Failure(RefusalError(answer.status_code, body, f"{what}: {answer.status_code}{told}."))
        if answer.status_code >= _REDIRECT or not is_json:
            return self._no_answer(method, f"{what}: {answer.status_code}{told}", self._retry_after_s(answer))
        return _Success(body)

    def _no_answer(self, method: str, what: str, wait_s: float = 0.0) -> "_Failure":
        if method in _REPEATABLE:
            return _Failure(_unreachable(f"{what}."), repeatable=True, wait_s=wait_s)
        hint = "It may have taken effect: run the command again, it looks first."
        return _Failure(AmbiguousError(Code.CLOUD_UNREACHABLE, f"{what}.", hint=hint))

    def _told(self, answer: httpx.Response, body: Any) -> str:
        words = self.service.explain(body) if body is not None else ""
        words = " ".join(words.split())[:_LONGEST_QUOTE].rstrip(".")
        name = answer.headers.get(self.service.request_id, "")[:64]
        if body is None and answer.content:
            words = "an answer that is no JSON"
        return (f": {words}" if words else "") + (f" (request {name})" if name else "")

    def _retry_after_s(self, answer: httpx.Response) -> float:
        """RFC 9110 section 10.2.3: seconds, or a date; 0 without either."""
        text = answer.headers.get("retry-after", "").strip()
        if text.isdigit():
            return float(min(int(text), 86_400))
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - self.clock.wall()) if text else 0.0
        except ValueError:
            return 0.0


@dataclass(frozen=True)
class _Success:
    value: Any


@dataclass(frozen=True)
class _Failure:
    error: Exception
    repeatable: bool = False
    wait_s: float = 0.0
    is_busy: bool = False


def _parse(answer: httpx.Response) -> tuple[Any, bool]:
    """The parsed body, and whether the answer is what an API sends: JSON, or nothing."""
    if not answer.content:
        return None, True
    try:
        return answer.json(), True
    except ValueError:
        return None, False


def _trust() -> ssl.SSLContext:
    """The authorities that this system trusts; SSL_CERT_FILE and SSL_CERT_DIR say otherwise (OpenSSL's own names)."""
    return httpx.create_ssl_context(trust_env=True)


def _unreachable(message: str) -> TemporaryError:
    return TemporaryError(Code.CLOUD_UNREACHABLE, message, hint="Is the cloud's API up, and can you reach it?")


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:_LONGEST_QUOTE] or type(error).__name__
