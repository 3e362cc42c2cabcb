"""What the daemons expose and what is made of it, as data: metric families, alert rules, dashboard queries."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from spokewire.hub.metrics import HubCollector
from spokewire.network.status import (
    Fix,
    HubStatus,
    Issue,
    NodeStatus,
    Outcome,
    PeerStatus,
    RelayStatus,
    State,
    TrunkStatus,
    WireGuardStatus,
)
from spokewire.node.metrics import NodeCollector
from tests.builders import NOW, make_hub_status, make_node_status, make_peer, make_view

MONITORING = Path(__file__).parents[1] / "monitoring"
_NAME = re.compile(r"\b(?:spokewire|process)_\w+")
_VARIABLES = {"$network": ".*", "$instance": ".*", "$__rate_interval": "5m"}
ISSUE = Issue(code="api-unreachable", text="The API of hub-1 does not answer.", since=NOW)
FIX = Fix(code="device-unavailable", subject="wg-demo", at=NOW, outcome=Outcome.CURED, text="It was made again.")


@dataclass(frozen=True)
class Family:
    """A metric family of a page: its type, its help, and every series with its value, by its labels."""

    kind: str
    help: str
    series: dict[tuple[tuple[str, str], ...], float]

    @property
    def labels(self) -> set[str]:
        """All labels that its series have."""
        return {name for labels in self.series for name, _ in labels}

    def value(self, **labels: str) -> float | None:
        """The value of one series; None if there is no such."""
        return self.series.get(tuple(sorted(labels.items())))


def parse_page(text: str) -> dict[str, Family]:
    """The families of a page, by the name that Prometheus knows."""
    found = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        series = {tuple(sorted(sample.labels.items())): sample.value for sample in family.samples}
        found[name] = Family(family.type, family.documentation, series)
    return found


def collect(collector: Collector) -> dict[str, Family]:
    """What a collector exposes."""
    return parse_page(generate_latest(collector).decode())


def node_page(status: NodeStatus) -> dict[str, Family]:
    """What a node exposes."""
    return collect(NodeCollector(lambda: status))


def hub_page(status: HubStatus) -> dict[str, Family]:
    """What a hub exposes."""
    return collect(HubCollector(lambda: status, lambda: 3))


def whole_peer(name: str, state: State = State.CONNECTED) -> PeerStatus:
    """Another machine of which everything is known."""
    return make_peer(
        name,
        state,
        rtt_ms=1.5,
        loss_pct=10.0,
        loss_1m_pct=5.0,
        loss_10m_pct=1.0,
        lost_out_pct=4.0,
        lost_back_pct=2.0,
        last_echo_age_s=0.5,
        last_handshake_age_s=30.0,
        rx_bytes=1000,
        tx_bytes=2000,
    )


def whole_node_status(**changes: Any) -> NodeStatus:
    """A node that knows everything of itself and others."""
    known: dict[str, Any] = {
        "hubs": [whole_peer("hub-1")],
        "peers": [whole_peer("node-2")],
        "issues": [ISSUE],
        "fixes": [FIX],
        "roster_age_s": 3.0,
        "loops": {"probe": 0.2},
        "wg": WireGuardStatus(interface="wg-demo", peer_count=2, device="kernel"),
    }
    return make_node_status(**(known | changes))


def whole_hub_status(**changes: Any) -> HubStatus:
    """A hub that knows everything of its nodes."""
    known: dict[str, Any] = {
        "nodes": [make_view("node-1", api_connected=True, rx_bytes=1000, tx_bytes=2000)],
        "relay": RelayStatus(
            labels=4,
            forwarded=9,
            refused={"rate": 2},
            announced=5,
            trunks=[TrunkStatus(hub="hub-2", endpoints=["203.0.113.2:51820"], labels=3, handshakes=7)],
        ),
        "issues": [ISSUE],
    }
    return make_hub_status(**(known | changes))


def exposed() -> dict[str, Family]:
    """Everything that nodes and hubs expose together; labels of both where a family is on both pages."""
    node, hub = node_page(whole_node_status()), hub_page(whole_hub_status())
    return node | hub


def alerts() -> list[dict[str, Any]]:
    """The alert rules."""
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    return [rule for group in rules["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    loaded: dict[str, Any] = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    return loaded


def dashboard_queries() -> Iterator[tuple[str, str]]:
    """Every query of the dashboard, with its panel's title; Grafana's variables are filled in."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"]
            for variable, value in _VARIABLES.items():
                query = query.replace(variable, value)
            yield panel["title"], query


def metric_names(query: str) -> set[str]:
    """The metrics of ours that a query names."""
    return set(_NAME.findall(query))


def used_names() -> set[str]:
    """Every metric of ours that an alert or the dashboard needs."""
    queries = [rule["expr"] for rule in alerts()] + [query for _, query in dashboard_queries()]
    variables = [variable.get("definition", "") for variable in dashboard()["templating"]["list"]]
    return {name for query in queries + variables for name in metric_names(query)}
