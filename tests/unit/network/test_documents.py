"""Every reader checks every chain itself: what does not hold is refused, by the code that says why."""

import jwt
import pytest

from spokewire.errors import Code, InputError
from spokewire.network.documents import (
    AccessRule,
    Grant,
    Proof,
    Record,
    Report,
    Result,
    TestRequest,
    read_kind,
    sign,
    verify,
    verify_grant,
    verify_member,
)
from spokewire.network.keys import encode_base64url
from spokewire.network.names import NetworkId
from spokewire.network.proof import PairResult, Step
from tests.builders import (
    NETWORK,
    NOW,
    ROOT,
    STRANGER,
    attempt,
    dump,
    encode_jws,
    make_grant,
    make_node_status,
    make_record,
    make_settings,
    sign_settings,
)

PUBLIC = ROOT.public_key()
GRANT = make_grant()
FOREIGN_NETWORK = "0" * 32


def grant_text(**changes: object) -> str:
    return encode_jws({"alg": "EdDSA", "typ": Grant.typ}, dump(GRANT, **changes))


@pytest.mark.parametrize(
    "document",
    [
        GRANT,
        make_settings(3, revoked=frozenset({"a"}), access=(AccessRule(source="*", target="a", ports=("tcp/22",)),)),
        Record(
            grant="x", sequence=1, wireguard_key=verify_member(make_record(), PUBLIC, NETWORK, NOW).record.wireguard_key
        ),
        TestRequest(id="i" * 16, network=NETWORK, pairs=(("a", "b"),), step=Step.ECHO, issued_at=int(NOW)),
        Report(grant="x", issued_at=int(NOW), status=make_node_status()),
        Result(grant="x", test="t", pairs=(PairResult(source="a", target="b", rtt_ms=1.5),)),
        Proof(network=NETWORK, audience="hub-1", issued_at=int(NOW)),
    ],
    ids=lambda document: document.typ,
)
def test_a_signed_document_is_read_back_as_it_was(document: Grant) -> None:
    text = sign(document, ROOT)
    assert verify(type(document), text, PUBLIC) == document
    assert read_kind(text) == document.typ
    assert text.isascii()
    assert len(text.split(".")) == 3


def test_a_document_from_a_newer_release_with_more_fields_is_understood() -> None:
    assert verify(Grant, grant_text(colour="red"), PUBLIC) == GRANT


def test_a_signed_document_is_plain_jws_that_any_library_reads() -> None:
    header = jwt.get_unverified_header(sign(GRANT, ROOT))
    assert header == {"alg": "EdDSA", "typ": "spokewire-grant"}
    assert jwt.decode(sign(GRANT, ROOT), PUBLIC, algorithms=["EdDSA"])["name"] == "node-1"


def test_a_document_that_any_library_signed_is_read() -> None:
    text = jwt.PyJWS().encode(GRANT.model_dump_json().encode(), ROOT, "EdDSA", {"typ": Grant.typ})
    assert verify(Grant, text, PUBLIC) == GRANT


GOOD = sign(GRANT, ROOT)
HEAD, BODY, SIGNATURE = GOOD.split(".")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", Code.DOCUMENT_MALFORMED),
        ("x", Code.DOCUMENT_MALFORMED),
        ("a.b.c", Code.DOCUMENT_MALFORMED),
        ("..", Code.DOCUMENT_MALFORMED),
        (f"{HEAD}.{BODY}", Code.DOCUMENT_MALFORMED),
        (f"{GOOD}.x", Code.DOCUMENT_MALFORMED),
        (f"\ud800{GOOD}", Code.DOCUMENT_MALFORMED),
        (f"{HEAD}.{BODY}.{SIGNATURE}\n", Code.DOCUMENT_MALFORMED),
        (f"{HEAD}.{BODY}.{SIGNATURE}=", Code.DOCUMENT_MALFORMED),
        (f"{HEAD}.{BODY}.!{SIGNATURE}", Code.DOCUMENT_MALFORMED),
        (f"{HEAD}.{BODY}.", Code.DOCUMENT_SIGNATURE),
        (f"{HEAD}.{BODY}.{'A' * 86}", Code.DOCUMENT_SIGNATURE),
        (f"{HEAD}.{encode_base64url(b'{}')}.{SIGNATURE}", Code.DOCUMENT_SIGNATURE),
        ("a" * (Grant.max_bytes + 1), Code.DOCUMENT_TOO_LARGE),
        (sign(GRANT, STRANGER), Code.DOCUMENT_SIGNATURE),
        (sign_settings(), Code.DOCUMENT_KIND),
        (encode_jws({"alg": "EdDSA"}, dump(GRANT)), Code.DOCUMENT_KIND),
        (encode_jws({"alg": "EdDSA", "typ": "JWT"}, dump(GRANT)), Code.DOCUMENT_KIND),
        (encode_jws({"alg": "EdDSA", "typ": ["x"]}, dump(GRANT)), Code.DOCUMENT_KIND),
        (encode_jws({"alg": "EdDSA", "typ": Grant.typ, "kid": "1"}, dump(GRANT)), Code.DOCUMENT_KIND),
        (encode_jws({"alg": "EdDSA", "typ": Grant.typ, "jwk": {}}, dump(GRANT)), Code.DOCUMENT_KIND),
        (encode_jws({"alg": "none", "typ": Grant.typ}, dump(GRANT)), Code.DOCUMENT_ALGORITHM),
        (encode_jws({"alg": "HS256", "typ": Grant.typ}, dump(GRANT)), Code.DOCUMENT_ALGORITHM),
        (encode_jws({"alg": "ES256", "typ": Grant.typ}, dump(GRANT)), Code.DOCUMENT_ALGORITHM),
        (encode_jws({"alg": ["EdDSA"], "typ": Grant.typ}, dump(GRANT)), Code.DOCUMENT_ALGORITHM),
        (encode_jws({"typ": Grant.typ}, dump(GRANT)), Code.DOCUMENT_ALGORITHM),
        (encode_jws({"alg": "EdDSA", "typ": Grant.typ}, []), Code.DOCUMENT_MALFORMED),
        (encode_jws({"alg": "EdDSA", "typ": Grant.typ}, {}), Code.DOCUMENT_MALFORMED),
        (encode_jws({"alg": "EdDSA", "typ": Grant.typ}, "text"), Code.DOCUMENT_MALFORMED),
        (grant_text(name="Node"), Code.DOCUMENT_MALFORMED),
        (grant_text(name="../../etc"), Code.DOCUMENT_MALFORMED),
        (grant_text(network_name="much-too-long-for-it"), Code.DOCUMENT_MALFORMED),
        (grant_text(role="operator"), Code.DOCUMENT_MALFORMED),
        (grant_text(number=0), Code.DOCUMENT_MALFORMED),
        (grant_text(number=2**20 + 1), Code.DOCUMENT_MALFORMED),
        (grant_text(number="11"), Code.DOCUMENT_MALFORMED),
        (grant_text(number=True), Code.DOCUMENT_MALFORMED),
        (grant_text(id="short"), Code.DOCUMENT_MALFORMED),
        (grant_text(key="A" * 42), Code.DOCUMENT_MALFORMED),
        (grant_text(tags=["a"] * 65), Code.DOCUMENT_MALFORMED),
        (grant_text(tags=["{ drop }"]), Code.DOCUMENT_MALFORMED),
        (grant_text(expires_at=2**70), Code.DOCUMENT_MALFORMED),
        (grant_text(expires_at=-1), Code.DOCUMENT_MALFORMED),
        (grant_text(expires_at=1.5), Code.DOCUMENT_MALFORMED),
        (grant_text(agent="yes"), Code.DOCUMENT_MALFORMED),
    ],
)
def test_a_grant_that_is_not_as_it_should_be_is_refused_by_the_code_that_says_why(text: str, code: Code) -> None:
    with pytest.raises(InputError) as caught:
        verify(Grant, text, PUBLIC)
    assert caught.value.code is code


def test_a_document_has_one_spelling_so_that_two_texts_are_never_the_same_document() -> None:
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        respelt = GOOD[:-1] + letter
        assert isinstance(attempt(verify, Grant, respelt, PUBLIC), InputError) is (respelt != GOOD)


def test_a_document_signed_with_a_shared_secret_made_of_the_public_key_is_refused() -> None:
    forged = jwt.PyJWS().encode(GRANT.model_dump_json().encode(), b"x" * 32, "HS256", {"typ": Grant.typ})
    with pytest.raises(InputError) as caught:
        verify(Grant, forged, PUBLIC)
    assert caught.value.code is Code.DOCUMENT_ALGORITHM


@pytest.mark.parametrize(
    ("text", "network", "now", "code"),
    [
        (sign(GRANT, STRANGER), NETWORK, NOW, Code.DOCUMENT_CHAIN),
        (GOOD, FOREIGN_NETWORK, NOW, Code.DOCUMENT_CHAIN),
        (GOOD, NETWORK, GRANT.expires_at, Code.DOCUMENT_EXPIRED),
        (GOOD, NETWORK, GRANT.expires_at + 1e12, Code.DOCUMENT_EXPIRED),
    ],
)
def test_a_grant_of_another_root_or_network_or_time_is_refused(text: str, network: str, now: float, code: Code) -> None:
    with pytest.raises(InputError) as caught:
        verify_grant(text, PUBLIC, NetworkId(network), now)
    assert caught.value.code is code


def test_a_grant_holds_until_the_very_second_it_expires() -> None:
    assert verify_grant(GOOD, PUBLIC, NETWORK, GRANT.expires_at - 0.001) == GRANT


def test_an_expired_grant_says_how_to_get_another() -> None:
    with pytest.raises(InputError, match="node-1 has expired") as caught:
        verify_grant(GOOD, PUBLIC, NETWORK, GRANT.expires_at)
    assert caught.value.hint == "Mint a new token: spokewire node token node-1."


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "\ud800", "é.é.é", ".", "....", "eyJ9.x.y", "W10.e30.AA"])
def test_asking_what_kind_a_broken_text_is_says_that_it_is_no_document(text: str) -> None:
    with pytest.raises(InputError) as caught:
        read_kind(text)
    assert caught.value.code is Code.DOCUMENT_MALFORMED


def test_a_document_without_a_kind_has_none() -> None:
    assert read_kind(encode_jws({"alg": "EdDSA"}, {})) == ""
    assert read_kind(encode_jws({"alg": "EdDSA", "typ": 7}, {})) == ""
