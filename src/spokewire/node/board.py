"""What the node knows of itself at this moment: every loop writes its part, the status server and the reports read all of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from spokewire.errors import SpokewireError
from spokewire.host import clock, files
from spokewire.host.identity import Identity
from spokewire.host.logs import log
from spokewire.host.turns import Turns
from spokewire.network.events import EventCode, SubjectKind
from spokewire.network.health import Health, judge_node
from spokewire.network.names import WireGuardKey
from spokewire.network.roster import Roster
from spokewire.network.status import Fix, Issue, NodeStatus, PeerStatus, State, WireGuardStatus
from spokewire.node.watched import Watched

_VERSION = version("spokewire")

NoteChange = Callable[[float, str, SubjectKind, State, State, str], None]
"""The history's: when (wall), who, what it is to us, state before and after, reason."""

NoteEvent = Callable[[float, str, str, str], None]
"""The history's: when (wall), code, subject, text."""


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
    find_path: Callable[[str, WireGuardKey], tuple[str, str, float | None]] = lambda _name, _key: ("none", "", None)
    """How packets get to another node, why so, and since when (wall time)."""
    fixes: Iterable[Fix] = ()
    history_problem: Callable[[], Issue | None] = lambda: None
    note_change: NoteChange = lambda *_: None
    note_event: NoteEvent = lambda *_: None
    issues: dict[str, Issue] = field(default_factory=dict)
    """By the loop that found it."""
    roster_age_s: Callable[[], float | None] = lambda: None
    started_at: float = field(default_factory=clock.wall)
    turns: Turns = field(default_factory=Turns)
    _health: Health = field(default_factory=lambda: Health(State.STARTING, "the agent is starting"))
    _since: float = field(default_factory=clock.wall)

    def report(self, loop: str, *, turns: bool = True) -> Callable[[SpokewireError | None], None]:
        """Make the callback by which a loop tells how it goes: an error is an open issue until the loop works again.

        A loop that waits for news, which may never come, is not one that `turns`.
        """

        def note(error: SpokewireError | None) -> None:
            if turns:
                self.turns.note(loop)
            if error is None:
                self.issues.pop(loop, None)
                return
            before = self.issues.get(loop)
            since = before.since if before is not None and before.code == error.code else clock.wall()
            self.issues[loop] = Issue(code=error.code, text=error.message, hint=error.hint, since=since)

        return note

    def open_issue(self, key: str, issue: Issue) -> None:
        """Keep an issue under a name of its finder's, since when it began; the history is told of it once."""
        before = self.issues.get(key)
        if before is None or (before.code, before.subject) != (issue.code, issue.subject):
            self.close_issue(key)
            self.note_event(clock.wall(), EventCode.ISSUE_OPENED, issue.subject, issue.text)
            self.issues[key] = issue
        else:
            self.issues[key] = issue.model_copy(update={"since": before.since})

    def close_issue(self, key: str) -> None:
        """It is gone."""
        before = self.issues.pop(key, None)
        if before is not None:
            self.note_event(clock.wall(), EventCode.ISSUE_CLOSED, before.subject, before.text)

    def clock_set(self, jump_s: float) -> None:
        """The wall clock was set: what began before is told by the clock as it is now."""
        self.started_at, self._since = self.started_at + jump_s, self._since + jump_s
        self.issues = {
            key: issue.model_copy(update={"since": issue.since + jump_s}) for key, issue in self.issues.items()
        }

    def status(self) -> NodeStatus:
        """The whole status, as /status shows it."""
        hubs, peers, health = self.judge()
        problem = self.history_problem()
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
            issues=[
                *self.issues.values(),
                *([] if problem is None else [problem]),
                *self.turns.issues(),
            ],
            fixes=list(self.fixes),
            settings_version=self.settings_version,
            roster_age_s=_rounded(self.roster_age_s()),
            loops={loop: round(age_s, 1) for loop, age_s in self.turns.ages().items()},
            disk_free_gb=round(files.free_gigabytes(self.state_folder), 3),
            time=clock.wall(),
            started_at=self.started_at,
            version=_VERSION,
        )

    def judge(self) -> tuple[list[PeerStatus], list[PeerStatus], Health]:
        """Judge this node by its hubs and peers, as they are now; return all three."""
        hubs, peers = self._look()
        blocking = self.issues.get("reconcile")
        before, health = self._health, judge_node(hubs, peers, "" if blocking is None else blocking.text)
        self._health = health
        if health.state is not before.state:
            self._since = clock.wall()
            log.info("state changed", state=health.state, reason=health.reason)
            name = "" if self.identity is None else self.identity.token.grant.name
            self.note_change(self._since, name, "node", before.state, health.state, health.reason)
        return hubs, peers, health

    def _look(self) -> tuple[list[PeerStatus], list[PeerStatus]]:
        if self.roster is None or self.roster.plan is None:
            return [], []
        now, wall = clock.monotonic(), clock.wall()
        hubs: list[PeerStatus] = []
        peers: list[PeerStatus] = []
        for member in self.roster.members(wall):
            watched = self.watched.get(str(self.roster.plan.address(member.grant.number)))
            if watched is None:
                continue
            is_hub = member.grant.role == "hub"
            trail = watched.trail
            rtt_ms, last_10s, last_1m = trail.rtt_ms(now), trail.losses(now, 10.0), trail.losses(now, 60.0)
            key = WireGuardKey(member.record.wireguard_key)
            rx_bytes, tx_bytes = self.transferred(key) or (None, None)
            path, path_reason, path_since = ("direct", "", None) if is_hub else self.find_path(watched.name, key)
            status = PeerStatus(
                name=watched.name,
                overlay_ip=watched.address,
                path=path,
                path_reason=path_reason,
                path_since=path_since,
                state=watched.health.state,
                reason=watched.health.reason,
                since=watched.since,
                rtt_ms=None if rtt_ms is None else round(rtt_ms, 3),
                loss_pct=_rounded(last_10s.loss_pct),
                loss_1m_pct=_rounded(last_1m.loss_pct),
                loss_10m_pct=_rounded(trail.losses(now, 600.0).loss_pct),
                lost_out_pct=_rounded(last_1m.out_pct),
                lost_back_pct=_rounded(last_1m.back_pct),
                last_echo_age_s=_rounded(trail.last_answer_age_s(now)),
                last_handshake_age_s=_rounded(self.handshake_age_s(key)),
                rx_bytes=rx_bytes,
                tx_bytes=tx_bytes,
            )
            (hubs if is_hub else peers).append(status)
        return hubs, peers


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
