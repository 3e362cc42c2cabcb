import pytest

from spokewire.errors import Code, InputError
from spokewire.network.documents import Report, sign
from spokewire.network.roster import Roster, merge, take
from tests.builders import (
    NETWORK,
    NOW,
    ROOT,
    STRANGER,
    make_grant,
    make_node_status,
    make_record,
    make_roster,
    make_wireguard_key,
    sign_settings,
)

EMPTY = Roster(ROOT.public_key())
LATER_MS = int(NOW * 1000) + 5


def names(roster: Roster, now: float = NOW) -> list[str]:
    return [str(member.name) for member in roster.members(now)]


def refusal(roster: Roster, text: str) -> InputError:
    with pytest.raises(InputError) as caught:
        take(roster, text, NOW)
    return caught.value


def test_an_empty_roster_knows_nobody_and_nothing() -> None:
    assert (EMPTY.network, EMPTY.version, EMPTY.plan) == (NETWORK, 0, None)
    assert names(EMPTY) == []
    assert EMPTY.documents() == []


def test_hubs_come_first_and_then_nodes_as_people_count() -> None:
    roster = make_roster(["node-10", "hub-2", "node-2", "hub-1"])
    assert names(roster) == ["hub-1", "hub-2", "node-2", "node-10"]
    assert [hub.name for hub in roster.hubs(NOW)] == ["hub-1", "hub-2"]
    assert [node.name for node in roster.nodes(NOW)] == ["node-2", "node-10"]


def test_a_document_that_is_known_changes_nothing() -> None:
    roster = make_roster()
    for text in roster.documents():
        assert take(roster, text, NOW) is roster
    again = merge(roster, roster.documents(), NOW)
    assert again.roster is roster
    assert again.changed == ()
    assert again.refusals == ()


def test_one_bad_document_does_not_stop_the_others() -> None:
    good = [sign_settings(), make_record(make_grant("node-1")), make_record(make_grant("hub-1"))]
    bad = [
        "",
        "x.y.z",
        "\ud800",
        sign_settings(2, root=STRANGER),
        make_record(make_grant("node-9"), root=STRANGER),
        make_record(make_grant("node-8", expires_at=int(NOW))),
        sign(Report(grant="x", issued_at=1, status=make_node_status()), ROOT),
    ]
    mixed = [bad[0], good[0], *bad[1:4], good[1], *bad[4:], good[2]]
    merged = merge(EMPTY, mixed, NOW)
    assert merged.changed == tuple(good)
    assert names(merged.roster) == ["hub-1", "node-1"]
    assert [refusal.code for refusal in merged.refusals] == [
        Code.DOCUMENT_MALFORMED,
        Code.DOCUMENT_MALFORMED,
        Code.DOCUMENT_MALFORMED,
        Code.DOCUMENT_SIGNATURE,
        Code.DOCUMENT_CHAIN,
        Code.DOCUMENT_EXPIRED,
        Code.DOCUMENT_KIND,
    ]
    assert all(refusal.text for refusal in merged.refusals)


def test_newer_settings_win_and_older_ones_never_come_back() -> None:
    roster = take(EMPTY, sign_settings(5), NOW)
    assert roster.version == 5
    newer = take(roster, sign_settings(6, cidr="10.99.0.0/24"), NOW)
    assert newer.plan is not None
    assert str(newer.plan.cidr) == "10.99.0.0/24"
    assert refusal(newer, sign_settings(5)).code is Code.DOCUMENT_STALE
    assert refusal(newer, sign_settings(6, cidr="10.77.0.0/24")).code is Code.DOCUMENT_STALE


def test_a_newer_record_of_a_machine_replaces_the_older_one_for_good() -> None:
    old, new = (make_record(make_grant("hub-1"), sequence=n, endpoint=f"192.0.2.{n}:51820") for n in (1, 2))
    roster = merge(EMPTY, [old, new], NOW).roster
    assert roster.hubs(NOW)[0].record.endpoint == "192.0.2.2:51820"
    assert refusal(roster, old).code is Code.DOCUMENT_STALE


def test_of_two_records_with_one_sequence_the_same_wins_everywhere() -> None:
    grant = make_grant("hub-1")
    twins = [make_record(grant, sequence=1, endpoint=f"192.0.2.{n}:51820") for n in (1, 2)]
    one, two = merge(EMPTY, twins, NOW).roster, merge(EMPTY, twins[::-1], NOW).roster
    assert one == two
    assert len(one.records) == 1


def test_revoking_removes_a_machine_at_once_and_keeps_it_out() -> None:
    roster = make_roster()
    revoked = take(roster, sign_settings(2, revoked=frozenset({make_grant("node-1").id})), NOW)
    assert names(revoked) == ["hub-1", "node-2"]
    assert revoked.is_revoked(make_grant("node-1"))
    assert not revoked.is_revoked(make_grant("node-2"))
    assert refusal(revoked, make_record(make_grant("node-1"))).code is Code.REVOKED
    assert refusal(revoked, make_record(make_grant("node-1"), sequence=9)).code is Code.REVOKED
    assert all(make_record(make_grant("node-1")) != text for text in revoked.documents())


def test_a_revoked_machine_stays_out_after_everything_is_loaded_again_in_any_order() -> None:
    texts = [sign_settings(2, revoked=frozenset({make_grant("node-1").id})), make_record(make_grant("node-1"))]
    assert names(merge(EMPTY, texts, NOW).roster) == []
    assert names(merge(EMPTY, texts[::-1], NOW).roster) == []


def test_a_machine_leaves_when_its_grant_expires() -> None:
    roster = make_roster()
    expires_at = make_grant().expires_at
    assert names(roster, expires_at - 1) == ["hub-1", "node-1", "node-2"]
    assert names(roster, expires_at) == []


def test_a_new_token_for_a_name_takes_over_and_the_old_one_no_longer_counts() -> None:
    old = make_grant("node-1")
    new = make_grant("node-1", id="second-grant-of-node-1", issued_at_ms=LATER_MS)
    roster = merge(EMPTY, [make_record(old, sequence=7), make_record(new)], NOW).roster
    assert [member.grant.id for member in roster.members(NOW)] == [new.id]
    error = refusal(roster, make_record(old, sequence=8))
    assert error.code is Code.DOCUMENT_STALE
    assert "newer token" in error.message


def test_a_copied_token_is_told_and_the_first_machine_keeps_its_place() -> None:
    grant = make_grant("node-1")
    roster = take(EMPTY, make_record(grant), NOW)
    clone = make_record(grant, sequence=99, wireguard_key=make_wireguard_key("clone"))
    error = refusal(roster, clone)
    assert error.code is Code.GRANT_IN_USE
    assert "spokewire node token node-1" in error.hint
    assert roster.members(NOW)[0].record.wireguard_key == make_wireguard_key(grant.id)


def test_of_two_machines_granted_one_address_the_later_has_it_in_whatever_order_they_are_heard_of() -> None:
    old, new = make_grant("a", number=11), make_grant("b", number=11, issued_at_ms=LATER_MS)
    texts = [make_record(old), make_record(new)]
    for order in (texts, texts[::-1]):
        assert names(merge(EMPTY, order, NOW).roster) == ["b"]


def test_an_address_comes_back_to_its_first_owner_when_the_later_one_moves_away() -> None:
    moved = make_grant("b", id="b-has-moved-to-12", number=12, issued_at_ms=LATER_MS + 1)
    texts = [
        make_record(make_grant("a", number=11)),
        make_record(make_grant("b", number=11, issued_at_ms=LATER_MS)),
        make_record(moved),
    ]
    assert names(merge(EMPTY, texts, NOW).roster) == ["a", "b"]


@pytest.mark.parametrize(("number", "belongs"), [(14, True), (15, False), (16, False), (300, False)])
def test_a_machine_outside_the_address_plan_does_not_belong_and_does_no_harm(number: int, belongs: bool) -> None:
    record = make_record(make_grant("node-1", number=number))
    settings = sign_settings(cidr="10.88.0.0/28")
    for order in ([record, settings], [settings, record]):
        roster = merge(EMPTY, order, NOW).roster
        assert names(roster) == (["node-1"] if belongs else [])


def test_what_is_handed_on_makes_the_same_roster_elsewhere() -> None:
    roster = make_roster(["hub-1", "node-1", "node-2", "node-3"])
    assert merge(EMPTY, roster.documents(), NOW).roster == roster


def test_documents_of_another_network_are_not_ours() -> None:
    stranger = Roster(STRANGER.public_key())
    merged = merge(stranger, make_roster().documents(), NOW)
    assert merged.roster is stranger
    assert {refusal.code for refusal in merged.refusals} == {Code.DOCUMENT_SIGNATURE, Code.DOCUMENT_CHAIN}


def test_a_record_signed_by_anothers_grant_key_is_not_taken() -> None:
    forged = make_record(make_grant("node-2"), grant=sign(make_grant("node-1"), ROOT))
    assert refusal(EMPTY, forged).code is Code.DOCUMENT_SIGNATURE


def test_a_removed_name_takes_every_older_token_with_it_and_a_newer_one_may_join_again() -> None:
    old, newer = make_grant("node-1", issued_at_ms=1_000), make_grant("node-1", id="n" * 22, issued_at_ms=3_000)
    roster = make_roster([], removed={"node-1": 2_000})
    assert roster.is_revoked(old)
    with pytest.raises(InputError) as caught:
        take(roster, make_record(old), NOW)
    assert caught.value.code is Code.REVOKED
    assert [member.grant.id for member in take(roster, make_record(newer), NOW).nodes(NOW)] == [newer.id]
