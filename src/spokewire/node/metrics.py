"""The node's metrics, in one place: docs/reference/metrics.md says what each means.

The page stays small however large the network: counts go over all peers, series of their own get every hub and at most `MAX_PEERS` peers.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from spokewire.api.exposition import add_state, begin_states, count_issues, describe_build, describe_process
from spokewire.network.status import NodeStatus, Outcome, PeerStatus, State

MAX_PEERS = 100
"""Peers with series of their own: enough to show every peer of most networks, and 1,000 nodes still make 100,000 peers and not a million."""
MAX_HUBS = 16
"""No network has more; a roster that says so must not make the page grow."""
KEEP_S = 1.0
"""The page is made at most once a second, whoever asks: a flood costs no more than one patient Prometheus."""
_WINDOWS: dict[str, Callable[[PeerStatus], float | None]] = {
    "10s": lambda seen: seen.loss_pct,
    "1m": lambda seen: seen.loss_1m_pct,
    "10m": lambda seen: seen.loss_10m_pct,
}
_DIRECTIONS: dict[str, Callable[[PeerStatus], float | None]] = {
    "out": lambda seen: seen.lost_out_pct,
    "back": lambda seen: seen.lost_back_pct,
}


@dataclass(frozen=True)
class _Measure:
    """One number about another machine, without a label of its own; None where it is not known."""

    family: type[GaugeMetricFamily | CounterMetricFamily]
    name: str
    text: str
    read: Callable[[PeerStatus], float | None]


_MEASURES = (
    _Measure(
        GaugeMetricFamily,
        "rtt_seconds",
        "Median round trip of the last ten seconds.",
        lambda seen: None if seen.rtt_ms is None else seen.rtt_ms / 1000,
    ),
    _Measure(GaugeMetricFamily, "echo_age_seconds", "Since an echo last came back.", lambda seen: seen.last_echo_age_s),
    _Measure(
        GaugeMetricFamily,
        "handshake_age_seconds",
        "Since the last WireGuard handshake.",
        lambda seen: seen.last_handshake_age_s,
    ),
    _Measure(CounterMetricFamily, "receive_bytes", "Received by WireGuard from this peer.", lambda seen: seen.rx_bytes),
    _Measure(CounterMetricFamily, "transmit_bytes", "Sent by WireGuard to this peer.", lambda seen: seen.tx_bytes),
)


class NodeCollector(Collector):
    """Reads the node's status whenever a page is made."""

    def __init__(self, status: Callable[[], NodeStatus]) -> None:
        self._status = status
        self._fixes: Counter[tuple[str, Outcome]] = Counter()
        self._counted: set[tuple[str, str, float]] = set()
        """The fixes of the last status, which are counted already."""
        self._codes: set[str] = set()
        """Codes that ever needed a fix; each has a series for every outcome, so that the first fix is an increase too."""

    def collect(self) -> Iterator[Metric]:
        """One family for each thing that a node knows; a family without a series is there too, so that its name is known."""
        status = self._status()
        yield describe_build("node", status.node, status.network, status.version)
        yield from self._collect_own(status)
        yield from _collect_others("hub", sorted(status.hubs, key=lambda hub: hub.name)[:MAX_HUBS])
        yield from _collect_others("peer", choose_shown(status.peers))
        yield from describe_process()

    def _collect_own(self, status: NodeStatus) -> Iterator[Metric]:
        state = begin_states("spokewire_node_state", "1 for the state that the node is in.")
        add_state(state, [], status.state)
        yield state
        peers = GaugeMetricFamily("spokewire_node_peers", "Peers that are watched, by state.", labels=["state"])
        counts = Counter(peer.state for peer in status.peers)
        for known in State:
            peers.add_metric([known], counts[known])
        yield peers
        yield count_issues("spokewire_node_issues", status.issues)
        yield self._count_fixes(status)
        yield GaugeMetricFamily(
            "spokewire_node_settings_version",
            "The version of the network's settings that is in force.",
            value=status.settings_version,
        )
        yield _gauge("spokewire_node_roster_age_seconds", "Since a hub last confirmed the roster.", status.roster_age_s)
        loops = GaugeMetricFamily("spokewire_node_loop_age_seconds", "Since a loop last turned.", labels=["loop"])
        for name, age_s in status.loops.items():
            loops.add_metric([name], age_s)
        yield loops
        yield _gauge(
            "spokewire_node_wireguard_peers",
            "Peers of the WireGuard interface.",
            None if status.wg is None else status.wg.peer_count,
        )
        yield GaugeMetricFamily(
            "spokewire_node_disk_free_bytes",
            "Free space where the node keeps its state.",
            value=status.disk_free_gb * 1e9,
        )

    def _count_fixes(self, status: NodeStatus) -> Metric:
        """Count each fix once, however long the status goes on listing it."""
        listed = {(fix.code, fix.subject, fix.at): fix.outcome for fix in status.fixes}
        for key, outcome in listed.items():
            if key not in self._counted:
                self._fixes[key[0], outcome] += 1
        self._counted = set(listed)
        self._codes |= {issue.code for issue in status.issues} | {code for code, _, _ in listed}
        family = CounterMetricFamily(
            "spokewire_node_fixes", "Attempts to cure an issue, by what came of them.", labels=["code", "outcome"]
        )
        for code in sorted(self._codes):
            for outcome in Outcome:
                family.add_metric([code, outcome.replace(" ", "-")], self._fixes[code, outcome])
        return family


class Page:
    """The page that Prometheus reads."""

    def __init__(self, status: Callable[[], NodeStatus], monotonic: Callable[[], float]) -> None:
        self._collector = NodeCollector(status)
        self._monotonic = monotonic
        self._made: tuple[float, bytes] | None = None

    def read(self) -> bytes:
        """The page in Prometheus' text format, at most a second old."""
        now = self._monotonic()
        if self._made is None or now - self._made[0] >= KEEP_S:
            self._made = now, generate_latest(self._collector)
        return self._made[1]


def choose_shown(peers: Iterable[PeerStatus]) -> list[PeerStatus]:
    """The peers that get series of their own: those that are not well before those that are, then by name."""
    return sorted(peers, key=lambda peer: (peer.state is State.CONNECTED, peer.name))[:MAX_PEERS]


def _collect_others(role: str, seen: list[PeerStatus]) -> Iterator[Metric]:
    """What a node knows of its hubs or of its peers: the same families, under names of their own."""
    prefix = f"spokewire_node_{role}"
    state = begin_states(f"{prefix}_state", f"1 for the state that the {role} is in, as this node sees it.", [role])
    for other in seen:
        add_state(state, [other.name], other.state)
    yield state
    for measure in _MEASURES:
        family = measure.family(f"{prefix}_{measure.name}", measure.text, labels=[role])
        for other in seen:
            _add(family, [other.name], measure.read(other))
        yield family
    for name, text, label, readers in (
        ("loss_ratio", "Share of the echoes that did not come back, by window.", "window", _WINDOWS),
        ("one_way_loss_ratio", "Share of the echoes lost on one of the two ways.", "direction", _DIRECTIONS),
    ):
        ratio = GaugeMetricFamily(f"{prefix}_{name}", text, labels=[role, label])
        for other in seen:
            for value, read in readers.items():
                percent = read(other)
                _add(ratio, [other.name, value], None if percent is None else percent / 100)
        yield ratio


def _gauge(name: str, text: str, value: float | None) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[])
    _add(family, [], value)
    return family


def _add(family: GaugeMetricFamily | CounterMetricFamily, labels: list[str], value: float | None) -> None:
    if value is not None:
        family.add_metric(labels, value)
