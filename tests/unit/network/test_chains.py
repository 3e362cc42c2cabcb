"""The chain root key -> grant -> record, report, proof: a break anywhere in it is found, whoever hands the document on."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spokewire.errors import Code, InputError
from spokewire.network.documents import (
    Proof,
    Record,
    Report,
    Settings,
    TestRequest,
    sign,
    verify_chained,
    verify_member,
    verify_proof,
    verify_request,
    verify_settings,
)
from spokewire.network.proof import Step
from tests.builders import (
    NETWORK,
    NOW,
    ROOT,
    STRANGER,
    dump,
    encode_jws,
    grant_key,
    make_grant,
    make_node_status,
    make_record,
    make_settings,
    sign_settings,
)

PUBLIC = ROOT.public_key()
GRANT = make_grant()
GOOD = sign(GRANT, ROOT)
FOREIGN_NETWORK = "0" * 32


def test_a_record_is_believed_for_its_whole_chain() -> None:
    member = verify_member(make_record(GRANT), PUBLIC, NETWORK, NOW)
    assert member.grant == GRANT
    assert member.name == "node-1"


RECORD_HEAD = {"alg": "EdDSA", "typ": Record.typ}
RECORD = verify_member(make_record(GRANT), PUBLIC, NETWORK, NOW).record


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (encode_jws(RECORD_HEAD, dump(RECORD), ROOT), Code.DOCUMENT_SIGNATURE),
        (encode_jws(RECORD_HEAD, dump(RECORD), STRANGER), Code.DOCUMENT_SIGNATURE),
        (make_record(make_grant("node-2"), grant=sign(GRANT, ROOT)), Code.DOCUMENT_SIGNATURE),
        (make_record(GRANT, root=STRANGER), Code.DOCUMENT_CHAIN),
        (encode_jws(RECORD_HEAD, {"sequence": 1}), Code.DOCUMENT_CHAIN),
        (encode_jws(RECORD_HEAD, dump(RECORD, grant=7), grant_key(GRANT.id)), Code.DOCUMENT_CHAIN),
        (encode_jws(RECORD_HEAD, dump(RECORD, grant="x"), grant_key(GRANT.id)), Code.DOCUMENT_MALFORMED),
        (encode_jws(RECORD_HEAD, dump(RECORD, grant=sign_settings()), grant_key(GRANT.id)), Code.DOCUMENT_KIND),
        (encode_jws(RECORD_HEAD, dump(RECORD, wireguard_key="x"), grant_key(GRANT.id)), Code.DOCUMENT_MALFORMED),
        (encode_jws(RECORD_HEAD, dump(RECORD, sequence=0), grant_key(GRANT.id)), Code.DOCUMENT_MALFORMED),
        (encode_jws(RECORD_HEAD, dump(RECORD, api_url="http://x"), grant_key(GRANT.id)), Code.DOCUMENT_MALFORMED),
        (
            encode_jws(RECORD_HEAD, dump(RECORD, endpoint6="203.0.113.1:1"), grant_key(GRANT.id)),
            Code.DOCUMENT_MALFORMED,
        ),
        (encode_jws(RECORD_HEAD, dump(RECORD, api_url6="http://x"), grant_key(GRANT.id)), Code.DOCUMENT_MALFORMED),
        (encode_jws(RECORD_HEAD, dump(RECORD, certificate="x" * 9000), grant_key(GRANT.id)), Code.DOCUMENT_MALFORMED),
        (encode_jws({**RECORD_HEAD, "typ": Report.typ}, dump(RECORD), grant_key(GRANT.id)), Code.DOCUMENT_KIND),
        (encode_jws({**RECORD_HEAD, "alg": "none"}, dump(RECORD), grant_key(GRANT.id)), Code.DOCUMENT_ALGORITHM),
        (encode_jws(RECORD_HEAD, [1, 2]), Code.DOCUMENT_MALFORMED),
        ("x" * (Record.max_bytes + 1), Code.DOCUMENT_TOO_LARGE),
        (sign_settings(), Code.DOCUMENT_CHAIN),
    ],
)
def test_a_record_with_a_broken_chain_is_refused(text: str, code: Code) -> None:
    with pytest.raises(InputError) as caught:
        verify_member(text, PUBLIC, NETWORK, NOW)
    assert caught.value.code is code


@pytest.mark.parametrize("missing", [{"endpoint": None}, {"api_url": None}, {"certificate": None}])
def test_a_hub_must_say_where_it_is_and_what_its_certificate_is(missing: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        verify_member(make_record(make_grant("hub-1"), **missing), PUBLIC, NETWORK, NOW)
    assert caught.value.code is Code.DOCUMENT_MALFORMED


def test_a_report_is_believed_only_under_its_own_nodes_key() -> None:
    report = Report(grant=sign(GRANT, ROOT), issued_at=int(NOW), status=make_node_status())
    grant, read = verify_chained(Report, sign(report, grant_key(GRANT.id)), PUBLIC, NETWORK, NOW)
    assert (grant, read) == (GRANT, report)
    with pytest.raises(InputError) as caught:
        verify_chained(Report, sign(report, grant_key("another")), PUBLIC, NETWORK, NOW)
    assert caught.value.code is Code.DOCUMENT_SIGNATURE


SETTINGS_HEAD = {"alg": "EdDSA", "typ": Settings.typ}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (sign_settings(root=STRANGER), Code.DOCUMENT_SIGNATURE),
        (sign_settings(network=FOREIGN_NETWORK), Code.DOCUMENT_CHAIN),
        (make_record(), Code.DOCUMENT_KIND),
        (encode_jws(SETTINGS_HEAD, dump(make_settings(), version=0)), Code.DOCUMENT_MALFORMED),
        (encode_jws(SETTINGS_HEAD, dump(make_settings(), cidr="10.88.0.1/24")), Code.DOCUMENT_MALFORMED),
        (encode_jws(SETTINGS_HEAD, dump(make_settings(), cidr=True)), Code.DOCUMENT_MALFORMED),
        (encode_jws(SETTINGS_HEAD, dump(make_settings(), cidr=168_000_000)), Code.DOCUMENT_MALFORMED),
        (encode_jws(SETTINGS_HEAD, dump(make_settings(), cidr="10.88.0.0/29")), Code.DOCUMENT_MALFORMED),
        (encode_jws(SETTINGS_HEAD, dump(make_settings(), cidr="0.0.0.0/0")), Code.DOCUMENT_MALFORMED),
        (encode_jws(SETTINGS_HEAD, dump(make_settings(), relay="teleport")), Code.DOCUMENT_MALFORMED),
        (encode_jws(SETTINGS_HEAD, dump(make_settings(), revoked=[1])), Code.DOCUMENT_MALFORMED),
        (
            encode_jws(SETTINGS_HEAD, dump(make_settings(), access=[{"source": "*", "target": "*", "ports": ["tcp"]}])),
            Code.DOCUMENT_MALFORMED,
        ),
        (
            encode_jws(
                SETTINGS_HEAD, dump(make_settings(), access=[{"source": "*", "target": "*", "ports": ["tcp/1 }"]}])
            ),
            Code.DOCUMENT_MALFORMED,
        ),
    ],
)
def test_settings_that_the_operator_did_not_sign_or_that_no_machine_could_follow_are_refused(
    text: str, code: Code
) -> None:
    with pytest.raises(InputError) as caught:
        verify_settings(text, PUBLIC, NETWORK)
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("issued_at", "holds"),
    [(NOW, True), (NOW + 60, True), (NOW + 61, False), (NOW - 180, True), (NOW - 181, False), (0, False)],
)
def test_a_test_request_holds_for_two_minutes_whatever_the_clocks_differ_by_up_to_one(
    issued_at: float, holds: bool
) -> None:
    request = TestRequest(id="i" * 16, network=NETWORK, pairs=(("a", "b"),), step=Step.ECHO, issued_at=int(issued_at))
    if holds:
        assert verify_request(sign(request, ROOT), PUBLIC, NETWORK, NOW) == request
        return
    with pytest.raises(InputError) as caught:
        verify_request(sign(request, ROOT), PUBLIC, NETWORK, NOW)
    assert caught.value.code is Code.DOCUMENT_EXPIRED


def test_a_test_request_for_another_network_or_of_a_stranger_is_refused() -> None:
    request = TestRequest(id="i" * 16, network=FOREIGN_NETWORK, pairs=(), step=Step.ECHO, issued_at=int(NOW))
    with pytest.raises(InputError) as caught:
        verify_request(sign(request, ROOT), PUBLIC, NETWORK, NOW)
    assert caught.value.code is Code.DOCUMENT_CHAIN
    with pytest.raises(InputError) as caught:
        verify_request(sign(request, STRANGER), PUBLIC, NETWORK, NOW)
    assert caught.value.code is Code.DOCUMENT_SIGNATURE


def proof(key: Ed25519PrivateKey, **changes: Any) -> str:
    values: dict[str, Any] = {"network": NETWORK, "audience": "hub-1", "issued_at": int(NOW)} | changes
    return sign(Proof(**values), key)


def test_a_caller_is_known_by_its_grant_and_the_operator_by_the_root_key() -> None:
    node = verify_proof(proof(grant_key(GRANT.id), grant=GOOD), PUBLIC, NETWORK, "hub-1", NOW)
    assert node.grant == GRANT
    assert not node.is_operator
    assert verify_proof(proof(ROOT), PUBLIC, NETWORK, "hub-1", NOW).is_operator


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", Code.PROOF_INVALID),
        (proof(STRANGER), Code.PROOF_INVALID),
        (proof(grant_key(GRANT.id)), Code.PROOF_INVALID),
        (proof(STRANGER, grant=GOOD), Code.PROOF_INVALID),
        (proof(ROOT, grant=GOOD), Code.PROOF_INVALID),
        (proof(grant_key(GRANT.id), grant=sign(GRANT, STRANGER)), Code.PROOF_INVALID),
        (proof(ROOT, audience="hub-2"), Code.PROOF_INVALID),
        (proof(ROOT, network=FOREIGN_NETWORK), Code.PROOF_INVALID),
        (sign_settings(), Code.PROOF_INVALID),
        (encode_jws({"alg": "EdDSA", "typ": Proof.typ}, {"grant": {}}), Code.PROOF_INVALID),
        (proof(ROOT, issued_at=int(NOW) - 121), Code.CLOCK_SKEW),
        (proof(ROOT, issued_at=int(NOW) + 61), Code.CLOCK_SKEW),
    ],
)
def test_a_proof_that_does_not_hold_lets_nobody_in(text: str, code: Code) -> None:
    with pytest.raises(InputError) as caught:
        verify_proof(text, PUBLIC, NETWORK, "hub-1", NOW)
    assert caught.value.code is code
    assert caught.value.hint
