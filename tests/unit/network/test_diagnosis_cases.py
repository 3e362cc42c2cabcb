"""Where a finding ends and another begins: what is missing, what is no fault, what was tried in vain, wrong clocks."""

from typing import Any

import pytest

from spokewire.network.diagnosis import diagnose, judge_exit
from spokewire.network.evidence import Answer, Evidence, HubEvidence
from spokewire.network.findings import Finding, Kind, Severity
from spokewire.network.names import MachineName
from spokewire.network.status import Issue, Outcome, RelayStatus
from tests.builders import NOW, make_hub_status, make_spec, make_view
from tests.examined import (
    API_ISSUE,
    HUB,
    LONG_AGO,
    NAMES,
    cut_off,
    examination,
    kinds,
    missing,
    node,
    told,
    vain,
)

OVERLAP = Issue(code="address-overlap", text="10.88.0.0/24 overlaps with podman0.", hint="Move podman.", since=NOW - 40)
ALONE = {name: cut_off(name, issues=[API_ISSUE]) for name in NAMES}


def with_hub(**changes: Any) -> HubEvidence:
    return HubEvidence("running", "203.0.113.1", make_hub_status(since=LONG_AGO, **changes))


GONE = Evidence(None, None, None, Answer.UNKNOWN)
HOST_SPEC = make_spec(
    '[network]\nname = "demo"\n[[hubs]]\nname = "hub-1"\n[[nodes]]\nname = "node-1"\nprovider = "host"'
)


@pytest.mark.parametrize(
    ("evidence", "changes", "todo", "proof"),
    [
        (GONE, {}, "spokewire deploy", "it is not deployed"),
        (Evidence("incomplete", None, None, Answer.UNKNOWN), {}, "spokewire deploy", "was interrupted"),
        (GONE, {"spec": HOST_SPEC}, "spokewire node token node-1", "it has not joined"),
    ],
    ids=["not deployed", "half made", "a host of one's own"],
)
def test_a_machine_that_is_not_there_is_told_with_the_command_that_brings_it(
    evidence: Evidence, changes: dict[str, Any], todo: str, proof: str
) -> None:
    found = [f for f in diagnose(examination({"node-1": evidence}, **changes)) if f.kind is Kind.NODE_MISSING]
    assert [finding.machines for finding in found] == [["node-1"]]
    assert todo in found[0].todo
    assert proof in found[0].evidence[0]


def test_a_hub_that_is_not_there_is_the_first_thing_to_make() -> None:
    seen = examination(ALONE, HubEvidence(None, None, None))
    [finding] = diagnose(seen)
    assert finding.kind is Kind.HUB_MISSING
    assert "spokewire deploy" in finding.todo
    assert judge_exit(seen, [finding]) == 1


def test_nodes_on_two_families_are_one_finding_that_says_who_is_on_which() -> None:
    issue = Issue(code="mixed-family", text="node-1 (IPv4) and node-2 (IPv6) do not.", hint="One family.", since=NOW)
    views = [make_view("node-1", endpoint="192.0.2.1:5"), make_view("node-2", endpoint="[2001:db8::2]:5")]
    seen = examination(
        {"node-1": told(missing("node-1", "node-2")), "node-2": told(missing("node-2", "node-1"))},
        with_hub(issues=[issue], nodes=views),
    )
    [finding] = diagnose(seen)
    assert (finding.kind, finding.todo) == (Kind.MIXED_FAMILY, "One family.")
    assert finding.evidence == ["node-1 is on IPv4.", "node-2 is on IPv6."]
    assert finding.explains == ["node-1 and node-2 do not reach each other."]


@pytest.mark.parametrize(
    ("fixes", "told_of"),
    [
        (vain("node-1"), True),
        (vain("node-1", 2), False),
        ([*vain("node-1"), *vain("node-1", 1, outcome=Outcome.CURED)], False),
        ([*vain("node-1", 1, outcome=Outcome.CURED), *vain("node-1")], True),
        ([*vain("node-1", 2), *vain("node-1", 2, code="other")], False),
        ([fix.model_copy(update={"at": fix.at - 3600}) for fix in vain("node-1")], False),
        ([fix.model_copy(update={"at": fix.at - 600}) for fix in vain("node-1")], False),
        (vain("node-2"), False),
        (vain("node-9"), False),
    ],
    ids=[
        *["three", "two", "cured at last", "cured before", "of two kinds", "long ago", "not tried any more"],
        *["of a node that is back", "of a node that left"],
    ],
)
def test_fixes_are_in_vain_only_if_three_of_a_kind_helped_nothing_lately(fixes: list[Any], told_of: bool) -> None:
    found = diagnose(examination({"node-1": told(node("node-1", fixes=fixes))}))
    assert kinds(found) == ([Kind.FIXES_IN_VAIN] if told_of else [])


def test_times_that_a_machine_tells_are_corrected_by_how_wrong_its_clock_is() -> None:
    words = node("node-1", issues=[OVERLAP.model_copy(update={"since": NOW + 3560})], time=NOW + 3600)
    found = diagnose(examination({"node-1": told(words)}, clocks_ahead_s={MachineName("node-1"): 3600.0, HUB: 0.0}))
    assert {f.kind: f.since for f in found} == {Kind.ISSUE: NOW - 40, Kind.CLOCK_DIFFERS: None}


def test_a_stock_client_is_not_called_silent() -> None:
    phone = Evidence(None, make_view("phone", agent=False, last_echo_age_s=None), None, Answer.UNKNOWN)
    assert diagnose(examination({"phone": phone})) == []


def test_scanners_are_no_finding() -> None:
    relay = RelayStatus(labels=2, forwarded=9, refused={"unknown-source": 400})
    assert diagnose(examination(hub=with_hub(relay=relay), refused_per_s={HUB: {"unknown-source": 0.4}})) == []


def test_notes_alone_are_no_failure() -> None:
    seen = examination(release="0.2.0")
    findings: list[Finding] = diagnose(seen)
    assert [finding.severity for finding in findings] == [Severity.NOTE]
    assert judge_exit(seen, findings) == 0


ABSURD = Issue(code="disk", text="It is full.", since=1e300)


def test_what_a_hostile_machine_claims_neither_stops_the_doctor_nor_hides_anything() -> None:
    words = node("node-1", issues=[ABSURD], settings_version=0, time=1e300)
    seen = examination({"node-1": told(words)}, with_hub(settings_version=10**400), clocks_ahead_s={HUB: -1e300})
    found = {finding.kind: finding for finding in diagnose(seen)}
    assert found[Kind.ISSUE].since is None
    assert found[Kind.SETTINGS_OLD].machines == ["node-1"]


SILENT = Issue(code="tunnel-silent", text="Nothing comes.", hint="Open UDP 51820.", since=NOW, tried=["3 handshakes"])
DIVERTED = Issue(code="route-diverted", text="A route leads to docker0.", hint="Remove it.", since=NOW)


@pytest.mark.parametrize(
    ("issue", "kind", "todo", "tried"),
    [
        (SILENT, Kind.TUNNEL_CUT, "Open UDP 51820.", ["3 handshakes"]),
        (DIVERTED, Kind.NODE_BLOCKED, "Remove it.", []),
    ],
)
def test_what_a_cut_off_node_found_out_itself_is_told_with_it(
    issue: Issue, kind: Kind, todo: str, tried: list[str]
) -> None:
    [finding] = diagnose(examination({"node-1": cut_off("node-1", issues=[issue])}))
    assert (finding.kind, finding.code, finding.todo) == (kind, issue.code, todo)
    assert finding.tried == tried
    assert finding.explains[-1] == f"node-1: {issue.text}"
