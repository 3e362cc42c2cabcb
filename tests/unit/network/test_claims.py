from dataclasses import replace

import pytest

from spokewire.errors import Code
from spokewire.network.claims import WITHHELD_S, Claims, find_twins, give, hear, judge_claims
from spokewire.network.documents import Member
from spokewire.network.names import MachineName
from spokewire.network.roster import Refusal, Roster, take
from tests.builders import NOW, make_grant, make_record, make_roster

HUB = MachineName("hub-2")
EMPTY = Claims(HUB)
LATE = 100.0 + WITHHELD_S


def test_a_hub_that_hands_out_what_it_was_given_is_honest() -> None:
    claims = hear(give(EMPTY, "record", "our own record", 100.0), ["record"], [])
    assert judge_claims(claims, ["record"], LATE, NOW) is None


def test_a_hub_that_keeps_back_what_it_took_is_named_with_what_it_is_and_since_when() -> None:
    claims = hear(give(EMPTY, "record", "our own record", 100.0), ["another"], [])
    assert judge_claims(claims, ["record"], LATE - 0.1, NOW) is None
    issue = judge_claims(claims, ["record"], LATE + 5.0, NOW)
    assert issue is not None
    assert (issue.code, issue.subject, issue.since) == (Code.HUB_WITHHOLDS, "hub-2", NOW - WITHHELD_S - 5.0)
    assert "hub-2 was given our own record" in issue.text


def test_what_is_no_longer_in_force_need_not_be_handed_out() -> None:
    claims = give(EMPTY, "settings 4", "the settings in force", 100.0)
    assert judge_claims(claims, ["settings 5"], LATE, NOW) is None


def test_giving_it_again_does_not_begin_the_time_anew() -> None:
    claims = give(give(EMPTY, "record", "our own record", 100.0), "record", "our own record", 120.0)
    assert judge_claims(claims, ["record"], LATE, NOW) is not None


@pytest.mark.parametrize(
    ("code", "is_told"),
    [
        (Code.DOCUMENT_CHAIN, True),
        (Code.DOCUMENT_SIGNATURE, True),
        (Code.DOCUMENT_MALFORMED, True),
        (Code.DOCUMENT_KIND, True),
        (Code.DOCUMENT_STALE, False),
        (Code.DOCUMENT_EXPIRED, False),
        (Code.REVOKED, False),
        (Code.GRANT_IN_USE, False),
    ],
)
def test_only_documents_that_no_honest_hub_has_are_held_against_it(code: Code, is_told: bool) -> None:
    issue = judge_claims(hear(EMPTY, ["document"], [Refusal(code, "")]), [], 0.0, NOW)
    assert (issue is not None and issue.code == Code.HUB_MISLEADS) is is_told


def hubs(roster: Roster) -> list[Member]:
    return roster.hubs(NOW)


def test_two_hubs_of_one_endpoint_are_told_and_the_one_that_does_not_answer_is_the_one_to_look_at() -> None:
    roster = make_roster(["hub-1"])
    assert find_twins(hubs(roster), {HUB}, NOW) is None
    roster = take(roster, make_record(make_grant("hub-2"), endpoint="203.0.113.1:51820"), NOW)
    issue = find_twins(hubs(roster), {MachineName("hub-1")}, NOW)
    assert issue is not None
    assert (issue.code, issue.subject) == (Code.HUB_MISLEADS, "hub-2")
    both = find_twins(hubs(roster), {MachineName("hub-1"), HUB}, NOW)
    assert both is not None
    assert "one of them" in both.text


def test_claims_of_one_hub_do_not_change_when_nothing_is_said() -> None:
    claims = replace(EMPTY, false=0)
    assert hear(claims, [], []) is claims
