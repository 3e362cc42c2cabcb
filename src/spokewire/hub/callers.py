"""Those who call this hub: who is shut out of the tunnel though alive, and who is there twice."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from spokewire.errors import Code
from spokewire.host import clock
from spokewire.host.echo import EchoService
from spokewire.host.logs import log
from spokewire.hub.membership import Membership
from spokewire.hub.reports import Reports
from spokewire.network.clocks import Reading, find_jump_s, tell_jump
from spokewire.network.clones import describe_clone
from spokewire.network.documents import Member
from spokewire.network.handshakes import COUNT_S, Arrivals, Caller, choose_renewals, count_caller
from spokewire.network.health import Guest
from spokewire.network.names import WireGuardKey
from spokewire.network.status import Issue
from spokewire.wireguard.tunnel import Tunnel

STEP_S = 0.5
LATE_S = 1.0
"""When our own loop did not turn for so long, nobody's echoes were read: it is not they who were silent."""


@dataclass
class Callers:
    """Looks after every node that speaks to the hub's API."""

    membership: Membership
    reports: Reports
    tunnel: Tunnel
    echo: EchoService
    clock_set: Callable[[float], None]
    """Called with the seconds by which this machine's clock was set."""
    _known: dict[str, Caller] = field(default_factory=dict)
    """By name."""
    _issues: dict[str, Issue] = field(default_factory=dict)
    """By the name of the node that is there twice."""
    _known_since: dict[str, float] = field(default_factory=dict)
    """When each was known first."""
    _following: set[str] = field(default_factory=set)
    _stepped_at: float = field(default_factory=clock.monotonic)
    _reading: Reading = field(default_factory=lambda: Reading(*clock.read()))

    async def step(self) -> None:
        """Look at everybody. Call it every STEP_S."""
        self._watch_clock()
        if self.tunnel.has_lost_peers():
            self.membership.changed.set()
        now, plan = clock.monotonic(), self.membership.roster.plan
        was_late, self._stepped_at = now - self._stepped_at > STEP_S + LATE_S, now
        if plan is None:
            return
        nodes = [node for node in self.membership.roster.nodes(clock.wall()) if node.grant.agent]
        addresses = {str(node.name): str(plan.address(node.grant.number)) for node in nodes}
        self._tell_clones(self.reports.find_clones(addresses, now))
        self._following = {follower.name for follower in self.membership.followers}
        self._known_since = {node.name: self._known_since.get(node.name, now) for node in nodes}
        self._known = {node.name: self._look_at(node, addresses[node.name], now, was_late=was_late) for node in nodes}
        if choose_renewals(list(self._known.values()), now + COUNT_S):
            arrivals = await self.tunnel.count()
            self._known = {name: _count(caller, arrivals) for name, caller in self._known.items()}
        chosen = set(choose_renewals(list(self._known.values()), now))
        if not chosen:
            return
        log.info(
            "nodes are alive but silent: forgetting their sessions",
            nodes=sorted(n.name for n in nodes if _key(n) in chosen),
        )
        for name, caller in self._known.items():
            if caller.key in chosen:
                self._known[name] = replace(caller, renewed_at=now, renewed=caller.renewed + 1)
        await self.tunnel.renew_peers(chosen)
        for node in nodes:
            if _key(node) in chosen:
                # Whatever we send makes our WireGuard call the node; the node's firewall drops it, and then its own echoes come through.
                self.echo.ask(addresses[node.name], 0)

    def call_added(self) -> None:
        """Call those whose peer was just added again, where they were last: their sessions are gone, and they would need seconds to notice."""
        roster, observed = self.membership.roster, self.tunnel.observed
        if roster.plan is None or observed is None:
            return
        for node in roster.nodes(clock.wall()):
            peer = observed.peers.get(_key(node))
            if peer is not None and peer.endpoint is not None and peer.last_handshake_at is None:
                self.echo.ask(str(roster.plan.address(node.grant.number)), 0)

    def guests(self) -> list[Guest]:
        """Every node with an agent, as we know it now."""
        now = clock.monotonic()
        return [
            Guest(
                name,
                known_s=now - self._known_since[name],
                echo_age_s=None if caller.heard_at is None else now - caller.heard_at,
                follows_s=None if caller.follows_since is None else now - caller.follows_since,
            )
            for name, caller in self._known.items()
        ]

    def issues(self) -> list[Issue]:
        """Who is there twice."""
        return list(self._issues.values())

    def _look_at(self, node: Member, address: str, now: float, *, was_late: bool) -> Caller:
        known = self._known.get(node.name, Caller(_key(node), None, None, None))
        age_s, (_, report_age_s) = self.reports.echo_age_s(address, now), self.reports.find(node.name, now)
        heard_at = None if age_s is None else now - age_s
        follows = node.name in self._following
        since = now if known.follows_since is None or was_late else known.follows_since
        if known.renewed_at is not None and heard_at is not None and heard_at > known.renewed_at:
            known = replace(known, renewed_at=None, renewed=0)
        return replace(
            known,
            key=_key(node),
            heard_at=heard_at,
            follows_since=since if follows else None,
            spoke_at=None if report_age_s is None else now - report_age_s,
        )

    def _tell_clones(self, found: dict[str, Code]) -> None:
        now = clock.wall()
        for name, code in found.items():
            before = self._issues.get(name)
            if before is None or before.code != code:
                log.warning("a node is there twice", node=name, code=code)
                self._issues[name] = describe_clone(name, code, now)
        self._issues = {name: issue for name, issue in self._issues.items() if name in found}
        self.membership.tell_clones({name: str(code) for name, code in found.items()})

    def _watch_clock(self) -> None:
        before, self._reading = self._reading, Reading(*clock.read())
        jump_s = find_jump_s(before, self._reading)
        if jump_s:
            log.warning("clock-jumped", change=tell_jump(jump_s))
            self._issues = {
                name: issue.model_copy(update={"since": issue.since + jump_s}) for name, issue in self._issues.items()
            }
            self.clock_set(jump_s)


def _count(caller: Caller, arrivals: Mapping[WireGuardKey, Arrivals]) -> Caller:
    counted = arrivals.get(caller.key)
    return caller if counted is None else count_caller(caller, counted)


def _key(node: Member) -> WireGuardKey:
    return WireGuardKey(node.record.wireguard_key)
