"""The hub's metrics, in one place: docs/reference/metrics.md says what each means."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from spokewire.api.exposition import add_state, begin_states, count_issues, describe_build, describe_process
from spokewire.network.evidence import ECHO_FRESH_S
from spokewire.network.status import HubStatus, HubView, RelayStatus
from spokewire.relay.switch import Refusal

MAX_NODES = 1000
"""Nodes with series of their own: as many as a hub is built for."""


def _hears(node: HubView) -> float | None:
    """Whether a node's echoes arrive; None for a stock WireGuard client, which sends none."""
    if not node.agent:
        return None
    return float(node.last_echo_age_s is not None and node.last_echo_age_s <= ECHO_FRESH_S)


_MEASURES: dict[str, tuple[str, Callable[[HubView], float | None]]] = {
    "echo_age_seconds": ("Since a node's last echo to the hub.", lambda node: node.last_echo_age_s),
    "handshake_age_seconds": ("Since a node's last handshake with the hub.", lambda node: node.last_handshake_age_s),
    "report_age_seconds": ("Since a node's newest report.", lambda node: node.report_age_s),
    "connected": ("1 while a node's echoes arrive at the hub.", _hears),
    "following": (
        "1 while a node holds a roster stream open.",
        lambda node: float(node.api_connected) if node.agent else None,
    ),
}
_COUNTS: dict[str, tuple[str, Callable[[HubView], float | None]]] = {
    "receive_bytes": ("Received by the hub's own WireGuard from a node.", lambda node: node.rx_bytes),
    "transmit_bytes": ("Sent by the hub's own WireGuard to a node.", lambda node: node.tx_bytes),
}


class HubCollector(Collector):
    """Reads the hub's status whenever Prometheus asks."""

    def __init__(self, status: Callable[[], HubStatus], followers: Callable[[], int]) -> None:
        self._status = status
        self._followers = followers

    def collect(self) -> Iterator[Metric]:
        """One family for each thing that a hub knows; a family without a series is there too, so that its name is known."""
        status = self._status()
        yield describe_build("hub", status.name, status.network, status.version)
        state = begin_states("spokewire_hub_state", "1 for the state that the hub is in.")
        add_state(state, [], status.state)
        yield state
        yield GaugeMetricFamily(
            "spokewire_hub_settings_version", "The version of the network's settings.", value=status.settings_version
        )
        yield GaugeMetricFamily("spokewire_hub_followers", "Open roster streams.", value=self._followers())
        yield GaugeMetricFamily("spokewire_hub_nodes", "Nodes of the roster.", value=len(status.nodes))
        yield count_issues("spokewire_hub_issues", status.issues)
        yield from _collect_relay(status.relay)
        yield from _collect_nodes(choose_shown(status.nodes))
        yield from describe_process()


def choose_shown(nodes: Iterable[HubView]) -> list[HubView]:
    """The nodes that get series of their own: those that it should hear and does not come first, then by name."""
    return sorted(nodes, key=lambda node: (_hears(node) != 0.0, node.name))[:MAX_NODES]


def _collect_relay(relay: RelayStatus | None) -> Iterator[Metric]:
    """A sealed relay; without series in routed mode, where the kernel routes."""
    labels = GaugeMetricFamily("spokewire_relay_labels", "Labels that are installed.", labels=[])
    forwarded = CounterMetricFamily("spokewire_relay_handshakes_forwarded", "Handshakes that were switched.", labels=[])
    refused = CounterMetricFamily(
        "spokewire_relay_handshakes_refused", "Handshakes that were not, by reason.", labels=["reason"]
    )
    announced = CounterMetricFamily(
        "spokewire_relay_announcements", "Announcements whose label was installed, or renewed.", labels=[]
    )
    trunk_labels = GaugeMetricFamily(
        "spokewire_relay_trunk_labels", "Labels that lead through the trunk to a hub.", labels=["hub"]
    )
    trunk_handshakes = CounterMetricFamily(
        "spokewire_relay_trunk_handshakes", "Handshakes that left by the trunk to a hub, or came by it.", labels=["hub"]
    )
    if relay is not None:
        labels.add_metric([], relay.labels)
        forwarded.add_metric([], relay.forwarded)
        announced.add_metric([], relay.announced)
        for reason in sorted({*Refusal, "flood", *relay.refused}):
            refused.add_metric([reason], relay.refused.get(reason, 0))
        for trunk in relay.trunks:
            trunk_labels.add_metric([trunk.hub], trunk.labels)
            trunk_handshakes.add_metric([trunk.hub], trunk.handshakes)
    yield from (labels, forwarded, refused, announced, trunk_labels, trunk_handshakes)


def _collect_nodes(nodes: list[HubView]) -> Iterator[Metric]:
    for family, measures in ((GaugeMetricFamily, _MEASURES), (CounterMetricFamily, _COUNTS)):
        for name, (text, read) in measures.items():
            metric = family(f"spokewire_hub_node_{name}", text, labels=["node"])
            for node in nodes:
                value = read(node)
                if value is not None:
                    metric.add_metric([node.name], value)
            yield metric
