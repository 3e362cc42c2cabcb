"""What is observed: the shapes that a node's /status, a hub's API and `spokewire status --json` share.

Ages and round trips are numbers with their unit in the name; None means never, or not known.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class State(StrEnum):
    """Whether echoes come back: the only health there is."""

    STARTING = "starting"
    CONNECTED = "connected"
    DEGRADED = "degraded"
    DISCONNECTED = "disconnected"


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Issue(_Shape):
    """Something wrong on a machine, with its code, a sentence, and when it began (seconds since 1970)."""

    code: str
    text: str
    hint: str = ""
    since: float
    subject: str = ""
    """The machine, loop or thing that it is about; "" for the machine as a whole."""
    tried: list[str] = Field(default_factory=list)
    """What was tried against it, as sentences, oldest first."""


class Outcome(StrEnum):
    """What looking again showed after a fix."""

    CURED = "cured"
    NO_CHANGE = "no change"
    FAILED = "failed"
    """It could not be carried out."""


class Fix(_Shape):
    """One attempt to cure an issue: its code and subject, when (seconds since 1970), and what came of it."""

    code: str
    subject: str = ""
    at: float
    outcome: Outcome
    text: str


class PeerStatus(_Shape):
    """How this node sees another machine, through the tunnel."""

    name: str
    overlay_ip: str
    path: str
    """How packets get there: "via hub-1", or "direct"."""
    path_reason: str = ""
    """Why this path and no other; "" where there is no choice."""
    path_since: float | None = None
    """When packets began to take it, in seconds since 1970; None where there is no choice."""
    state: State
    reason: str
    since: float
    """When the state began, in seconds since 1970."""
    rtt_ms: float | None = None
    """Median round trip of the last ten seconds."""
    loss_pct: float | None = None
    """Echoes of the last ten seconds that did not come back."""
    loss_1m_pct: float | None = None
    loss_10m_pct: float | None = None
    lost_out_pct: float | None = None
    """Echoes that were lost on the way there."""
    lost_back_pct: float | None = None
    """Echoes that arrived there, and whose answers were lost on the way back."""
    last_echo_age_s: float | None = None
    last_handshake_age_s: float | None = None
    """None where the other machine is no WireGuard peer of ours, as in routed mode."""
    rx_bytes: int | None = None
    """What WireGuard received from this peer since it was added; None where it is no WireGuard peer of ours."""
    tx_bytes: int | None = None


class WireGuardStatus(_Shape):
    """The WireGuard interface, in the field names of the first attempt's status page."""

    interface: str
    peer_count: int
    max_last_handshake_sec: float | None = None
    device: str = ""
    """"kernel" or "wireguard-go"; empty while there is none."""


class NodeStatus(_Shape):
    """A node's own status: GET /status on port 8000. Public, so without secrets and without anybody's endpoint."""

    node: str
    network: str
    overlay_ip: str | None = None
    overlay_ip6: str | None = None
    state: State
    reason: str
    since: float
    wg: WireGuardStatus | None = None
    hubs: list[PeerStatus] = Field(default_factory=list)
    peers: list[PeerStatus] = Field(default_factory=list)
    issues: list[Issue] = Field(default_factory=list)
    fixes: list[Fix] = Field(default_factory=list)
    """The newest attempts to cure something, oldest first."""
    settings_version: int = 0
    roster_age_s: float | None = None
    """Seconds since a hub last confirmed the roster; None: not since the start."""
    loops: dict[str, float] = Field(default_factory=dict)
    """By the loop's name, the seconds since it last turned."""
    disk_free_gb: float
    time: float
    started_at: float
    version: str


class HubView(_Shape):
    """What a hub itself sees of one node: evidence that needs no report."""

    name: str
    overlay_ip: str
    agent: bool = True
    """Whether our agent runs there; a stock WireGuard client answers no echoes."""
    last_echo_age_s: float | None = None
    last_handshake_age_s: float | None = None
    rx_bytes: int | None = None
    """What WireGuard received from it since it was added as a peer; sealed traffic that is only switched does not count."""
    tx_bytes: int | None = None
    endpoint: str | None = None
    report: str | None = None
    """The node's newest signed report (a JWS), to be verified by the reader."""
    report_age_s: float | None = None
    api_connected: bool = False
    """Whether the node holds a roster stream open."""


class TrunkStatus(_Shape):
    """What passes between a sealed relay and another hub, for nodes of which each hub hears one."""

    hub: str
    endpoints: list[str] = Field(default_factory=list)
    """Where the other hub is; none while its name cannot be resolved, or another machine is there."""
    labels: int = 0
    """Labels that lead through it: it is in use while there are some."""
    handshakes: int = 0
    """That left by it or came by it."""


class RelayStatus(_Shape):
    """A sealed relay in numbers since its daemon started."""

    labels: int
    forwarded: int
    """Handshakes that were switched; data packets never reach the daemon."""
    refused: dict[str, int] = Field(default_factory=dict)
    """Handshakes that were not, by reason."""
    announced: int = 0
    """Announcements whose label was installed, or renewed."""
    trunks: list[TrunkStatus] = Field(default_factory=list)
    """One for each other hub."""


class HubStatus(_Shape):
    """GET /v1/status: all that a hub knows."""

    name: str
    network: str
    state: State
    reason: str
    since: float
    overlay_ip: str
    settings_version: int
    wg: WireGuardStatus | None = None
    relay: RelayStatus | None = None
    """None in routed mode."""
    issues: list[Issue] = Field(default_factory=list)
    nodes: list[HubView] = Field(default_factory=list)
    time: float
    started_at: float
    version: str
