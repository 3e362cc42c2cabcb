"""What the /metrics pages of both daemons share. Names and units follow Prometheus' conventions: base units, spelled out."""

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric

from spokewire.network.status import Issue, State

_process = ProcessCollector(registry=None)


def describe_build(role: str, name: str, network: str, version: str) -> Metric:
    """Who answers, and which version of ours it runs."""
    family = GaugeMetricFamily(
        "spokewire_build_info",
        "Always 1: who answers and which version it runs.",
        labels=["role", "name", "network", "version"],
    )
    family.add_metric([role, name, network, version], 1.0)
    return family


def begin_states(name: str, text: str, labels: Sequence[str] = ()) -> GaugeMetricFamily:
    """Begin a family of states; `add_state` fills it."""
    return GaugeMetricFamily(name, text, labels=[*labels, "state"])


def add_state(family: GaugeMetricFamily, labels: Sequence[str], state: State) -> None:
    """Add one thing's state: a series for each state there is, 1 for the one that it is in, so that a change never ends a series."""
    for known in State:
        family.add_metric([*labels, known], float(known is state))


def count_issues(name: str, issues: Iterable[Issue]) -> Metric:
    """Open issues by code. Codes are a short list of our own, so the family stays small."""
    family = GaugeMetricFamily(name, "Open issues, by code.", labels=["code"])
    codes = [issue.code for issue in issues]
    for code in sorted(set(codes)):
        family.add_metric([code], codes.count(code))
    return family


def describe_process() -> Iterator[Metric]:
    """Memory, processor time and files of this daemon, under the names that every Prometheus client uses."""
    yield from _process.collect()
