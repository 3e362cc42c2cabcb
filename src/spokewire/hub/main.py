"""The hub's daemon: builds everything and runs it."""

import asyncio
from functools import partial
from importlib.metadata import version as version_of

from prometheus_client import CollectorRegistry

from spokewire.api.serve import listen
from spokewire.errors import Code, SpokewireError
from spokewire.host import clock, files, offloads
from spokewire.host.echo import EchoService
from spokewire.host.firewall import Firewall
from spokewire.host.identity import Identity, load_identity, refresh_record
from spokewire.host.journal import Journal
from spokewire.host.logs import log
from spokewire.host.loops import Ending, keep_small, repeat, run_until_stopped
from spokewire.host.monitor import watch_changes
from spokewire.host.turns import Turns
from spokewire.host.watchdog import Watchdog
from spokewire.hub import api, callers, forwarding, metrics, relaying
from spokewire.hub.callers import Callers
from spokewire.hub.disk import Disk
from spokewire.hub.firewall import plan_rules
from spokewire.hub.membership import Membership
from spokewire.hub.record import Settings, describe_hub, load_or_make_certificate
from spokewire.hub.relaying import Relaying, Senses
from spokewire.hub.reports import Reports
from spokewire.hub.standing import Standing
from spokewire.hub.store import Store
from spokewire.hub.tests import Tests
from spokewire.hub.whereabouts import Whereabouts
from spokewire.network.names import WireGuardKey, interface_name
from spokewire.network.relays import Relay
from spokewire.network.roster import Roster
from spokewire.network.status import HubStatus, HubView, Issue
from spokewire.network.topology import HUB_PORT, InterfaceSpec, plan_hub
from spokewire.relay.rules import Outside
from spokewire.wireguard.tunnel import Tunnel, load_or_make_key

VERSION = version_of("spokewire")
RECONCILE_INTERVAL_S = 2.0
MAX_CONNECTIONS = 4096
DOCUMENTS_WAIT_S = 5.0
"""Machines hand their documents in as soon as they find that their hub answers again, and those of others a moment later."""


class Hub:
    """All parts of a running hub."""

    def __init__(self, settings: Settings, identity: Identity) -> None:
        self._settings = settings
        self._grant = identity.token.grant
        self._public_key = load_or_make_key(identity.key_file)
        self.tls = load_or_make_certificate(identity)
        self._record = refresh_record(identity, describe_hub(identity, settings, self._public_key, self.tls))
        self.journal = Journal(identity.folder / "journal.json")
        store = Store(identity.folder / "hub.sqlite")
        self.membership = Membership(Roster(identity.token.root), store, clock.wall)
        self.membership.take(self._record)
        self.reports = Reports()
        self.interface = interface_name(self._grant.network_name)
        self.tunnel = Tunnel(self.interface, identity.key_file, self._public_key, self.journal)
        self.firewall = Firewall(self._grant.network_name, self.journal)
        self.whereabouts = Whereabouts(self.tunnel, self.reports)
        self.turns = Turns()
        self.relaying = Relaying(
            self._grant.network_name,
            self._public_key,
            identity.folder,
            self.journal,
            Senses(self.whereabouts.read_endpoints, self.whereabouts.find_away),
            self.turns,
        )
        self.disk = Disk(identity.folder, store, lambda: self.relaying.unsaved)
        self.echo = EchoService(asked=self.reports.note_echo, find_endpoint=self.whereabouts.find_endpoint)
        self.callers = Callers(self.membership, self.reports, self.tunnel, self.echo, self._clock_set)
        self._echo_address = ""
        self.standing = Standing(self.callers.guests, lambda: self.membership.roster.settings is not None)
        self._merging: Issue | None = None
        self._started_at = clock.wall()
        self._is_new_until = clock.monotonic() + DOCUMENTS_WAIT_S if self.membership.roster.settings is None else 0.0
        """Until then it may be that the tunnel has peers of which this hub has lost the documents."""

    def parts(self) -> api.Parts:
        """What the API stands on."""
        registry = CollectorRegistry()
        registry.register(metrics.HubCollector(self.status, lambda: len(self.membership.followers)))
        return api.Parts(
            name=self._grant.name,
            own_record=lambda: self._record,
            membership=self.membership,
            reports=self.reports,
            tests=Tests(),
            status=self.status,
            refresh=self.refresh,
            metrics=registry,
            now=clock.wall,
            monotonic=clock.monotonic,
        )

    async def reconcile(self) -> None:
        """Bring the machine in line with the roster."""
        now = clock.wall()
        self.disk.look(now)
        roster, version = self.membership.roster, self.membership.version
        wanted, plan = plan_hub(roster, self._grant, now), roster.plan
        if wanted is None or plan is None:
            # Without settings there is nothing to carry out, and so nothing that a follower must wait for.
            self.membership.applied(version)
            return
        if await self._awaits_documents(wanted):
            return
        await asyncio.to_thread(self.tunnel.check_overlaps, plan.cidr)
        rules = plan_rules(self.interface, (plan.cidr, plan.ula), self._settings.api_port, self._settings.open_ports)
        await asyncio.to_thread(self.firewall.reconcile, rules)
        has_changed = await self.tunnel.reconcile(wanted)
        await asyncio.to_thread(forwarding.enable, self.interface, self.journal)
        address = str(plan.address(self._grant.number))
        if self._echo_address != address:
            await self.echo.open(address)
            self._echo_address = address
        if has_changed:
            self.callers.call_added()
        if roster.settings is not None and roster.settings.relay is Relay.SEALED:
            await self.relaying.reconcile(roster, await asyncio.to_thread(self._find_outside), now)
        else:
            await self.relaying.stop()
        self.membership.applied(version)
        members = roster.nodes(now)
        self.reports.forget({m.name for m in members}, self.whereabouts.know(members, plan))

    async def _awaits_documents(self, wanted: InterfaceSpec) -> bool:
        """Whether the tunnel serves machines that this hub, which has begun without any document, does not know yet: they would be cut off."""
        if clock.monotonic() >= self._is_new_until:
            return False
        peers = await asyncio.to_thread(self.tunnel.list_peers)
        return not peers <= {peer.public_key for peer in wanted.peers}

    async def watch_device(self) -> None:
        """Look again as soon as the user-space device dies."""
        while True:
            await self.tunnel.wait_for_end()
            log.warning("wireguard-go has ended")
            self.membership.changed.set()
            await asyncio.sleep(RECONCILE_INTERVAL_S)

    def _find_outside(self) -> Outside:
        """The addresses of our own at which packets arrive: those of the uplink, and of several the ones that we are known by."""
        own = self._settings.inside_address or self._settings.public_address
        uplink = self.tunnel.links.find_uplink({own, self._settings.public_address6 or ""})
        is_ours = relaying.enable_forwarding(uplink.name, self.journal)
        self._note_merging(uplink.name, offloads.forbid_merging(uplink.name, self.journal))
        return Outside(uplink.v4, uplink.v6, HUB_PORT, closed_uplink=uplink.name if is_ours else None)

    def _note_merging(self, nic: str, features: list[str]) -> None:
        """An offload that merges what the relay must keep apart, and that the driver does not let us switch off, is an issue."""
        if not features:
            self._merging = None
        elif self._merging is None:
            self._merging = Issue(
                code=Code.PACKETS_MERGED,
                text=f"{nic} merges UDP packets on their way ({', '.join(features)}), which damages what the relay forwards.",
                hint=f"Switch it off: ethtool -K {nic} {' '.join(f'{feature} off' for feature in features)}.",
                since=clock.wall(),
            )

    async def refresh(self) -> None:
        """Look at the tunnel now: the operator asks."""
        await asyncio.to_thread(self.tunnel.refresh)

    def report(self, error: SpokewireError | None) -> None:
        """Take note of how `reconcile` went."""
        self.turns.note("reconcile")
        self.standing.report(error)

    def status(self) -> HubStatus:
        """All that this hub knows."""
        roster, nodes, standing = self.membership.roster, self._views(), self.standing
        standing.look()
        own = [issue for issue in (standing.issue, self._merging, self.disk.issue) if issue is not None]
        return HubStatus(
            name=self._grant.name,
            network=self._grant.network_name,
            state=standing.health.state,
            reason=standing.health.reason,
            since=standing.since,
            overlay_ip=self._echo_address,
            settings_version=roster.version,
            wg=self.tunnel.status(),
            relay=self.relaying.status(),
            issues=own
            + self.turns.issues()
            + self.callers.issues()
            + self.relaying.find_issues(self._grant.name, nodes),
            nodes=nodes,
            time=clock.wall(),
            started_at=self._started_at,
            version=VERSION,
        )

    async def close(self, ending: Ending) -> None:
        """Close what is open; unless another daemon takes over, undo all that the journal names."""
        self.echo.close()
        self.relaying.close()
        self.membership.close()
        if ending is Ending.STOP:
            await asyncio.to_thread(self._undo)

    def _undo(self) -> None:
        for kind, subject, value in self.journal.newest_first():
            match kind:
                case "table":
                    self.firewall.remove()
                case "device":
                    self.tunnel.remove()
                case "relay":
                    self.relaying.remove()
                case "sysctl":
                    forwarding.undo(subject, value, self.journal)
                case "offload":
                    offloads.undo(subject, self.journal)
                case _:
                    self.journal.cross_out(kind, subject)

    def _views(self) -> list[HubView]:
        roster, now = self.membership.roster, clock.monotonic()
        plan = roster.plan
        if plan is None:
            return []
        following = {follower.name for follower in self.membership.followers}
        views = []
        for node in roster.nodes(clock.wall()):
            address, key = str(plan.address(node.grant.number)), node.record.wireguard_key
            report, report_age_s = self.reports.find(node.name, now)
            rx_bytes, tx_bytes = self.tunnel.transferred(WireGuardKey(key)) or (None, None)
            views.append(
                HubView(
                    name=node.name,
                    overlay_ip=address,
                    agent=node.grant.agent,
                    last_echo_age_s=self.reports.echo_age_s(address, now),
                    last_handshake_age_s=self.tunnel.handshake_age_s(key),  # type: ignore[arg-type]
                    rx_bytes=rx_bytes,
                    tx_bytes=tx_bytes,
                    endpoint=self.tunnel.endpoint(key),  # type: ignore[arg-type]
                    report=report,
                    report_age_s=report_age_s,
                    api_connected=node.name in following,
                )
            )
        return views

    def _clock_set(self, jump_s: float) -> None:
        """Instants of before are told by the clock as it is now."""
        self._started_at += jump_s
        for part in (self.standing, self.disk, self.relaying):
            part.clock_set(jump_s)
        if self._merging is not None:
            self._merging = self._merging.model_copy(update={"since": self._merging.since + jump_s})


async def run(settings: Settings) -> None:
    """Run a hub until it is told to stop; then nothing of it is left on the machine but its state folder."""
    keep_small()
    identity = load_identity(settings.state_folder, "hub", settings.token, settings.network)
    lock = files.Lock(
        identity.folder / "lock", f"Another hub of {identity.token.grant.network_name} runs on this machine."
    )
    lock.acquire()
    hub = Hub(settings, identity)
    listener = listen(settings.api_port, hub.tls)
    log.info(
        "hub started",
        hub=identity.token.grant.name,
        network=identity.token.grant.network_name,
        version=VERSION,
    )
    parts = {
        "watchdog": Watchdog(hub.turns.overdue).run(),
        "api": listener.serve(api.build(hub.parts()), MAX_CONNECTIONS),
        "reconcile": repeat(
            "reconcile", hub.reconcile, RECONCILE_INTERVAL_S, wake=hub.membership.changed, report=hub.report
        ),
        "device": hub.watch_device(),
        "changes": watch_changes(hub.membership.changed.set),
        "callers": repeat("callers", hub.callers.step, callers.STEP_S, report=partial(hub.turns.note, "callers")),
        "relay endpoints": hub.relaying.follow(),
        "relay trunks": hub.relaying.follow_hubs(),
        "relay handshakes": hub.relaying.forward(),
        "relay labels": hub.relaying.save(),
    }
    try:
        await run_until_stopped(parts, hub.close)
    finally:
        lock.release()
