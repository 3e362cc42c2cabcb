"""Alert rules, runbooks, dashboard and the metrics reference, against each other and against what the daemons really expose."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from spokewire.network.spec import NetworkTable
from tests.docs.pages import REPOSITORY, headings, read, rows
from tests.exposed import (
    MONITORING,
    alerts,
    dashboard,
    dashboard_queries,
    exposed,
    hub_page,
    metric_names,
    node_page,
    used_names,
    whole_hub_status,
    whole_node_status,
)

RULES_TEST = REPOSITORY / "tests/prometheus/rules.test.yml"
UNITS = {
    "_seconds": "seconds",
    "_seconds_total": "seconds",
    "_bytes": "bytes",
    "_bytes_total": "bytes",
    "_ratio": "0 to 1",
}
SECTIONS = ["What it means", "What users notice", "How to look", "What to do", "How it ends"]
COMES_FROM_PROMETHEUS = {"instance", "network", "job"}


@pytest.mark.parametrize(
    ("heading", "page"), [("A node", node_page(whole_node_status())), ("A hub", hub_page(whole_hub_status()))]
)
def test_the_metrics_reference_has_every_metric_and_no_other(heading: str, page: dict[str, Any]) -> None:
    told = {
        cells[0].strip("`"): (cells[1], set(re.findall(r"`(\w+)`", cells[2])), cells[3])
        for above, cells in rows(read("docs/reference/metrics.md"))
        if above in (heading, "Both")
    }
    known = {name: (family.kind, family.labels, _unit(name)) for name, family in page.items()}
    assert told == known


def _unit(name: str) -> str:
    return next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")


def test_every_metric_that_an_alert_or_the_dashboard_needs_exists() -> None:
    assert len(used_names()) > 30
    assert used_names() - set(exposed()) == set()


@pytest.mark.parametrize(
    ("sources", "begins"),
    [(["node/main.py"], "One of the agent's loops"), (["hub/main.py", "hub/relaying.py"], "A hub has loops too")],
    ids=["node", "hub"],
)
def test_the_runbook_for_a_hung_loop_names_every_loop_that_is_watched_and_no_other(
    sources: list[str], begins: str
) -> None:
    code = "".join(read(f"src/spokewire/{source}") for source in sources)
    watched = set(re.findall(r"""note(?:\(|, )"([a-z ]+)"(?:\)|\s)""", code))
    line = next(line for line in read("docs/runbooks/loop-hung.md").splitlines() if line.startswith(begins))
    assert watched
    assert set(re.findall(r"`([a-z ]+)`", line.partition(" Of one")[0])) == watched


def test_every_label_that_an_alert_or_the_dashboard_needs_exists() -> None:
    """`instance`, `network` and `job` come from the scrape configuration."""
    known = {label for family in exposed().values() for label in family.labels} | COMES_FROM_PROMETHEUS
    queries = [(str(rule["alert"]), str(rule["expr"])) for rule in alerts()] + list(dashboard_queries())
    wrong = [f"{where}: {label}" for where, query in queries for label in _labels(query) if label not in known]
    assert wrong == []
    told = [label for rule in alerts() for text in rule["annotations"].values() for label in _told_labels(text)]
    assert set(told) - known == set()


def _labels(query: str) -> set[str]:
    selectors = re.findall(r"\{([^}]*)\}", query)
    matched = {label for selector in selectors for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector)}
    grouped = re.findall(r"\b(?:by|on|ignoring|group_left)\s*\(([^)]*)\)", query)
    return matched | {label.strip() for labels in grouped for label in labels.split(",") if label.strip()}


def _told_labels(text: str) -> set[str]:
    return set(re.findall(r"\$labels\.(\w+)", text))


def test_every_alert_has_a_page_that_says_what_to_do_and_every_page_an_alert() -> None:
    pages = {str(rule["annotations"]["runbook"]): str(rule["alert"]) for rule in alerts()}
    written = {str(page.relative_to(REPOSITORY)) for page in (REPOSITORY / "docs/runbooks").glob("*.md")}
    assert len(pages) == len(alerts())
    assert written - {"docs/runbooks/README.md"} == set(pages)
    for page, alert in pages.items():
        assert headings(read(page)) == [alert, *SECTIONS], page


def test_the_list_of_runbooks_gives_each_alert_with_its_severity() -> None:
    listed = {
        (cells[0].split("](")[0].strip("[`"), cells[1], f"docs/runbooks/{cells[0].split('](')[1].rstrip(')')}")
        for _, cells in rows(read("docs/runbooks/README.md"))
    }
    assert listed == {(rule["alert"], rule["labels"]["severity"], rule["annotations"]["runbook"]) for rule in alerts()}


def test_the_runbook_of_refusals_explains_every_reason_that_a_relay_gives() -> None:
    told = {cells[0].strip("`") for _, cells in rows(read("docs/runbooks/relay-refuses.md"))}
    refused = hub_page(whole_hub_status())["spokewire_relay_handshakes_refused_total"]
    assert told == {value for labels in refused.series for _, value in labels}


def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    found: dict[str, set[bool]] = {}
    for group in yaml.safe_load(RULES_TEST.read_text())["tests"]:
        for case in group["alert_rule_test"]:
            found.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert found == {rule["alert"]: {True, False} for rule in alerts()}


def test_the_dashboard_has_what_grafana_needs_to_import_it() -> None:
    board = dashboard()
    panels = board["panels"]
    assert board["schemaVersion"] >= 36
    assert board["uid"]
    assert board["id"] is None, "an id belongs to one Grafana only"
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    assert len({panel["id"] for panel in panels}) == len(panels) > 30
    for panel in panels:
        assert panel["title"]
        if panel["type"] != "row":
            targets = panel["targets"]
            sources = [panel["datasource"], *(target["datasource"] for target in targets)]
            assert {(source["type"], source["uid"]) for source in sources} == {("prometheus", "${datasource}")}
            assert len({target["refId"] for target in targets}) == len(targets) > 0
            assert panel["description"]


def test_no_panel_of_the_dashboard_hides_another() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for cell in (
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ):
            assert cell not in taken, f"{panel['title']} lies on {taken.get(cell)}"
            taken[cell] = panel["title"]


def test_the_dashboard_shows_every_metric_that_tells_of_health() -> None:
    shown = {name for _, query in dashboard_queries() for name in metric_names(query)}
    aside = {"process_virtual_memory_bytes", "process_open_fds", "process_max_fds", "process_start_time_seconds"}
    aside |= {"spokewire_node_hub_state", "spokewire_hub_node_handshake_age_seconds", "spokewire_node_wireguard_peers"}
    assert set(exposed()) - shown == aside


def test_the_example_configuration_has_the_jobs_and_labels_that_the_rules_need() -> None:
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    named = {job for rule in alerts() for job in re.findall(r'job="([^"]+)"', rule["expr"])}
    assert named == set(jobs)
    targets = [target for job in jobs.values() for target in job["static_configs"]]
    assert all(set(target["labels"]) == {"network", "instance"} for target in targets)
    assert all(NetworkTable(name=target["labels"]["network"]) for target in targets)
    assert [(MONITORING / Path(name)).is_file() for name in config["rule_files"]] == [True]
