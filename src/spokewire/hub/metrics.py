"""The hub's metrics, in one place."""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from spokewire.network.status import HubStatus, State


class HubCollector(Collector):
    """Reads the hub's status whenever Prometheus asks."""

    def __init__(self, status: Callable[[], HubStatus], followers: Callable[[], int]) -> None:
        self._status = status
        self._followers = followers

    def collect(self) -> Iterator[Metric]:
        """One family for each thing that a hub knows."""
        status = self._status()
        state = GaugeMetricFamily("spokewire_hub_state", "1 for the state that the hub is in.", labels=["state"])
        for known in State:
            state.add_metric([known], float(status.state is known))
        yield state
        yield GaugeMetricFamily(
            "spokewire_hub_settings_version", "The version of the network's settings.", value=status.settings_version
        )
        yield GaugeMetricFamily("spokewire_hub_followers", "Open roster streams.", value=self._followers())
        yield GaugeMetricFamily("spokewire_hub_issues", "Open issues.", value=len(status.issues))
        if status.relay is not None:
            yield GaugeMetricFamily("spokewire_relay_labels", "Labels that are installed.", value=status.relay.labels)
            yield CounterMetricFamily(
                "spokewire_relay_handshakes_forwarded", "Handshakes that were switched.", value=status.relay.forwarded
            )
            refused = CounterMetricFamily(
                "spokewire_relay_handshakes_refused", "Handshakes that were not, by reason.", labels=["reason"]
            )
            for reason, count in status.relay.refused.items():
                refused.add_metric([reason], count)
            yield refused
        echo = GaugeMetricFamily(
            "spokewire_hub_node_echo_age_seconds", "Since a node's last echo to the hub.", labels=["node"]
        )
        handshake = GaugeMetricFamily(
            "spokewire_hub_node_handshake_age_seconds", "Since a node's last handshake with the hub.", labels=["node"]
        )
        for node in status.nodes:
            if node.last_echo_age_s is not None:
                echo.add_metric([node.name], node.last_echo_age_s)
            if node.last_handshake_age_s is not None:
                handshake.add_metric([node.name], node.last_handshake_age_s)
        yield echo
        yield handshake
