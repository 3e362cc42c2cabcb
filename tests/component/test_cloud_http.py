"""A request to a cloud is repeated where that can do no harm, and nowhere else; whatever comes back is one sentence without a secret."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from spokewire.cloud.http import AmbiguousError, CloudClient, RefusalError, Secret, Service
from spokewire.errors import Code, SpokewireError, TemporaryError
from tests.emulators.clients import SwiftClock

SECRET = "phak_very-secret"
Answer = httpx.Response | Exception


class Script(httpx.BaseTransport):
    """Answers with what it was given, one after another, the last one for ever."""

    def __init__(self, *answers: Callable[[], Answer]) -> None:
        self.answers, self.requests = list(answers), list[httpx.Request]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])()
        if isinstance(answer, Exception):
            raise answer
        return answer


def reply(status: int, body: object = None, **headers: str) -> Callable[[], Answer]:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return lambda: httpx.Response(status, json={} if body is None else body, headers=named)


def page(status: int) -> Callable[[], Answer]:
    return lambda: httpx.Response(status, html="<html>Error</html>")


def failure(kind: type[httpx.TransportError]) -> Callable[[], Answer]:
    return lambda: kind("what happened")


OK = reply(200, {"ok": True})
NEVER_SENT = [failure(httpx.ConnectError), failure(httpx.ConnectTimeout), reply(429)]
UNCLEAR = [
    failure(httpx.ReadTimeout), failure(httpx.RemoteProtocolError), failure(httpx.WriteError), failure(httpx.ReadError),
    reply(500), reply(502), reply(503), reply(504), page(520), page(200), reply(302), reply(408),
]  # fmt: skip


@pytest.fixture
def swift() -> Iterator[SwiftClock]:
    clock = SwiftClock()
    yield clock
    assert sum(clock.slept) <= 180.0, "no repeat begins after the longest limit"


def client(script: Script, swift: SwiftClock) -> CloudClient:
    service = Service(
        "Cloud",
        "https://cloud.example/api",
        {"X-API-Key": Secret(SECRET)},
        explain=lambda body: str(body.get("message", "")) if isinstance(body, dict) else "",
    )
    return CloudClient(service, clock=swift.clock(), transport=script)


def error_of(script: Script, swift: SwiftClock, method: str = "GET") -> SpokewireError:
    with pytest.raises(SpokewireError) as caught:
        client(script, swift).request(method, "/things", body={} if method == "POST" else None)
    assert SECRET not in f"{caught.value.message}{caught.value.hint}{caught.value.__cause__!r}"
    return caught.value


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "POST", "PATCH"])
@pytest.mark.parametrize("answer", NEVER_SENT)
def test_what_was_not_carried_out_is_asked_again(method: str, answer: Callable[[], Answer], swift: SwiftClock) -> None:
    script = Script(answer, answer, OK)
    assert client(script, swift).request(method, "/things") == {"ok": True}
    assert swift.slept == [0.5, 1.0]


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PUT"])
@pytest.mark.parametrize("answer", UNCLEAR)
def test_reading_setting_and_deleting_are_asked_again(
    method: str, answer: Callable[[], Answer], swift: SwiftClock
) -> None:
    script = Script(answer, OK)
    client(script, swift).request(method, "/things")
    assert len(script.requests) == 2


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("answer", UNCLEAR)
def test_a_change_without_a_clear_answer_is_never_sent_again(
    method: str, answer: Callable[[], Answer], swift: SwiftClock
) -> None:
    script = Script(answer, OK)
    error = error_of(script, swift, method)
    assert (type(error), error.code, len(script.requests)) == (AmbiguousError, Code.CLOUD_UNREACHABLE, 1)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_refusal_is_final_and_has_the_clouds_own_words_and_the_requests_id(status: int, swift: SwiftClock) -> None:
    script = Script(reply(status, {"message": "No  such\nthing."}, x_request_id="abc-1"))
    error = error_of(script, swift)
    assert isinstance(error, RefusalError)
    assert (error.status, len(script.requests)) == (status, 1)
    assert error.message == f"Cloud: GET /things: {status}: No such thing (request abc-1)."


def test_a_refusal_by_what_stands_before_the_api_has_no_body(swift: SwiftClock) -> None:
    error = error_of(Script(page(403)), swift, "POST")
    assert isinstance(error, RefusalError)
    assert error.body is None
    assert error.message == "Cloud: POST /things: 403: an answer that is no JSON."


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [("7", 7.0), ("0", 0.5), ("Fri, 15 Jan 2027 08:00:09 GMT", 9.0), ("Fri, 15 Jan 2027 07:00:00 GMT", 0.5), ("soon", 0.5)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(text: str, wait_s: float, swift: SwiftClock) -> None:
    client(Script(reply(429, retry_after=text), OK), swift).get("/things")
    assert swift.slept == [wait_s]


def test_a_wait_that_is_too_long_ends_it_at_once(swift: SwiftClock) -> None:
    error = error_of(Script(reply(429, {"message": "Slow down"}, retry_after="3600")), swift)
    assert (type(error), error.code, swift.slept) == (TemporaryError, Code.RATE_LIMITED, [])
    assert "Slow down" in error.message


@pytest.mark.parametrize(
    ("answer", "code", "limit_s"),
    [(reply(503), Code.CLOUD_UNREACHABLE, 60.0), (reply(429), Code.RATE_LIMITED, 180.0)],
)
def test_repeats_end_after_a_minute_and_after_three_where_the_cloud_is_only_busy(
    answer: Callable[[], Answer], code: Code, limit_s: float, swift: SwiftClock
) -> None:
    script = Script(answer)
    error = error_of(script, swift)
    assert (type(error), error.code) == (TemporaryError, code)
    assert limit_s - 10 < sum(swift.slept) <= limit_s
    assert len(script.requests) == len(swift.slept) + 1


def test_what_is_gone_already_is_removed(swift: SwiftClock) -> None:
    client(Script(reply(404)), swift).delete("/things/1")
    with pytest.raises(RefusalError):
        client(Script(reply(422)), swift).delete("/things/1")


def test_the_secret_is_sent_and_is_shown_nowhere(swift: SwiftClock) -> None:
    script = Script(lambda: httpx.Response(204))
    asking = client(script, swift)
    assert asking.get("/things", {"page": 1}) is None
    (request,) = script.requests
    assert request.headers["x-api-key"] == SECRET
    assert request.headers["user-agent"].startswith("spokewire/")
    assert str(request.url) == "https://cloud.example/api/things?page=1"
    assert SECRET not in f"{asking.service!r} {asking.service.headers['X-API-Key']}"
