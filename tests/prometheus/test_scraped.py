"""A real Prometheus on the hub of a lab network: it reads every page, knows every metric that rules and dashboard name, and raises the alarm."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from tests.exposed import MONITORING, dashboard_queries, used_names
from tests.lab.conftest import MakeNetwork
from tests.lab.world import Network, measured, nodes, wait_until

pytestmark = pytest.mark.prometheus

ADDRESS = "127.0.0.1:9090"
SERIES_LIMIT_S = 20.0
CUT = "table inet cut { chain o { type filter hook output priority 0; udp dport 51820 drop; }; }"
WHEN_SOMETHING_HAPPENED = {"spokewire_node_issues", "spokewire_hub_issues", "spokewire_node_fixes_total"}
"""These have no series while nothing was ever wrong."""
WITH_SEVERAL_HUBS = {"spokewire_relay_trunk_handshakes_total", "spokewire_relay_trunk_labels"}
"""These have one series for each other hub; here is one."""


@dataclass(frozen=True)
class Watcher:
    """The running Prometheus."""

    network: Network
    log: Path

    def ask(self, path: str) -> Any:
        """An answer of its API; None while it does not answer."""
        done = self.network.exec("hub-1", "curl", "-sg", f"http://{ADDRESS}/api/v1/{path}", expect=None)
        if done.status != 0:
            return None
        try:
            answer = json.loads(done.out)
        except ValueError:
            return None
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, query: str) -> list[Any]:
        found: list[Any] = self.ask(f"query?query={quote(query)}")["result"]
        return found

    def targets(self) -> dict[str, str]:
        """The health of every target, by instance."""
        active = (self.ask("targets?state=active") or {"activeTargets": []})["activeTargets"]
        return {target["labels"]["instance"]: target["health"] for target in active}

    def alerts(self) -> dict[tuple[str, str], str]:
        """Alerts that wait or fire: their state, by name and by the machine that they are about."""
        return {
            (alert["labels"]["alertname"], alert["labels"].get("node", alert["labels"]["instance"])): alert["state"]
            for alert in self.ask("alerts")["alerts"]
        }

    def wait_until_firing(self, wanted: set[tuple[str, str]], limit_s: float) -> None:
        def look() -> bool:
            found = self.alerts()
            return all(found.get(alert) == "firing" for alert in wanted)

        wait_until(look, limit_s, f"firing: {wanted}")


@pytest.fixture(scope="module")
def watcher(make_module_network: MakeNetwork, prometheus: Path) -> Watcher:
    """A network of a hub and two nodes, and on its hub a Prometheus with our own files; only the addresses and the waits are others."""
    network = make_module_network(nodes(count=2))
    network.deploy()
    places = {m["name"]: m["public_address"] for m in network.run("lab", "list", "--json").data}
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"}
    for job in config["scrape_configs"]:
        for target in job["static_configs"]:
            if job["job_name"] == "spokewire-nodes":
                target["targets"] = [f"{places[target['labels']['instance']]}:8000"]
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    for rule in rules["groups"][0]["rules"]:
        if "for" in rule:
            rule["for"] = "2s"
    (network.scratch / "alerts.yml").write_text(yaml.safe_dump(rules))
    (network.scratch / "prometheus.yml").write_text(yaml.safe_dump(config))
    log = network.background(
        "hub-1",
        str(prometheus),
        f"--config.file={network.scratch / 'prometheus.yml'}",
        f"--storage.tsdb.path={network.scratch / 'data'}",
        f"--web.listen-address={ADDRESS}",
        "--log.level=warn",
    )
    watcher = Watcher(network, log)
    begun = time.monotonic()
    wait_until(
        lambda: watcher.targets() == dict.fromkeys(("hub-1", "node-1", "node-2"), "up"), 30, "every target is up"
    )
    measured("start of Prometheus to every target up", time.monotonic() - begun)
    return watcher


def test_prometheus_knows_every_metric_that_the_rules_and_the_dashboard_name(watcher: Watcher) -> None:
    described = set(watcher.ask("metadata"))
    assert used_names() - described == set()
    expected = used_names() - WHEN_SOMETHING_HAPPENED - WITH_SEVERAL_HUBS
    deadline = time.monotonic() + SERIES_LIMIT_S

    def missing() -> set[str]:
        return expected - set(watcher.ask("label/__name__/values"))

    wait_until(lambda: not missing() or time.monotonic() > deadline, 2 * SERIES_LIMIT_S, "Prometheus answers")
    assert missing() == set()
    measured("metrics in use", len(used_names()), "names")


def test_prometheus_evaluates_every_rule_and_every_query_of_the_dashboard(watcher: Watcher) -> None:
    def rules() -> list[Any]:
        return [rule for group in watcher.ask("rules")["groups"] for rule in group["rules"]]

    wait_until(lambda: all(rule["health"] != "unknown" for rule in rules()), 20, "every rule was evaluated")
    assert {rule["name"]: rule["health"] for rule in rules() if rule["health"] != "ok"} == {}
    answered = {title: len(watcher.query(query)) for title, query in dashboard_queries()}
    assert {"Round trip to the hub", "Slowest round trips", "States", "Memory"} <= {t for t, n in answered.items() if n}


def test_nobody_is_alarmed_while_all_is_well_and_everybody_when_a_node_is_cut_off(watcher: Watcher) -> None:
    """One node loses its cable, so that nothing of it is heard; the other its tunnel only, so that it can say so itself."""
    network = watcher.network
    wait_until(lambda: not watcher.alerts(), 20, "nothing fires")
    begun = time.monotonic()
    network.run("lab", "link", "node-2", "down")
    network.exec("node-1", "nft", CUT)
    wanted = {
        ("SpokewireNodeDisconnected", "node-1"),
        ("SpokewireNodeSilent", "node-1"),
        ("SpokewireNodeSilent", "node-2"),
        ("SpokewireNodeUnreachable", "node-2"),
    }
    watcher.wait_until_firing(wanted, 30)
    measured("cut to every alert firing, of which 2 s are the rules' own wait", time.monotonic() - begun)
    assert ("SpokewireNodeUnreachable", "node-1") not in watcher.alerts()
    network.exec("node-1", "nft", "delete table inet cut")
    network.run("lab", "link", "node-2", "up")
    mended = time.monotonic()
    wait_until(lambda: not wanted & set(watcher.alerts()), 60, "the alerts end")
    measured("mended to no alert", time.monotonic() - mended)
