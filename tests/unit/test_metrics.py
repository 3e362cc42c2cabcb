"""What Prometheus sees of a node and of a hub."""

import re

import pytest

from spokewire.hub.metrics import HubCollector
from spokewire.network.evidence import ECHO_FRESH_S
from spokewire.network.status import HubStatus, NodeStatus, Outcome, State
from spokewire.node.metrics import MAX_PEERS, NodeCollector, Page
from tests.builders import NOW, make_hub_status, make_node_status, make_peer, make_view
from tests.exposed import (
    FIX,
    ISSUE,
    Family,
    collect,
    exposed,
    hub_page,
    node_page,
    whole_hub_status,
    whole_node_status,
    whole_peer,
)


class Told:
    """A status that a test changes, and how often it was asked for."""

    def __init__(self, status: NodeStatus) -> None:
        self.status, self.asked = status, 0

    def __call__(self) -> NodeStatus:
        self.asked += 1
        return self.status


@pytest.mark.parametrize(("name", "family"), exposed().items())
def test_every_metric_is_named_and_explained_as_prometheus_asks(name: str, family: Family) -> None:
    assert re.fullmatch(r"(spokewire_(node|hub|relay|build)|process)(_[a-z]+)+", name)
    assert family.help.endswith(".")
    assert family.kind == ("counter" if name.endswith("_total") else "gauge")
    assert not re.search(r"_(ms|milliseconds|pct|percent|gb|kb|age|rtt)(_total)?$", name), "base units only"


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("spokewire_node_state", {"state": "connected"}, 1.0),
        ("spokewire_node_state", {"state": "degraded"}, 0.0),
        ("spokewire_node_peers", {"state": "connected"}, 1.0),
        ("spokewire_node_peers", {"state": "disconnected"}, 0.0),
        ("spokewire_node_issues", {"code": "api-unreachable"}, 1.0),
        ("spokewire_node_fixes_total", {"code": "device-unavailable", "outcome": "cured"}, 1.0),
        ("spokewire_node_fixes_total", {"code": "device-unavailable", "outcome": "no-change"}, 0.0),
        ("spokewire_node_fixes_total", {"code": "api-unreachable", "outcome": "failed"}, 0.0),
        ("spokewire_node_roster_age_seconds", {}, 3.0),
        ("spokewire_node_loop_age_seconds", {"loop": "probe"}, 0.2),
        ("spokewire_node_wireguard_peers", {}, 2.0),
        ("spokewire_node_disk_free_bytes", {}, 1e9),
        ("spokewire_node_hub_rtt_seconds", {"hub": "hub-1"}, 0.0015),
        ("spokewire_node_hub_state", {"hub": "hub-1", "state": "connected"}, 1.0),
        ("spokewire_node_peer_loss_ratio", {"peer": "node-2", "window": "10s"}, 0.1),
        ("spokewire_node_peer_loss_ratio", {"peer": "node-2", "window": "1m"}, 0.05),
        ("spokewire_node_peer_loss_ratio", {"peer": "node-2", "window": "10m"}, 0.01),
        ("spokewire_node_peer_one_way_loss_ratio", {"peer": "node-2", "direction": "out"}, 0.04),
        ("spokewire_node_peer_one_way_loss_ratio", {"peer": "node-2", "direction": "back"}, 0.02),
        ("spokewire_node_peer_echo_age_seconds", {"peer": "node-2"}, 0.5),
        ("spokewire_node_peer_handshake_age_seconds", {"peer": "node-2"}, 30.0),
        ("spokewire_node_peer_receive_bytes_total", {"peer": "node-2"}, 1000.0),
        ("spokewire_node_peer_transmit_bytes_total", {"peer": "node-2"}, 2000.0),
        ("spokewire_build_info", {"role": "node", "name": "node-1", "network": "demo", "version": "0"}, 1.0),
    ],
)
def test_a_node_tells_what_it_knows_in_base_units(name: str, labels: dict[str, str], value: float) -> None:
    assert node_page(whole_node_status())[name].value(**labels) == value


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("spokewire_hub_state", {"state": "connected"}, 1.0),
        ("spokewire_hub_settings_version", {}, 1.0),
        ("spokewire_hub_followers", {}, 3.0),
        ("spokewire_hub_nodes", {}, 1.0),
        ("spokewire_hub_issues", {"code": "api-unreachable"}, 1.0),
        ("spokewire_hub_node_connected", {"node": "node-1"}, 1.0),
        ("spokewire_hub_node_following", {"node": "node-1"}, 1.0),
        ("spokewire_hub_node_report_age_seconds", {"node": "node-1"}, 1.0),
        ("spokewire_hub_node_receive_bytes_total", {"node": "node-1"}, 1000.0),
        ("spokewire_hub_node_transmit_bytes_total", {"node": "node-1"}, 2000.0),
        ("spokewire_relay_labels", {}, 4.0),
        ("spokewire_relay_handshakes_forwarded_total", {}, 9.0),
        ("spokewire_relay_announcements_total", {}, 5.0),
        ("spokewire_relay_trunk_labels", {"hub": "hub-2"}, 3.0),
        ("spokewire_relay_trunk_handshakes_total", {"hub": "hub-2"}, 7.0),
        ("spokewire_relay_handshakes_refused_total", {"reason": "rate"}, 2.0),
        ("spokewire_relay_handshakes_refused_total", {"reason": "flood"}, 0.0),
        ("spokewire_build_info", {"role": "hub", "name": "hub-1", "network": "demo", "version": "0"}, 1.0),
    ],
)
def test_a_hub_tells_what_it_knows(name: str, labels: dict[str, str], value: float) -> None:
    assert hub_page(whole_hub_status())[name].value(**labels) == value


@pytest.mark.parametrize(
    ("agent", "echo_age_s", "connected"),
    [
        (True, 0.0, 1.0),
        (True, ECHO_FRESH_S, 1.0),
        (True, ECHO_FRESH_S + 0.1, 0.0),
        (True, None, 0.0),
        (False, None, None),
    ],
)
def test_a_hub_says_that_a_node_is_connected_only_while_its_echoes_arrive(
    agent: bool, echo_age_s: float | None, connected: float | None
) -> None:
    """A node that was never heard is not connected either; a stock WireGuard client has no echoes to be judged by."""
    page = hub_page(make_hub_status(nodes=[make_view("node-1", agent=agent, last_echo_age_s=echo_age_s)]))
    assert page["spokewire_hub_node_connected"].value(node="node-1") == connected


def test_what_is_not_known_has_no_series_rather_than_a_wrong_value() -> None:
    page = node_page(make_node_status(hubs=[make_peer("hub-1")], peers=[make_peer("node-2")]))
    silent = {name for name, family in page.items() if not family.series}
    for role in ("hub", "peer"):
        assert {
            f"spokewire_node_{role}_{what}" for what in ("rtt_seconds", "loss_ratio", "receive_bytes_total")
        } <= silent
    assert {"spokewire_node_roster_age_seconds", "spokewire_node_wireguard_peers"} <= silent
    assert set(page) == set(node_page(whole_node_status())), "the names are there all the same"
    assert set(hub_page(make_hub_status())) == set(hub_page(whole_hub_status()))


def test_the_page_of_a_node_stays_small_in_a_large_network_and_shows_whoever_is_not_well() -> None:
    ill = {"node-0777": State.DISCONNECTED, "node-0999": State.DEGRADED}
    peers = [whole_peer(name, ill.get(name, State.CONNECTED)) for name in (f"node-{n:04}" for n in range(1000))]
    page = node_page(whole_node_status(peers=peers))
    shown = {dict(labels)["peer"] for labels in page["spokewire_node_peer_rtt_seconds"].series}
    assert len(shown) == MAX_PEERS
    assert set(ill) <= shown
    assert page["spokewire_node_peers"].value(state="connected") == 998
    assert page["spokewire_node_peers"].value(state="disconnected") == 1
    assert sum(len(family.series) for family in page.values()) < 2000


def test_the_page_of_a_hub_stays_bounded_and_shows_whoever_is_silent() -> None:
    nodes = [make_view(f"node-{n:04}", last_echo_age_s=99.0 if n == 2900 else 1.0) for n in range(3000)]
    page = hub_page(make_hub_status(nodes=nodes))
    assert page["spokewire_hub_node_connected"].value(node="node-2900") == 0.0
    assert page["spokewire_hub_nodes"].value() == 3000
    assert sum(len(family.series) for family in page.values()) < 8000


def test_a_fix_is_counted_once_however_often_it_is_seen_and_after_it_has_left_the_list() -> None:
    told = Told(whole_node_status(issues=[ISSUE], fixes=[]))
    collector = NodeCollector(told)

    def counted() -> dict[str, float | None]:
        family = collect(collector)["spokewire_node_fixes_total"]
        return {outcome: family.value(code=ISSUE.code, outcome=outcome) for outcome in ("cured", "failed", "no-change")}

    assert counted() == {"cured": 0, "failed": 0, "no-change": 0}, (
        "zero before the first, so that the first is an increase"
    )
    first = FIX.model_copy(update={"code": ISSUE.code, "outcome": Outcome.NO_CHANGE})
    second = first.model_copy(update={"at": NOW + 1, "outcome": Outcome.FAILED})
    told.status = whole_node_status(fixes=[first])
    assert [counted(), counted()] == [{"cured": 0, "failed": 0, "no-change": 1}] * 2
    told.status = whole_node_status(fixes=[first, second])
    assert counted() == {"cured": 0, "failed": 1, "no-change": 1}
    told.status = whole_node_status(issues=[], fixes=[])
    assert counted() == {"cured": 0, "failed": 1, "no-change": 1}


def test_a_flood_of_questions_makes_one_page_a_second() -> None:
    told, clock = Told(make_node_status()), [100.0]
    page = Page(told, lambda: clock[0])
    assert {page.read() for _ in range(1000)} == {page.read()}
    assert told.asked == 1
    told.status = make_node_status(state=State.DISCONNECTED)
    clock[0] += 0.9
    assert b'spokewire_node_state{state="connected"} 1.0' in page.read()
    clock[0] += 0.1
    assert b'spokewire_node_state{state="disconnected"} 1.0' in page.read()
    assert told.asked == 2


def test_a_hub_without_a_relay_has_no_series_of_one() -> None:
    status: HubStatus = make_hub_status()
    page = collect(HubCollector(lambda: status, lambda: 0))
    assert [page[name].series for name in page if name.startswith("spokewire_relay")] == [{}] * 6
