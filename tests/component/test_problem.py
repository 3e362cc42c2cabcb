"""Errors on their way through HTTP: what is told is what arrives."""

import json

import pytest

from spokewire.api import problem
from spokewire.errors import Code, Fault, InputError, PermanentError, SpokewireError, TemporaryError
from spokewire.host import keys

KINDS: list[type[SpokewireError]] = [InputError, TemporaryError, PermanentError]


@pytest.mark.parametrize("code", list(Code))
@pytest.mark.parametrize("kind", KINDS)
def test_every_error_arrives_with_its_code_words_hint_and_places(kind: type[SpokewireError], code: Code) -> None:
    sent = kind(code, "It failed.", hint="Do this.", faults=[Fault("here", "wrong")])
    answer = problem.respond(sent)
    arrived = problem.parse(answer.status_code, bytes(answer.body))
    assert answer.media_type == "application/problem+json"
    assert (arrived.code, arrived.message, arrived.hint, arrived.faults) == (
        code,
        "It failed.",
        "Do this.",
        sent.faults,
    )
    assert 400 <= answer.status_code < 600


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InputError(Code.REVOKED, "x"), InputError),
        (InputError(Code.GRANT_IN_USE, "x"), InputError),
        (TemporaryError(Code.RATE_LIMITED, "x"), TemporaryError),
        (TemporaryError(Code.BUSY, "x"), TemporaryError),
        (TemporaryError(Code.TIMEOUT, "x"), TemporaryError),
        (PermanentError(Code.INTERNAL, "x"), PermanentError),
    ],
)
def test_who_receives_it_knows_whether_to_change_wait_or_give_up(
    error: SpokewireError, kind: type[SpokewireError]
) -> None:
    answer = problem.respond(error)
    assert type(problem.parse(answer.status_code, bytes(answer.body))) is kind
    waits = answer.headers.get("retry-after")
    assert (waits is not None) == (error.http_status in (429, 503))


def test_an_error_without_a_hint_says_where_to_look_it_up() -> None:
    told = json.loads(bytes(problem.respond(InputError(Code.DOCUMENT_CHAIN, "x")).body))
    assert "document-chain" in told["hint"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"code": "new-one"}', b"\xff", b"[" * 100_000])
@pytest.mark.parametrize(("status", "kind"), [(400, InputError), (404, InputError), (500, TemporaryError)])
def test_what_is_no_problem_document_is_judged_by_its_status(
    status: int, kind: type[SpokewireError], body: bytes
) -> None:
    error = problem.parse(status, body)
    assert type(error) is kind
    assert str(status) in error.message


def test_made_keys_are_fresh_and_of_the_right_form() -> None:
    private = keys.make_wireguard_key()
    public = keys.derive_wireguard_public_key(private)
    assert len({keys.make_wireguard_key() for _ in range(10)} | {private, public}) == 12
    assert (len(private), len(public), keys.derive_wireguard_public_key(private)) == (44, 44, public)
    for wrong in ("", "x", private[:-4], "ä" * 44):
        with pytest.raises(ValueError):  # noqa: PT011 - the words are those of the library
            keys.derive_wireguard_public_key(wrong)
