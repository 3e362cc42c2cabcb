import hashlib
import json
from typing import Any

import pytest

from spokewire.errors import Code, InputError
from spokewire.network.documents import sign
from spokewire.network.keys import decode_base64url, encode_base64url, format_private_key
from spokewire.network.token import MAX_TOKEN_CHARACTERS, format_token, parse_token
from tests.builders import (
    NETWORK,
    NOW,
    ROOT,
    STRANGER,
    grant_key,
    make_grant,
    make_record,
    make_token,
    sign_settings,
)

GRANT = make_grant()
TOKEN = make_token(GRANT)
BODY = TOKEN.split(".")[1]


def seal(body: str) -> str:
    """A token around any body, with a checksum that is right."""
    return f"spw1.{body}.{hashlib.sha256(body.encode()).hexdigest()[:8]}"


def seal_payload(**changes: Any) -> str:
    payload = {key: item for key, item in (json.loads(decode_base64url(BODY)) | changes).items() if item is not None}
    return seal(encode_base64url(json.dumps(payload).encode()))


def refusal(text: str, now: float = NOW) -> InputError:
    with pytest.raises(InputError) as caught:
        parse_token(text, now)
    assert caught.value.hint
    return caught.value


def test_a_token_holds_all_that_a_machine_needs_to_join() -> None:
    token = parse_token(
        make_token(
            GRANT, hub_urls=(("https://192.0.2.1:443", "https://[2001:db8::1]:443"), ("https://192.0.2.2:443",))
        ),
        NOW,
    )
    assert token.network == NETWORK
    assert token.grant == GRANT
    assert token.hub_urls == (("https://192.0.2.1:443", "https://[2001:db8::1]:443"), ("https://192.0.2.2:443",))
    assert format_private_key(token.grant_key) == format_private_key(grant_key(GRANT.id))


def test_a_token_is_safe_in_a_url_a_shell_and_an_environment_variable() -> None:
    assert set(TOKEN) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert len(TOKEN) < 2048


def test_a_token_may_be_pasted_with_white_space_around_it() -> None:
    assert parse_token(f"  {TOKEN}\n", NOW).grant == GRANT


def test_a_hubs_token_needs_no_hub_to_be_known() -> None:
    assert parse_token(make_token(make_grant("hub-1"), hub_urls=()), NOW).hub_urls == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spw1",
        "spw1..",
        "hello",
        TOKEN[:-1],
        TOKEN[:40],
        TOKEN[1:],
        TOKEN + "x",
        TOKEN.replace("spw1", "spw2"),
        TOKEN.upper(),
        TOKEN[:60] + "\n" + TOKEN[60:],
        TOKEN + TOKEN,
        "\ud800" + TOKEN,
        "ä" * 100,
        seal(""),
        seal("é"),
        seal("A"),
        seal(encode_base64url(b"not json")),
        seal(encode_base64url(b"[]")),
        seal(encode_base64url(b"{}")),
        seal(encode_base64url(b"[" * 5000)),
        seal(encode_base64url(b"\xff\xfe")),
        seal(BODY + "="),
        seal_payload(root=None),
        seal_payload(root=7),
        seal_payload(root="A" * 42),
        seal_payload(key=None),
        seal_payload(key="short"),
        seal_payload(hubs="https://192.0.2.1"),
        seal_payload(hubs=["https://192.0.2.1"] * 65),
        seal("A" * MAX_TOKEN_CHARACTERS),
    ],
)
def test_a_damaged_token_is_called_damaged(text: str) -> None:
    error = refusal(text)
    assert error.code is Code.TOKEN_DAMAGED
    assert "Copy it again" in error.hint


@pytest.mark.parametrize(
    "text",
    [
        seal_payload(root=encode_base64url(STRANGER.public_key().public_bytes_raw())),
        seal_payload(grant=sign(GRANT, STRANGER)),
        seal_payload(grant=sign_settings()),
        seal_payload(grant=make_record(GRANT)),
        seal_payload(grant=""),
        seal_payload(grant=sign(make_grant(network="0" * 32), ROOT)),
        seal_payload(grant=sign(make_grant("node-2"), ROOT)),
        format_token(ROOT.public_key(), sign(GRANT, ROOT), STRANGER, ()),
        format_token(STRANGER.public_key(), sign(GRANT, ROOT), grant_key(GRANT.id), ()),
    ],
)
def test_a_token_whose_parts_do_not_belong_together_is_called_foreign(text: str) -> None:
    error = refusal(text)
    assert error.code is Code.TOKEN_FOREIGN
    assert "spokewire node token NAME" in error.hint


def test_an_expired_token_says_so_and_how_to_get_another() -> None:
    assert parse_token(TOKEN, GRANT.expires_at - 1).grant == GRANT
    error = refusal(TOKEN, GRANT.expires_at)
    assert error.code is Code.TOKEN_EXPIRED
    assert "spokewire node token node-1" in error.hint


def test_no_secret_of_a_token_is_in_its_repr_or_in_an_error() -> None:
    secret = format_private_key(grant_key(GRANT.id))
    token = parse_token(TOKEN, NOW)
    assert secret not in repr(token)
    assert BODY not in repr(token)
    assert repr(token) == f"Token(name='node-1', network='{NETWORK}')"
    for text in (TOKEN[:-1], seal_payload(root="A" * 42), seal_payload(grant=sign(GRANT, STRANGER))):
        error = refusal(text)
        told = f"{error!r} {error} {error.hint} {error.faults} {error.__cause__!r}"
        assert secret not in told
        assert BODY[:40] not in told
