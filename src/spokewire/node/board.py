"""What the node knows of itself at this moment: every loop writes its part, the status server and the reports read all of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from spokewire.errors import SpokewireError
from spokewire.host import clock, files
from spokewire.host.identity import Identity
from spokewire.host.logs import log
from spokewire.network.health import Health, judge_node
from spokewire.network.names import WireGuardKey
from spokewire.network.roster import Roster
from spokewire.network.status import Issue, NodeStatus, PeerStatus, State, WireGuardStatus
from spokewire.network.topology import path_to
from spokewire.node.probe import Watched

_VERSION = version("spokewire")


@dataclass
class Board:
    """The parts of a node's status. Before the identity is known, only that it is starting."""

    state_folder: Path
    identity: Identity | None = None
    roster: Roster | None = None
    watched: dict[str, Watched] = field(default_factory=dict)
    settings_version: int = 0
    """Of the settings that are in force on this machine."""
    wireguard: Callable[[], WireGuardStatus | None] = lambda: None
    handshake_age_s: Callable[[WireGuardKey], float | None] = lambda _: None
    transferred: Callable[[WireGuardKey], tuple[int, int] | None] = lambda _: None
    """Bytes received from and sent to a WireGuard peer."""
    issues: dict[str, Issue] = field(default_factory=dict)
    """By the loop that found it."""
    started_at: float = field(default_factory=clock.wall)
    _health: Health = field(default_factory=lambda: Health(State.STARTING, "the agent is starting"))
    _since: float = field(default_factory=clock.wall)

    def report(self, loop: str) -> Callable[[SpokewireError | None], None]:
        """Make the callback by which a loop tells how it goes: an error is an open issue until the loop works again."""

        def note(error: SpokewireError | None) -> None:
            if error is None:
                self.issues.pop(loop, None)
                return
            before = self.issues.get(loop)
            since = before.since if before is not None and before.code == error.code else clock.wall()
            self.issues[loop] = Issue(code=error.code, text=error.message, hint=error.hint, since=since)

        return note

    def status(self) -> NodeStatus:
        """The whole status, as /status shows it."""
        hubs, peers = self._look()
        blocking = self.issues.get("reconcile")
        health = judge_node(hubs, peers, "" if blocking is None else blocking.text)
        if health.state is not self._health.state:
            self._since = clock.wall()
            log.info("state changed", state=health.state, reason=health.reason)
        self._health = health
        identity, plan = self.identity, None if self.roster is None else self.roster.plan
        number = None if identity is None else identity.token.grant.number
        if plan is None or number is None or not plan.holds(number):
            plan, number = None, None
        return NodeStatus(
            node="" if identity is None else identity.token.grant.name,
            network="" if identity is None else identity.token.grant.network_name,
            overlay_ip=None if plan is None or number is None else str(plan.address(number)),
            overlay_ip6=None if plan is None or number is None else str(plan.address6(number)),
            state=health.state,
            reason=health.reason,
            since=self._since,
            wg=self.wireguard(),
            hubs=hubs,
            peers=peers,
            issues=list(self.issues.values()),
            settings_version=self.settings_version,
            disk_free_gb=round(files.free_gigabytes(self.state_folder), 3),
            time=clock.wall(),
            started_at=self.started_at,
            version=_VERSION,
        )

    def _look(self) -> tuple[list[PeerStatus], list[PeerStatus]]:
        if self.roster is None or self.roster.plan is None:
            return [], []
        now, wall, path = clock.monotonic(), clock.wall(), path_to(self.roster, clock.wall())
        hubs: list[PeerStatus] = []
        peers: list[PeerStatus] = []
        for member in self.roster.members(wall):
            watched = self.watched.get(str(self.roster.plan.address(member.grant.number)))
            if watched is None:
                continue
            is_hub = member.grant.role == "hub"
            rtt_ms, loss_pct = watched.window.rtt_ms(), watched.window.loss_pct(now)
            rx_bytes, tx_bytes = self.transferred(WireGuardKey(member.record.wireguard_key)) or (None, None)
            status = PeerStatus(
                name=watched.name,
                overlay_ip=watched.address,
                path="direct" if is_hub else path,
                state=watched.health.state,
                reason=watched.health.reason,
                since=watched.since,
                rtt_ms=None if rtt_ms is None else round(rtt_ms, 3),
                loss_pct=None if loss_pct is None else round(loss_pct, 1),
                last_echo_age_s=_rounded(watched.window.last_answer_age_s(now)),
                last_handshake_age_s=_rounded(self.handshake_age_s(WireGuardKey(member.record.wireguard_key))),
                rx_bytes=rx_bytes,
                tx_bytes=tx_bytes,
            )
            (hubs if is_hub else peers).append(status)
        return hubs, peers


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
