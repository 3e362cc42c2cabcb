"""Prometheus' own tool about the rules, the example configuration and the dashboard's queries."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.exposed import MONITORING, alerts, dashboard_queries

pytestmark = pytest.mark.prometheus

RULES_TEST = Path(__file__).parent / "rules.test.yml"


def check(promtool: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([promtool, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_prometheus_accepts_the_rules_and_the_example_configuration(promtool: Path) -> None:
    for done in (
        check(promtool, "check", "rules", "--lint-fatal", MONITORING / "alerts.yml"),
        check(promtool, "check", "config", "--lint-fatal", MONITORING / "prometheus.yml"),
    ):
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SUCCESS" in done.stdout


def test_every_alert_fires_when_it_must_and_not_before(promtool: Path, tmp_path: Path) -> None:
    for path in (RULES_TEST, MONITORING / "alerts.yml"):
        shutil.copy(path, tmp_path)
    done = check(promtool, "test", "rules", tmp_path / RULES_TEST.name)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("too late", lambda text: text.replace("for: 30s", "for: 5m")),
        ("too early", lambda text: text.replace("for: 10m", "for: 9m")),
        ("for everybody", lambda text: text.replace('state="degraded"', 'state=~".*"').replace("> 0.05", ">= 0.05")),
    ],
)
def test_an_alert_that_fires_wrongly_would_be_found(
    promtool: Path, tmp_path: Path, what: str, change: Callable[[str], str]
) -> None:
    shutil.copy(RULES_TEST, tmp_path)
    original = (MONITORING / "alerts.yml").read_text()
    (tmp_path / "alerts.yml").write_text(change(original))
    assert change(original) != original
    done = check(promtool, "test", "rules", tmp_path / RULES_TEST.name)
    assert done.returncode != 0, what
    assert "FAILED" in done.stdout + done.stderr


def test_prometheus_understands_every_query_of_the_dashboard(promtool: Path, tmp_path: Path) -> None:
    queries = list(dashboard_queries())
    assert len(queries) > len(alerts())
    written = [{"record": f"panel:{number}", "expr": query} for number, (_, query) in enumerate(queries)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": written}]}))
    done = check(promtool, "check", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(queries)} rules found" in done.stdout
    path.write_text(yaml.safe_dump({"groups": [{"name": "wrong", "rules": [{"record": "x", "expr": "sum(up"}]}]}))
    assert check(promtool, "check", "rules", path).returncode != 0
