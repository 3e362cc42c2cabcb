"""The node's agent: builds everything and runs it. Order of start: status server; identity; then sync, reconcile, probe, report."""

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from spokewire.api.serve import listen
from spokewire.errors import Code, InputError
from spokewire.host import clock, files
from spokewire.host.firewall import Firewall
from spokewire.host.identity import Identity, describe_node, load_identity, refresh_record
from spokewire.host.journal import Journal
from spokewire.host.logs import log
from spokewire.host.loops import Ending, keep_small, repeat, run_until_stopped
from spokewire.host.monitor import watch_changes
from spokewire.host.watchdog import Watchdog
from spokewire.network.clones import describe_clone
from spokewire.network.documents import Member
from spokewire.network.events import EventCode, SubjectKind
from spokewire.network.health import Health
from spokewire.network.names import WireGuardKey, interface_name
from spokewire.network.roster import Roster
from spokewire.network.status import Issue, State
from spokewire.network.topology import InterfaceSpec
from spokewire.node import clocks, mtu, reporting, server
from spokewire.node.board import Board
from spokewire.node.clocks import ClockWatch
from spokewire.node.fixes import Fixes
from spokewire.node.history import History
from spokewire.node.pathfinding import Pathfinder
from spokewire.node.planning import Planner
from spokewire.node.probe import Prober
from spokewire.node.reporting import Reporter
from spokewire.node.silence import SilenceWatch
from spokewire.node.sync import RosterFile, Sync
from spokewire.node.tests import Tests
from spokewire.node.transfer import TransferService
from spokewire.node.watched import Watched
from spokewire.wireguard.tunnel import Repair, Tunnel, load_or_make_key

RECONCILE_INTERVAL_S = 2.0
SUMMARY_INTERVAL_S = 60.0
CLONE = "clone"
"""Under this name the board keeps the issue."""
MAX_CONNECTIONS = 256


@dataclass(frozen=True)
class Settings:
    """A node's knobs."""

    state_folder: Path
    token: str | None = None
    network: str | None = None
    status_port: int = 8000
    root_key: str | None = None
    """The only root public key whose tokens are taken; None: any."""


class Node:
    """All parts of a running node."""

    def __init__(self, identity: Identity, board: Board, history: History) -> None:
        self._identity = identity
        self._grant = identity.token.grant
        self._board = board
        self.journal = Journal(identity.folder / "journal.json")
        public_key = load_or_make_key(identity.key_file)
        record = refresh_record(identity, describe_node(identity, public_key))
        roster = RosterFile(identity.folder / "roster.json").load(Roster(identity.token.root), clock.wall())
        self.interface = interface_name(self._grant.network_name)
        self.tunnel = Tunnel(self.interface, identity.key_file, public_key, self.journal)
        self._planner, self.firewall = (
            Planner(self._grant, self.interface),
            Firewall(self._grant.network_name, self.journal),
        )
        self.prober = Prober(self._judged, known=roster.records.keys())
        self.transfer = TransferService()
        self.tests = Tests(identity, self.prober, lambda: self.sync.roster, lambda: list(self.sync.clients.values()))
        self.sync = Sync(identity, record, roster, self._roster_changed, self.tests.request, self._hub_found)
        self.sync.doubled, self.sync.judged = self._doubled, self._judge_hub
        self.reporter = Reporter(identity, board.status, self.sync, lambda: len(self.prober.watched))
        self.history = history
        self.fixes = Fixes(history.note_event)
        self.silence = SilenceWatch(self.prober, self.tunnel, board, self.fixes, lambda: self.reporter.answered_at)
        self._look_again, self._report_now = self.silence.look_again, self.silence.report_now
        self.clocks = ClockWatch(self._grant.name, self.prober, board, self.fixes, lambda: self.sync.told)
        self.path_mtu = mtu.PathMtu(self.prober.service, self.tunnel.lifted, board, self.fixes, self._look_again)
        self.pathfinder = Pathfinder(self._grant, self.prober, self.tunnel, identity.folder / "handshakes")
        self.pathfinder.found_twins = lambda issue: self._judge_hub("twins", issue)
        self.paths = self.pathfinder.paths
        self.paths.note_event, self.paths.moved, board.find_path = (
            history.note_event,
            self._moved,
            self.paths.find_path,
        )
        self._to_greet: set[WireGuardKey] = set()
        """Peers that take another path: the first packet on it tells them."""
        self._wanted: tuple[InterfaceSpec, str] | None = None
        self._address = ""
        board.identity, board.roster, board.fixes = identity, roster, self.fixes.newest
        history.keep_in(identity.folder, self._grant.name, self._grant.network_name)
        history.note_start(clock.wall(), self._grant.name, version("spokewire"))
        board.wireguard, board.handshake_age_s = self.tunnel.status, self.tunnel.handshake_age_s
        board.transferred, board.roster_age_s = self.tunnel.transferred, self.sync.age_s

    async def reconcile(self) -> None:
        """Bring the machine in line with the roster: firewall before tunnel, so that nothing is open for a moment."""
        now = clock.wall()
        roster = self.sync.roster
        if roster.is_revoked(self._grant):
            await asyncio.to_thread(self._undo)
            self.prober.watch({})
            self._board.watched = self.prober.watched
        self._refuse_expired(roster, now)
        planned = self._planner.plan(roster, self.pathfinder.choose(roster, self.sync.me, now), now)
        plan = roster.plan
        if planned is None or plan is None:
            return
        wanted, rules = self.path_mtu.fit(planned.interface), planned.rules
        await asyncio.to_thread(self.tunnel.check_overlaps, plan.cidr)
        is_as_before = (wanted, rules) == self._wanted
        rewritten = await asyncio.to_thread(self.firewall.reconcile, rules)
        forced = self.silence.take_forced()
        changes = await self._set_right(wanted, forced)
        if is_as_before:
            if rewritten:
                self.fixes.cured("firewall-altered", self._grant.name, "the firewall's rules were written anew")
            expected = {"peer-moved", "peer-altered"} if forced else {"peer-moved"}
            self._note_repairs([change for change in changes if change.code not in expected])
        self._wanted = wanted, rules
        address = str(plan.address(self._grant.number))
        if self._address != address:
            await self.prober.service.open(address)
            await self.transfer.open(address)
            self._address = address
        before = {watched.name for watched in self.prober.watched.values()}
        greeted, self._to_greet = self._to_greet, set()
        self.prober.watch(planned.targets, forced | greeted)
        for name in before - {watched.name for watched in self.prober.watched.values()}:
            self.history.note_event(now, EventCode.MACHINE_LEFT, name, f"{name} is no longer in the roster")
        self.prober.note_traffic(self.tunnel.traffic())
        self.path_mtu.watch(self.prober.watched)
        self._board.watched, self._board.settings_version = self.prober.watched, roster.version

    async def _set_right(self, wanted: InterfaceSpec, forced: Collection[WireGuardKey]) -> list[Repair]:
        changes = await self.tunnel.reconcile(wanted, forced)
        self.paths.note_strays(self.tunnel.strays)
        return changes

    def _note_repairs(self, repairs: Sequence[Repair]) -> None:
        for repair in repairs:
            self.fixes.cured(repair.code, self._grant.name, repair.text)
            self.prober.hurry()

    async def probe(self) -> None:
        """Send the echoes that are due, and choose paths by what came of those before."""
        await self.prober.step()
        self.paths.step()

    async def watch_device(self) -> None:
        """Look again as soon as the user-space device dies."""
        while True:
            await self.tunnel.wait_for_end()
            log.warning("wireguard-go has ended")
            self._look_again.set()
            await asyncio.sleep(RECONCILE_INTERVAL_S)

    async def summarise(self) -> None:
        """Hand a summary of the echoes to the history, and read our own addresses again."""
        for name, echoes in self.prober.take_summaries().items():
            self.history.note_probes(clock.wall(), name, echoes.due, echoes.lost, echoes.rtt_avg_ms, echoes.rtt_max_ms)

    def parts(self) -> dict[str, Coroutine[object, object, None]]:
        """The loops, by name."""
        note = self._board.report
        return {
            "sync": self.sync.run(partial(note, turns=False)),
            "reconcile": repeat(
                "reconcile", self.reconcile, RECONCILE_INTERVAL_S, wake=self._look_again, report=note("reconcile")
            ),
            "probe": repeat("probe", self.probe, self.prober.wait_s, wake=self.prober.wake, report=note("probe")),
            "mtu": repeat("mtu", self.path_mtu.step, self.path_mtu.wait_s, report=note("mtu")),
            "history": self.history.run(),
            "summary": repeat("summary", self.summarise, SUMMARY_INTERVAL_S, report=note("summary")),
            "silence": repeat(
                "silence", self.silence.step, self.silence.wait_s, wake=self.prober.missing, report=note("silence")
            ),
            "clocks": repeat("clocks", self.clocks.step, clocks.STEP_S, report=note("clocks")),
            "report": repeat(
                "report",
                self.reporter.step,
                self.reporter.wait_s,
                wake=self._report_now,
                report=partial(self._board.turns.note, "report"),
            ),
            **self.pathfinder.parts(note),
            "tests": self.tests.run(),
            "device": self.watch_device(),
            "changes": watch_changes(self._look_again.set),
        }

    async def close(self, ending: Ending) -> None:
        """Close what is open; unless another daemon takes over, undo all that the journal names."""
        self.history.note_stop(clock.wall(), self._grant.name, ending)
        self.prober.service.close()
        self.pathfinder.close()
        self.transfer.close()
        await asyncio.to_thread(self.history.close)
        if ending is Ending.STOP:
            await asyncio.to_thread(self._undo)

    def _undo(self) -> None:
        for kind, subject, _ in self.journal.newest_first():
            match kind:
                case "table":
                    self.firewall.remove()
                case "device":
                    self.tunnel.remove()
                case _:
                    self.journal.cross_out(kind, subject)

    def _judged(self, watched: Watched, before: Health) -> None:
        """The state of a machine that we watch has changed."""
        kind: SubjectKind = "hub" if watched.target.is_hub else "peer"
        health = watched.health
        self.history.note_change(clock.wall(), watched.name, kind, before.state, health.state, health.reason)
        if watched.target.is_hub:
            self.prober.hurry()
            if (
                watched.target.peer is not None
                and before.state is not State.DEGRADED
                and health.state is State.CONNECTED
            ):
                self.pathfinder.hub_back(watched.target.peer)
        self._board.judge()
        self._look_again.set()
        if watched.target.is_hub or self.reporter.wait_s() <= reporting.INTERVAL_S:
            # Of one peer among many everybody would report at once, and the hub would verify it all.
            self._report_now.set()

    def _moved(self, other: Member) -> None:
        """The path of a pair is another now. A stock client announces no handshakes, so that the other hub knows nothing of its session."""
        if not other.grant.agent:
            self.silence.forget(WireGuardKey(other.record.wireguard_key))
        self._to_greet.add(WireGuardKey(other.record.wireguard_key))
        self._look_again.set()

    def _roster_changed(self, roster: Roster) -> None:
        self._board.roster = roster
        self._look_again.set()

    def _hub_found(self, hub: Member) -> None:
        self.silence.hub_found(hub)

    def _doubled(self, hub: Member, way: str) -> None:
        """A hub says whether another machine has our keys. Only these two words of it are believed."""
        if way in (Code.GRANT_IN_USE, Code.MACHINE_COPIED):
            self._board.open_issue(CLONE, describe_clone(self._grant.name, Code(way), clock.wall(), hub.name))
        else:
            self._board.close_issue(CLONE)

    def _judge_hub(self, hub: str, issue: Issue | None) -> None:
        """What is wrong with what a hub hands out."""
        if issue is None:
            self._board.close_issue(f"hub-{hub}")
        else:
            self._board.open_issue(f"hub-{hub}", issue)

    def _refuse_expired(self, roster: Roster, now: float) -> None:
        if roster.is_revoked(self._grant):
            raise InputError(
                Code.REVOKED,
                f"{self._grant.name} has been removed from the network.",
                hint="Ask the operator for a new token.",
            )
        if now >= self._grant.expires_at:
            raise InputError(
                Code.TOKEN_EXPIRED,
                f"The token of {self._grant.name} has expired.",
                hint=f"Mint a new one: spokewire node token {self._grant.name}.",
            )


async def run(settings: Settings) -> None:
    """Run a node until it is told to stop; then nothing of it is left on the machine but its state folder."""
    keep_small()
    board, history = Board(settings.state_folder), History()
    board.note_change, board.history_problem = history.note_change, history.problem
    board.note_event = history.note_event
    listener = listen(settings.status_port)
    app = server.build(board.status, clock.monotonic, history.tell)
    ready: asyncio.Queue[Node] = asyncio.Queue(1)
    lock: files.Lock | None = None

    async def live() -> None:
        nonlocal lock
        identity = await asyncio.to_thread(
            load_identity, settings.state_folder, "node", settings.token, settings.network, settings.root_key
        )
        lock = files.Lock(
            identity.folder / "lock", f"Another node of {identity.token.grant.network_name} runs on this machine."
        )
        lock.acquire()
        node = Node(identity, board, history)
        ready.put_nowait(node)
        log.info(
            "node started",
            node=identity.token.grant.name,
            network=identity.token.grant.network_name,
            version=version("spokewire"),
        )
        async with asyncio.TaskGroup() as group:
            for name, part in node.parts().items():
                group.create_task(part, name=name)

    async def close(ending: Ending) -> None:
        if not ready.empty():
            await ready.get_nowait().close(ending)
        if lock is not None:
            lock.release()

    parts = {
        "watchdog": Watchdog(board.turns.overdue).run(),
        "status": listener.serve(app, MAX_CONNECTIONS),
        "node": live(),
    }
    await run_until_stopped(parts, close)
