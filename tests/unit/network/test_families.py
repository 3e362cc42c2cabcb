"""Which nodes a sealed relay cannot bring together, and how that is told."""

import pytest

from spokewire.errors import Code
from spokewire.network.evidence import Answer, Evidence, HubEvidence
from spokewire.network.families import find_mixed, list_names, name_family
from spokewire.network.issues import list_issues
from spokewire.network.names import MachineName
from spokewire.network.overview import NetworkOverview, judge_network
from spokewire.network.status import HubView, State
from tests.builders import NOW, make_hub_status, make_node_status, make_spec, make_view

V4, V6 = "203.0.113.11:4000", "[2001:db8::12]:4000"


@pytest.mark.parametrize(
    "endpoints",
    [
        {},
        {"node-1": None},
        {"node-1": V4, "node-2": "198.51.100.1:1"},
        {"node-1": V6, "node-2": "[2001:db8::1]:1", "node-3": None},
    ],
)
def test_nodes_of_one_family_are_no_issue(endpoints: dict[str, str | None]) -> None:
    assert find_mixed("hub-1", endpoints, NOW) is None


def test_nodes_of_both_families_are_one_issue_that_names_all_of_them() -> None:
    issue = find_mixed("hub-1", {"node-1": V4, "node-2": V6, "node-3": V4, "node-4": None}, NOW)
    assert issue is not None
    assert (issue.code, issue.since) == (Code.MIXED_FAMILY, NOW)
    assert issue.text.startswith("node-1, node-3 (IPv4) and node-2 (IPv6) do not reach each other: hub-1 relays")
    assert "node-4" not in issue.text
    assert 'relay = "routed"' in issue.hint


@pytest.mark.parametrize(("endpoint", "family"), [(V4, "IPv4"), (V6, "IPv6")])
def test_an_endpoint_tells_its_family(endpoint: str, family: str) -> None:
    assert name_family(endpoint) == family


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "n1"), (8, "n1, n2, n3, n4, n5, n6, n7, n8"), (11, "n1, n2, n3, n4, n5, n6, n7, n8 and 3 more")],
)
def test_a_sentence_names_a_few_and_counts_the_rest(count: int, words: str) -> None:
    assert list_names([f"n{number}" for number in range(1, count + 1)]) == words


def judge(views: list[HubView], **changes: State) -> NetworkOverview:
    """A sealed network in which each node is well by its own word, but for the changes."""
    endpoints = {view.name: view.endpoint for view in views}
    issue = find_mixed("hub-1", endpoints, NOW)
    hub = make_hub_status(nodes=views, issues=[] if issue is None else [issue])
    found = {
        MachineName(view.name): Evidence(
            "running", view, None, Answer.OK, make_node_status(view.name, changes.get(view.name, State.CONNECTED))
        )
        for view in views
    }
    return judge_network(make_spec(), {MachineName("hub-1"): HubEvidence("running", "203.0.113.1", hub)}, found)


def test_each_node_that_cannot_reach_another_family_is_degraded_and_the_network_is_not_well() -> None:
    views = [make_view("node-1", endpoint=V4), make_view("node-2", endpoint=V6), make_view("node-3", endpoint=V4)]
    overview = judge(views)
    assert [node.state for node in overview.nodes] == [State.DEGRADED] * 3
    assert overview.state is State.DEGRADED
    assert overview.nodes[1].reason == "it is on IPv6 outside, and does not reach node-1, node-3 on the other family"
    assert [[issue.code for issue in node.issues] for node in overview.nodes] == [[Code.MIXED_FAMILY]] * 3


def test_a_node_whose_partners_of_the_other_family_are_gone_is_well() -> None:
    views = [
        make_view("one", endpoint=V4),
        make_view("two", endpoint=V4),
        make_view("gone", endpoint=V6, last_echo_age_s=99.0),
    ]
    overview = judge(views, gone=State.DISCONNECTED)
    assert [node.state for node in overview.nodes] == [State.CONNECTED, State.CONNECTED, State.DISCONNECTED]


def test_a_node_that_is_degraded_for_another_reason_keeps_that_reason_beside_this_one() -> None:
    overview = judge([make_view("one", endpoint=V4), make_view("two", endpoint=V6)], one=State.DEGRADED)
    assert overview.nodes[0].reason.startswith("by its own word degraded; it is on IPv4 outside")


def test_an_issue_that_many_machines_share_is_listed_once_with_all_of_them() -> None:
    shared = list_issues(judge([make_view("one", endpoint=V4), make_view("two", endpoint=V6)]))
    assert [(item.issue.code, item.machines) for item in shared] == [(Code.MIXED_FAMILY, ["hub-1", "one", "two"])]
