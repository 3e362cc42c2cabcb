"""What a doctor says of one of several hubs."""

from typing import Any

from spokewire.network.diagnosis import diagnose, judge_exit
from spokewire.network.evidence import Evidence, HubEvidence
from spokewire.network.findings import Examination, Finding, Kind, Severity
from spokewire.network.names import MachineName
from spokewire.network.overview import judge_network
from spokewire.network.roster import Roster, find_lacking
from spokewire.network.status import Issue, NodeStatus, State
from tests.builders import NOW, SPEC_TEXT, make_hub_status, make_peer, make_roster, make_settings, make_spec
from tests.examined import LONG_AGO, NAMES, node, told

TWO_HUBS = make_spec(SPEC_TEXT + "[[hubs]]\nname = 'hub-2'\n")
SILENT = HubEvidence("running", "203.0.113.2", None, "no answer")
AWAY = Issue(code="api-unreachable", text="The API of https://203.0.113.2:443 does not answer.", since=NOW - 60)
HUB_1, HUB_2 = MachineName("hub-1"), MachineName("hub-2")


def words(name: str, hub_2: State, path: str = "via hub-1", **changes: Any) -> NodeStatus:
    hubs = [make_peer("hub-1", since=LONG_AGO), make_peer("hub-2", hub_2, reason="no echo for 9 s", since=NOW - 9)]
    peers = [make_peer(other, path=path, since=LONG_AGO) for other in NAMES if other != name]
    state = State.CONNECTED if hub_2 is State.CONNECTED else State.DEGRADED
    return node(name, state=state, hubs=hubs, peers=peers, **changes)


def seen(hub_2: HubEvidence, nodes: dict[str, Evidence], **more: Any) -> Examination:
    hubs = {HUB_1: HubEvidence("running", "203.0.113.1", make_hub_status(since=LONG_AGO)), HUB_2: hub_2}
    found = {MachineName(name): evidence for name, evidence in nodes.items()}
    overview = judge_network(TWO_HUBS, hubs, found)
    return Examination(NOW, "0", TWO_HUBS, overview, hubs, found, settings_version=1, **more)


def everybody(hub_2: State, **changes: Any) -> dict[str, Evidence]:
    return {name: told(words(name, hub_2, **changes)) for name in NAMES}


def told_of(findings: list[Finding]) -> list[tuple[Kind, Severity, list[str]]]:
    return [(finding.kind, finding.severity, finding.machines) for finding in findings]


WELL = HubEvidence("running", "203.0.113.2", make_hub_status("hub-2", since=LONG_AGO))


def test_two_hubs_that_are_well_are_nothing_to_tell() -> None:
    assert diagnose(seen(WELL, everybody(State.CONNECTED))) == []


def test_one_dead_hub_of_two_is_one_warning_that_tells_what_follows_from_it() -> None:
    examination = seen(SILENT, everybody(State.DISCONNECTED, issues=[AWAY]))
    findings = diagnose(examination)
    assert told_of(findings) == [(Kind.HUB_AWAY, Severity.WARNING, ["hub-2"])]
    assert any("203.0.113.2" in text for text in findings[0].explains)
    assert findings[0].since == NOW - 60
    assert judge_exit(examination, findings) == 3


def test_a_hub_that_carries_pairs_while_its_daemon_is_dead_is_told_from_one_that_is_away() -> None:
    examination = seen(SILENT, everybody(State.DISCONNECTED, path="via hub-2"))
    assert told_of(diagnose(examination)) == [(Kind.HUB_DAEMON_DEAD, Severity.WARNING, ["hub-2"])]


def test_a_complaint_about_one_hub_is_not_counted_against_another() -> None:
    about_other = Issue(code="api-unreachable", text="The API of hub-1 does not answer.", since=NOW - 60)
    findings = diagnose(seen(SILENT, everybody(State.CONNECTED, issues=[about_other])))
    assert Kind.HUB_UNSEEN in {finding.kind for finding in findings}
    assert seen(SILENT, {}).is_about("The API of hub-2 does not answer.", "hub-2")
    assert not seen(SILENT, {}).is_about("The API of hub-20 does not answer.", "hub-2")
    assert not seen(SILENT, {}).is_about("https://203.0.113.21:443 does not answer", "hub-2")


def test_a_node_that_alone_does_not_hear_one_hub_is_told() -> None:
    nodes = everybody(State.CONNECTED) | {"node-2": told(words("node-2", State.DISCONNECTED))}
    assert told_of(diagnose(seen(WELL, nodes))) == [(Kind.NODE_DEGRADED, Severity.WARNING, ["node-2"])]


def test_a_hub_that_shows_another_roster_than_the_others_is_named() -> None:
    examination = seen(WELL, everybody(State.CONNECTED), lacking={HUB_2: ["node-3"]})
    findings = diagnose(examination)
    assert told_of(findings) == [(Kind.HUB_DIFFERS, Severity.WARNING, ["hub-2"])]
    assert "hub-2 shows another roster than hub-1" in findings[0].what
    assert "node-3" in findings[0].what


def test_a_hub_that_shows_other_settings_than_the_others_is_named() -> None:
    old = HubEvidence("running", "203.0.113.2", make_hub_status("hub-2", since=LONG_AGO, settings_version=1))
    newer = {name: told(words(name, State.CONNECTED, settings_version=2)) for name in NAMES}
    examination = seen(old, newer)
    hubs = {**examination.hubs, HUB_1: HubEvidence("running", None, make_hub_status(settings_version=2))}
    overview = judge_network(TWO_HUBS, hubs, examination.nodes)
    found = Examination(NOW, "0", TWO_HUBS, overview, hubs, examination.nodes, settings_version=2)
    assert told_of(diagnose(found)) == [(Kind.SETTINGS_OLD, Severity.WARNING, ["hub-2"])]


BOTH = make_roster(["node-1", "node-2"])


def lacking(hub_1: tuple[Roster, Roster], hub_2: tuple[Roster, Roster]) -> dict[str, list[str]]:
    return {str(hub): names for hub, names in find_lacking({HUB_1: hub_1, HUB_2: hub_2}).items()}


def test_a_hub_lacks_what_another_shows_unless_it_was_on_its_way_or_is_revoked() -> None:
    one = make_roster(["node-1"])
    assert lacking((BOTH, BOTH), (BOTH, BOTH)) == {}
    assert lacking((BOTH, BOTH), (one, one)) == {"hub-2": ["node-2"]}
    assert lacking((BOTH, BOTH), (one, BOTH)) == {}
    assert lacking((one, BOTH), (one, one)) == {}
    newer = make_settings(2, removed={"node-2": int(NOW * 1000)})
    revoking = Roster(one.root, newer, "", one.records)
    assert lacking((BOTH, BOTH), (one, revoking)) == {}
