"""The node's agent: builds everything and runs it. Order of start: status server; identity; then sync, reconcile, probe, report."""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from spokewire.api.client import HubClient
from spokewire.api.serve import listen
from spokewire.errors import Code, InputError, SpokewireError, TemporaryError
from spokewire.host import clock, files
from spokewire.host.firewall import Firewall
from spokewire.host.identity import Identity, describe_node, load_identity, refresh_record
from spokewire.host.journal import Journal
from spokewire.host.logs import log
from spokewire.host.loops import Ending, keep_small, repeat, run_until_stopped
from spokewire.network.addresses import AddressPlan
from spokewire.network.documents import Grant, Member, Report, Result, TestRequest, sign, verify_request
from spokewire.network.handshakes import calls_first
from spokewire.network.names import WireGuardKey, interface_name
from spokewire.network.proof import PairResult, plan_pace
from spokewire.network.roster import Roster
from spokewire.network.rules import plan_admission
from spokewire.network.topology import InterfaceSpec, plan_node
from spokewire.node import probe, server
from spokewire.node.board import Board
from spokewire.node.firewall import plan_rules
from spokewire.node.probe import Prober, Target
from spokewire.node.prove import prove_peers
from spokewire.node.sync import RosterFile, Sync
from spokewire.node.transfer import TransferService
from spokewire.wireguard.tunnel import Tunnel, load_or_make_key

RECONCILE_INTERVAL_S = 2.0
REPORT_INTERVAL_S = 2.0
NODES_PER_REPORT_SECOND = 50
"""With more nodes each reports less often, so that a hub never verifies more than 50 reports a second."""
SILENT_HUB_S = 1.5
"""One echo a second, and half a second of jitter."""
LOOK_INTERVAL_S = 0.5
"""How often silence is looked for."""
MAX_CONNECTIONS = 256
MAX_TESTS = 4


@dataclass(frozen=True)
class Settings:
    """A node's knobs."""

    state_folder: Path
    token: str | None = None
    network: str | None = None
    status_port: int = 8000


class Node:
    """All parts of a running node."""

    def __init__(self, identity: Identity, board: Board) -> None:
        self._identity = identity
        self._grant = identity.token.grant
        self._board = board
        self.journal = Journal(identity.folder / "journal.json")
        public_key = load_or_make_key(identity.key_file)
        record = refresh_record(identity, describe_node(identity, public_key))
        roster = RosterFile(identity.folder / "roster.json").load(Roster(identity.token.root), clock.wall())
        self._look_again, self._report_now = asyncio.Event(), asyncio.Event()
        self.interface = interface_name(self._grant.network_name)
        self.tunnel = Tunnel(self.interface, identity.key_file, public_key, self.journal)
        self.firewall = Firewall(self._grant.network_name, self.journal)
        self.prober = Prober(self._report_now.set)
        self.transfer = TransferService()
        self.sync = Sync(identity, record, roster, self._roster_changed, self._test_requested, self._hub_found)
        self._address = ""
        self._forced: set[WireGuardKey] = set()
        """Peers with which the next `reconcile` shakes hands anew."""
        self._requests: asyncio.Queue[tuple[TestRequest, HubClient]] = asyncio.Queue(MAX_TESTS)
        self._seen_tests: set[str] = set()
        board.identity, board.roster = identity, roster
        board.wireguard, board.handshake_age_s = self.tunnel.status, self.tunnel.handshake_age_s
        board.transferred = self.tunnel.transferred

    async def reconcile(self) -> None:
        """Bring the machine in line with the roster: firewall before tunnel, so that nothing is open for a moment."""
        now = clock.wall()
        roster = self.sync.roster
        if roster.is_revoked(self._grant):
            await asyncio.to_thread(self._undo)
        self._refuse_expired(roster, now)
        wanted, plan = plan_node(roster, self._grant, now), roster.plan
        if wanted is None or plan is None:
            return
        await asyncio.to_thread(self.tunnel.check_overlaps, plan.cidr)
        rules = plan_rules(self.interface, (plan.cidr, plan.ula), plan_admission(roster, self._grant, now))
        await asyncio.to_thread(self.firewall.reconcile, rules)
        forced, self._forced = self._forced, set()
        await self.tunnel.forget_peers(forced)
        await self.tunnel.reconcile(wanted)
        address = str(plan.address(self._grant.number))
        if self._address != address:
            await self.prober.service.open(address)
            await self.transfer.open(address)
            self._address = address
        self.prober.watch(_plan_targets(roster.members(now), self._grant, wanted, plan), forced)
        self._board.watched, self._board.settings_version = self.prober.watched, roster.version

    async def watch_device(self) -> None:
        """Look again as soon as the user-space device dies."""
        while True:
            await self.tunnel.wait_for_end()
            log.warning("wireguard-go has ended")
            self._look_again.set()
            await asyncio.sleep(RECONCILE_INTERVAL_S)

    async def look_for_silence(self) -> None:
        """Shake hands anew with peers that nothing is heard of."""
        forced = self.prober.force_handshakes()
        if forced:
            log.info("peers are silent: shaking hands again", peers=len(forced))
            self._forced |= forced
            self._look_again.set()

    async def report(self) -> None:
        """Hand our signed status to every hub that we follow."""
        clients = list(self.sync.clients.values())
        status = self._board.status()
        if clients and status.overlay_ip is not None:
            document = Report(grant=self._identity.token.grant_text, issued_at=int(clock.wall()), status=status)
            text = sign(document, self._identity.token.grant_key)
            for client in clients:
                try:
                    await client.submit_report(text)
                except TemporaryError:
                    self.sync.doubt(client)
                    raise
        crowd = len(self.prober.watched) / NODES_PER_REPORT_SECOND
        if crowd > REPORT_INTERVAL_S:
            await asyncio.sleep(crowd - REPORT_INTERVAL_S)

    async def prove(self) -> None:
        """Carry out the operator's test requests, one after the other."""
        while True:
            request, client = await self._requests.get()
            targets = [target for source, target in request.pairs if source == self._grant.name]
            pairs = await self._prove_peers(targets, request)
            result = Result(grant=self._identity.token.grant_text, test=request.id, pairs=tuple(pairs))
            try:
                await client.submit_report(sign(result, self._identity.token.grant_key))
            except SpokewireError as error:
                log.warning("result not delivered", code=error.code, error=error.message)

    def parts(self) -> dict[str, Coroutine[object, object, None]]:
        """The loops, by name."""
        note = self._board.report
        return {
            "sync": self.sync.run(note("sync")),
            "reconcile": repeat(
                "reconcile", self.reconcile, RECONCILE_INTERVAL_S, wake=self._look_again, report=note("reconcile")
            ),
            "probe": repeat("probe", self.prober.step, probe.INTERVAL_S / 2, report=note("probe")),
            "silence": repeat("silence", self.look_for_silence, LOOK_INTERVAL_S),
            "report": repeat("report", self.report, REPORT_INTERVAL_S, wake=self._report_now, report=lambda _: None),
            "prove": self.prove(),
            "device": self.watch_device(),
        }

    async def close(self, ending: Ending) -> None:
        """Close what is open; unless another daemon takes over, undo all that the journal names."""
        self.prober.service.close()
        self.transfer.close()
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

    async def _prove_peers(self, targets: list[str], request: TestRequest) -> list[PairResult]:
        plan, nodes = self.sync.roster.plan, self.sync.roster.nodes(clock.wall())
        numbers = {} if plan is None else {str(node.name): str(plan.address(node.grant.number)) for node in nodes}
        known = {target: numbers[target] for target in targets if target in numbers}
        unknown = [
            PairResult(source=self._grant.name, target=target, error=f"{self._grant.name} does not know {target}")
            for target in targets
            if target not in numbers
        ]
        proved = await prove_peers(self._grant.name, known, self.prober, request.step, plan_pace(request.pairs))
        return proved + unknown

    def _roster_changed(self, roster: Roster) -> None:
        self._board.roster = roster
        self._look_again.set()

    def _hub_found(self, hub: Member) -> None:
        """A hub's API answers (again). If its echoes do not, it may have rebooted and lost our session, or never have had it.

        WireGuard itself would notice only after 15 s of silence (KEEPALIVE_TIMEOUT and REKEY_TIMEOUT, paper section 6.1), so the next
        `reconcile` makes the peer anew, which shakes hands at once.
        """
        plan = self.sync.roster.plan
        watched = None if plan is None else self.prober.watched.get(str(plan.address(hub.grant.number)))
        if watched is None:
            return
        age_s = watched.window.last_answer_age_s(clock.monotonic())
        if age_s is None or age_s > SILENT_HUB_S:
            log.info("hub is back, its echoes are not: shaking hands again", hub=hub.name)
            self._forced.add(WireGuardKey(hub.record.wireguard_key))
            self._look_again.set()

    def _test_requested(self, text: str, client: HubClient) -> None:
        try:
            request = verify_request(text, self._identity.token.root, self._identity.token.network, clock.wall())
        except InputError as error:
            log.warning("test request refused", code=error.code, reason=error.message)
            return
        if request.id in self._seen_tests or self._requests.full():
            return
        self._seen_tests.add(request.id)
        self._requests.put_nowait((request, client))

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


def _plan_targets(members: Iterable[Member], me: Grant, wanted: InterfaceSpec, plan: AddressPlan) -> dict[str, Target]:
    """Whom to send echoes to, by overlay address: every other machine with an agent."""
    peers = {peer.public_key for peer in wanted.peers}
    targets = {}
    for member in members:
        if member.grant.id == me.id or not member.grant.agent:
            continue
        key, is_hub = WireGuardKey(member.record.wireguard_key), member.grant.role == "hub"
        targets[str(plan.address(member.grant.number))] = Target(
            name=member.name,
            is_hub=is_hub,
            peer=key if key in peers else None,
            calls=is_hub or calls_first(me.number, member.grant.number),
        )
    return targets


async def run(settings: Settings) -> None:
    """Run a node until it is told to stop; then nothing of it is left on the machine but its state folder."""
    keep_small()
    board = Board(settings.state_folder)
    listener = listen(settings.status_port)
    app = server.build(board.status, clock.monotonic)
    ready: asyncio.Queue[Node] = asyncio.Queue(1)
    lock: files.Lock | None = None

    async def live() -> None:
        nonlocal lock
        identity = await asyncio.to_thread(
            load_identity, settings.state_folder, "node", settings.token, settings.network
        )
        lock = files.Lock(
            identity.folder / "lock", f"Another node of {identity.token.grant.network_name} runs on this machine."
        )
        lock.acquire()
        node = Node(identity, board)
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

    await run_until_stopped({"status": listener.serve(app, MAX_CONNECTIONS), "node": live()}, close)
