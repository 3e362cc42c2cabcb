"""Whatever arrives: a document, or one of our errors with a code. Never anything else, and never a document that was not signed."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spokewire.errors import Code, InputError
from spokewire.network.documents import (
    Document,
    Grant,
    Proof,
    Record,
    Report,
    Result,
    Settings,
    TestRequest,
    read_kind,
    sign,
    verify,
    verify_chained,
    verify_grant,
    verify_member,
    verify_proof,
    verify_settings,
)
from spokewire.network.roster import Roster, merge, take
from tests.builders import (
    NETWORK,
    NOW,
    ROOT,
    STRANGER,
    attempt,
    dump,
    encode_jws,
    grant_key,
    make_grant,
    make_record,
    make_settings,
    sign_settings,
)
from tests.property.strategies import hostile_text, json_values, mutations

PUBLIC = ROOT.public_key()
KINDS: tuple[type[Document], ...] = (Grant, Record, Settings, TestRequest, Report, Result, Proof)
GRANT = sign(make_grant(), ROOT)
RECORD = make_record()
SETTINGS = sign_settings()
HUB_RECORD = make_record(make_grant("hub-1"))


def refuses(check: Any, *arguments: Any) -> bool:
    """Whether our own error, and no other, came of it."""
    outcome = attempt(check, *arguments)
    return isinstance(outcome, InputError) and bool(outcome.message) and outcome.code in set(Code)


@given(hostile_text)
@example("eyJhbGciOiJFZERTQSIsInR5cCI6InNwb2tld2lyZS1ncmFudCIsImI2NCI6ZmFsc2V9.e30.AA")
@example("bnVsbA.bnVsbA.AA")
def test_no_text_at_all_is_taken_for_a_document(text: str) -> None:
    for kind in KINDS:
        assert refuses(verify, kind, text, PUBLIC)
    assert refuses(verify_member, text, PUBLIC, NETWORK, NOW)
    assert refuses(verify_chained, Report, text, PUBLIC, NETWORK, NOW)
    assert refuses(verify_proof, text, PUBLIC, NETWORK, "hub-1", NOW)
    assert refuses(take, Roster(PUBLIC), text, NOW)
    refuses(read_kind, text)


@pytest.mark.parametrize("original", [GRANT, RECORD, HUB_RECORD, SETTINGS], ids=["grant", "record", "hub", "settings"])
@given(data=st.data())
def test_a_signed_document_that_was_altered_anywhere_is_refused(original: str, data: st.DataObject) -> None:
    altered = data.draw(mutations(original).filter(lambda text: text != original))
    assert refuses(verify_grant, altered, PUBLIC, NETWORK, NOW)
    assert refuses(verify_member, altered, PUBLIC, NETWORK, NOW)
    assert refuses(verify_settings, altered, PUBLIC, NETWORK)
    merged = merge(Roster(PUBLIC), [altered], NOW)
    assert merged.roster == Roster(PUBLIC)
    assert len(merged.refusals) == 1


@given(st.integers(0, 10_000), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
def test_not_one_character_of_a_document_can_be_exchanged(position: int, letter: str) -> None:
    position %= len(RECORD)
    altered = RECORD[:position] + letter + RECORD[position + 1 :]
    assert refuses(verify_member, altered, PUBLIC, NETWORK, NOW) is (altered != RECORD)


@given(
    header=st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "x"]), json_values, max_size=4)
)
def test_no_header_but_ours_is_taken_even_if_the_root_key_signed_it(header: dict[str, Any]) -> None:
    text = encode_jws({"alg": "EdDSA", "typ": Grant.typ} | header, dump(make_grant()))
    is_ours = {"alg": "EdDSA", "typ": Grant.typ} | header == {"alg": "EdDSA", "typ": Grant.typ}
    assert refuses(verify_grant, text, PUBLIC, NETWORK, NOW) is not is_ours
    refuses(read_kind, text)


@pytest.mark.parametrize("kind", KINDS)
@given(payload=json_values)
def test_a_signed_payload_of_any_shape_is_understood_or_refused_and_breaks_nothing(
    kind: type[Document], payload: object
) -> None:
    text = encode_jws({"alg": "EdDSA", "typ": kind.typ}, payload)
    document = attempt(verify, kind, text, PUBLIC)
    if isinstance(document, InputError):
        assert document.code in (Code.DOCUMENT_MALFORMED, Code.DOCUMENT_TOO_LARGE)
    else:
        assert isinstance(document, kind)


@given(field=st.sampled_from(sorted(Grant.model_fields)), value=json_values)
def test_a_grant_with_any_value_in_any_field_is_understood_or_refused(field: str, value: object) -> None:
    text = encode_jws({"alg": "EdDSA", "typ": Grant.typ}, dump(make_grant(), **{field: value}))
    grant = attempt(verify_grant, text, PUBLIC, NETWORK, NOW)
    if isinstance(grant, InputError):
        assert grant.code in (Code.DOCUMENT_MALFORMED, Code.DOCUMENT_CHAIN, Code.DOCUMENT_EXPIRED)
    else:
        assert grant.model_dump(mode="json", exclude={field}) == make_grant().model_dump(mode="json", exclude={field})


@given(field=st.sampled_from(sorted(Settings.model_fields)), value=json_values)
def test_settings_with_any_value_in_any_field_are_understood_or_refused(field: str, value: object) -> None:
    text = encode_jws({"alg": "EdDSA", "typ": Settings.typ}, dump(make_settings(), **{field: value}))
    merged = merge(Roster(PUBLIC), [text, RECORD], NOW)
    assert len(merged.changed) + len(merged.refusals) == 2
    assert len(merged.roster.members(NOW)) <= 1


@given(field=st.sampled_from(sorted(Record.model_fields)), value=json_values)
def test_a_member_that_signs_nonsense_harms_nobody_but_itself(field: str, value: object) -> None:
    grant = make_grant("node-2")
    honest = verify_member(make_record(grant), PUBLIC, NETWORK, NOW).record
    text = encode_jws({"alg": "EdDSA", "typ": Record.typ}, dump(honest) | {field: value}, key=grant_key(grant.id))
    merged = merge(Roster(PUBLIC), [text, RECORD, SETTINGS], NOW)
    assert "node-1" in {member.name for member in merged.roster.members(NOW)}


@given(st.sampled_from(KINDS), st.sampled_from([GRANT, RECORD, SETTINGS]))
def test_a_document_of_one_kind_is_never_taken_for_another(kind: type[Document], text: str) -> None:
    assert refuses(verify, kind, text, PUBLIC) is not (kind.typ == read_kind(text) and kind is not Record)


@given(st.binary(max_size=64))
def test_what_a_stranger_signs_is_never_taken(noise: bytes) -> None:
    grant = make_grant(tags=(f"t{noise.hex()[:30]}",))
    assert refuses(verify_grant, sign(grant, STRANGER), PUBLIC, NETWORK, NOW)
    assert refuses(verify_member, make_record(grant, root=STRANGER), PUBLIC, NETWORK, NOW)
