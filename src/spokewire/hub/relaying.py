"""The sealed relay at work: endpoints from WireGuard, handshakes from the tap, labels to the kernel."""

import asyncio
import base64
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from spokewire.errors import SpokewireError
from spokewire.host import clock, sysctl
from spokewire.host.journal import Journal
from spokewire.host.logs import log
from spokewire.host.loops import sleep_or_wake
from spokewire.host.turns import Turns
from spokewire.hub import saved_labels
from spokewire.hub.held import Heard, Held, is_early
from spokewire.hub.trunks import Trunks
from spokewire.network.families import find_mixed
from spokewire.network.names import WireGuardKey
from spokewire.network.roster import Roster
from spokewire.network.status import HubView, Issue, RelayStatus
from spokewire.network.topology import HUB_PORT
from spokewire.relay.labels import LABEL_LIFETIME_S, Install
from spokewire.relay.places import Endpoint, NodeNumber, parse_endpoint
from spokewire.relay.rules import Outside
from spokewire.relay.switch import ForHub, Forward, Switch
from spokewire.relay.tables import Tables
from spokewire.relay.tap import Tap

POLL_INTERVAL_S = 0.5
"""How soon a node that moved is found when only its data packets show it: a promise of one second, less the way."""
SAVE_INTERVAL_S = 1.0
LABELS_PER_SAVE = 10_000
"""With more labels they are saved less often: writing takes a fifth of a second of CPU for each 100,000."""
MAX_WAITING = 4096
"""Handshakes that may wait for the loop: a flood beyond that is dropped unread."""
BATCH = 64
"""After that many handshakes the loop gets a turn: each may be tried with the keys of a thousand nodes."""
NEXT_WAY_S = 0.1
"""A handshake that goes two ways takes the second so much later. WireGuard drops a copy that comes after the first, but of two at once wireguard-go may
answer both, and the second answer ends the session that the first one made."""
LEAST_INTERVAL_S = 0.1
SETTLE_S = 0.02
"""WireGuard notes a new endpoint when it has read the handshake that we saw pass: a moment later."""

RESOLVE_INTERVAL_S = 30.0
"""How soon a hub whose name leads elsewhere is found; one whose record changes, at once."""


@dataclass(frozen=True)
class Senses:
    """What else the hub knows of its nodes."""

    read_endpoints: Callable[[], dict[WireGuardKey, str]]
    """Where WireGuard hears them, as `wg` prints it. Called in a thread."""
    find_away: Callable[[], Collection[NodeNumber]] = tuple
    """Those that are silent although they should be heard."""


class Relaying:
    """The switch of one hub with its tap and its tables."""

    def __init__(
        self, network: str, hub_key: WireGuardKey, folder: Path, journal: Journal, senses: Senses, turns: Turns
    ) -> None:
        self._hub_key = hub_key
        self.switch = Switch(base64.b64decode(hub_key))
        self._tables = Tables(network)
        self._tap = Tap(HUB_PORT, self._received)
        self._path = folder / "labels.json"
        self._journal = journal
        self._senses = senses
        self._numbers: dict[WireGuardKey, NodeNumber] = {}
        self._trunks = Trunks()
        self._pending: list[Heard] = []
        self._arrived, self._look_now = asyncio.Event(), asyncio.Event()
        self._held = Held()
        self._looking = asyncio.Lock()
        self._is_open = False
        self._outside: Outside | None = None
        """What the kernel was told last: an address may come late, or change."""
        self._mixed_since: float | None = None
        """Since when there are nodes of both families."""
        self._changed = False
        self.unsaved: SpokewireError | None = None
        """Why the labels could not be saved last time; None if they were."""
        self._turns = turns
        self.dropped = 0
        """Handshakes that were dropped unread because too many waited."""

    async def reconcile(self, roster: Roster, outside: Outside, now: float) -> None:
        """Be a relay for exactly these nodes. A table that exists is kept: its labels are in use."""
        nodes = roster.nodes(now)
        self._numbers = {WireGuardKey(node.record.wireguard_key): node.grant.number for node in nodes}
        dropped = self.switch.set_nodes({number: base64.b64decode(key) for key, number in self._numbers.items()})
        others = [hub for hub in roster.hubs(now) if hub.record.wireguard_key != self._hub_key]
        own = [ip_address(text).packed for text in (outside.v4, outside.v6) if text is not None]
        self._trunks.know(others, [Endpoint(address, outside.port) for address in own])
        dropped += self.switch.set_trunks(self._trunks.endpoints)
        begins = not self._is_open
        if begins:
            # Not in a thread: labels that are queued meanwhile would be lost.
            self._begin(outside)
            self._is_open = True
        elif not await asyncio.to_thread(self._tables.exists):
            self._rebuild(outside)
        if outside != self._outside:
            await asyncio.to_thread(self._tables.set_outside, outside)
            self._tap.send_from(outside.v4, outside.v6)
            self._outside = outside
        self._tables.drop(dropped)
        await self.look()
        if begins:
            # Not before the places are known: a handshake would commit them as they are now in the queue, empty, and cut what flows.
            self._tap.open()
            self._tap.know(self.switch.places.sources)

    async def stop(self) -> None:
        """Be no relay any more: the network is routed now. Its tables go, and with them every label."""
        if self._is_open:
            self._is_open, self._outside = False, None
            self._tap.close()
            self.switch.set_nodes({})
            self.switch.set_trunks({})
            await asyncio.to_thread(self.remove)

    async def look(self) -> None:
        """Read where WireGuard sees the nodes, and tell the kernel; one look at a time, so that an older reading never wins."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        if not self._is_open:
            return
        seen = await asyncio.to_thread(self._senses.read_endpoints)
        moved = self.switch.set_endpoints(
            {self._numbers[key]: parse_endpoint(text) for key, text in seen.items() if key in self._numbers}
        )
        places = self.switch.places
        is_mixed = len({len(endpoint.address) for endpoint in places.endpoints.values()}) > 1
        self._mixed_since = (self._mixed_since or clock.wall()) if is_mixed else None
        self._tables.place(places.sources, places.destinations)
        self._tables.commit()
        self._tap.know(places.sources)
        if moved:
            log.info("nodes moved", nodes=sorted(moved))
            # What came a moment too early.
            self._switch_all(self._held.take(clock.monotonic()))

    async def follow(self) -> None:
        """Look at the endpoints regularly, and soon after a handshake that may change them; never so often that a flood could keep us busy."""
        while True:
            try:
                await self.look()
            except SpokewireError as error:
                log.warning("endpoints not read", code=error.code, error=error.message)
            self._turns.note("relay endpoints")
            await asyncio.sleep(LEAST_INTERVAL_S)
            await sleep_or_wake(POLL_INTERVAL_S - LEAST_INTERVAL_S, self._look_now)
            await asyncio.sleep(SETTLE_S)

    async def follow_hubs(self) -> None:
        """Find the addresses of the other hubs, again now and then: their names may lead elsewhere."""
        while True:
            if await self._trunks.resolve():
                self.switch.set_trunks(self._trunks.endpoints)
                self._look_now.set()
            await sleep_or_wake(RESOLVE_INTERVAL_S, self._trunks.changed)

    async def forward(self) -> None:
        """Switch handshakes: all that wait together are decided, their labels go to the kernel at once, then they are forwarded."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            waiting, self._pending = self._pending, []
            for batch in (waiting[at : at + BATCH] for at in range(0, len(waiting), BATCH)):
                try:
                    self._switch_all(batch)
                except SpokewireError as error:
                    log.warning("handshakes not switched", code=error.code, error=error.message, messages=len(batch))
                await asyncio.sleep(0)

    async def save(self) -> None:
        """Save the labels now and then, so that a rebooted hub resumes running sessions."""
        while True:
            await asyncio.sleep(SAVE_INTERVAL_S * max(1.0, self.switch.label_count / LABELS_PER_SAVE))
            self.switch.expire(clock.steady())
            self._turns.note("relay labels")
            if self._changed:
                self._changed = False
                try:
                    await asyncio.to_thread(saved_labels.store, self._path, self.switch.labels())
                except SpokewireError as error:
                    # A disk that is full must not stop the relay; the labels are saved as soon as there is room.
                    self._changed, self.unsaved = True, error
                else:
                    self.unsaved = None

    def status(self) -> RelayStatus | None:
        """The relay in numbers; None while it is not one."""
        if not self._is_open:
            return None
        refused = {str(reason): count for reason, count in self.switch.refused.items()}
        unread = self.dropped + self._tap.count_lost()
        if unread:
            refused["flood"] = unread
        return RelayStatus(
            labels=self.switch.label_count,
            forwarded=self.switch.forwarded,
            refused=refused,
            announced=self.switch.announced,
            trunks=self._trunks.status(self.switch),
        )

    def find_issues(self, hub: str, nodes: Iterable[HubView]) -> list[Issue]:
        """What is wrong with these nodes for the relay."""
        if self._mixed_since is None or not self._is_open:
            return []
        issue = find_mixed(hub, {node.name: node.endpoint for node in nodes}, self._mixed_since)
        return [] if issue is None else [issue]

    def clock_set(self, jump_s: float) -> None:
        """The wall clock was set: what began before is told by the clock as it is now."""
        if self._mixed_since is not None:
            self._mixed_since += jump_s

    def close(self) -> None:
        """Close the tap, in the loop's own thread."""
        self._tap.close()

    def remove(self) -> None:
        """Remove the tables."""
        self._tables.remove()
        self._journal.cross_out("relay", self._tables.table)

    def _begin(self, outside: Outside) -> None:
        existed = ("relay", self._tables.table) in self._journal and self._tables.exists()
        self._journal.write("relay", self._tables.table)
        self.switch.restore(saved_labels.load(self._path), clock.steady())
        if existed:
            # Endpoints of before are not known to us any more, but labels must stay; only the table's small maps are rebuilt.
            self._tables.forget_places()
        else:
            self._build(outside)

    def _rebuild(self, outside: Outside) -> None:
        log.warning("relay table was gone")
        self._build(outside)

    def _build(self, outside: Outside) -> None:
        self._tables.create(outside)
        now = clock.steady()
        self._tables.install(
            (Install(label, target), expires_at - now)
            for label, target, expires_at in self.switch.labels()
            if expires_at > now
        )

    def _received(self, message: bytes, source: Endpoint) -> None:
        if len(self._pending) >= MAX_WAITING:
            self.dropped += 1
            return
        self._pending.append(Heard(message, source, clock.monotonic()))
        self._arrived.set()

    def _switch_all(self, messages: list[Heard]) -> None:
        now = clock.steady()
        away = self._senses.find_away() if self.switch.places.trunks else ()
        forwards: list[tuple[bytes, Forward]] = []
        for heard in messages:
            message = heard.message
            decision = self.switch.handle(message, heard.source, now, away)
            if isinstance(decision, ForHub):
                self._look_now.set()
                continue
            if isinstance(decision, Forward):
                forwards.append((message, decision))
                self._held.note(message)
            if is_early(decision):
                self._held.keep(heard)
                self._look_now.set()
            installs = decision.installs if isinstance(decision, Forward) else (decision,)
            for install in installs:
                if isinstance(install, Install):
                    self._tables.install([(install, LABEL_LIFETIME_S)])
                    self._changed = True
        self._tables.commit()
        for message, forward in forwards:
            for place, to in enumerate(forward.to):
                if place == 0:
                    self._tap.send(message, to)
                else:
                    asyncio.get_running_loop().call_later(place * NEXT_WAY_S, self._tap.send, message, to)


def enable_forwarding(interface: str, journal: Journal) -> bool:
    """Let switched packets pass from the uplink to the uplink; the old value is journalled. True if nothing was forwarded there before."""
    key = f"net/ipv4/conf/{interface}/forwarding"
    before = sysctl.read(key)
    if before == "0":
        journal.write("sysctl", key, before)
        sysctl.write(key, "1")
    return ("sysctl", key) in journal
