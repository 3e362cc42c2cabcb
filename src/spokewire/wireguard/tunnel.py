"""One network's tunnel on this machine: observe, plan, apply; differences only."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import TypeVar

from spokewire.errors import Code, PermanentError, SpokewireError, TemporaryError
from spokewire.host import clock, files, keys, processes, sysctl
from spokewire.host.journal import Journal
from spokewire.host.links import Links
from spokewire.host.logs import log
from spokewire.network.handshakes import Arrivals
from spokewire.network.ladder import Deafness, is_deaf
from spokewire.network.names import WireGuardKey
from spokewire.network.status import WireGuardStatus
from spokewire.network.topology import InterfaceSpec
from spokewire.wireguard import tool
from spokewire.wireguard.ages import Ages
from spokewire.wireguard.configuration import (
    MOVED,
    ROAMED,
    Change,
    InterfaceObserved,
    RemovePeer,
    SetInterface,
    diff_interface,
    find_strays,
    place_added,
)
from spokewire.wireguard.device import Device, Implementation
from spokewire.wireguard.resolving import resolve

T = TypeVar("T")

ANSWER_LIMIT_S = 3.0
"""A user-space device answers within milliseconds, on a busy machine within tenths of a second."""


def load_or_make_key(path: Path) -> WireGuardKey:
    """Load the machine's WireGuard private key, or make it once; return its public half."""
    text = files.read(path)
    if text is None:
        text = keys.make_wireguard_key()
        files.write(path, text + "\n", files.PRIVATE)
    # X25519 would load every cipher there is, 1.7 MB of each agent. One without `wg` shall still run, and say that it is missing.
    derive = tool.derive_public_key if processes.installed("wg") else keys.derive_wireguard_public_key
    try:
        return derive(text.strip())
    except ValueError as error:
        raise PermanentError(
            Code.KEY_FILE,
            f"{path} does not hold a WireGuard key.",
            hint="Restore it from a backup, or remove it and join with a new token.",
        ) from error


@dataclass(frozen=True)
class Repair:
    """Something that was not as wanted, and is now: a code for programs, and a sentence without anybody's endpoint."""

    code: str
    text: str


class Tunnel:
    """The WireGuard interface of one network, made and kept as its spec says."""

    def __init__(self, interface: str, key_file: Path, public_key: WireGuardKey, journal: Journal) -> None:
        self.interface = interface
        self.observed: InterfaceObserved | None = None
        """What the last `reconcile` saw after its changes."""
        self.observed_at = 0.0
        """When we looked last, in monotonic seconds."""
        self.implementation: Implementation | None = None
        self._key_file = key_file
        self._checked: IPv4Network | None = None
        self._public_key = public_key
        self.links = Links()
        self._device = Device(interface, self.links, journal)
        self._changing = asyncio.Lock()
        self._ages = Ages()
        self._deafness = Deafness()
        self._to_remake = False
        self._places: dict[WireGuardKey, str] = {}
        """Where each peer was last, whatever has become of the interface since."""
        self.strays: dict[WireGuardKey, str] = {}
        """Where WireGuard had roamed to with pinned peers, though the `reconcile` before had set them right."""
        self._pinned: dict[WireGuardKey, str | None] = {}

    async def reconcile(self, wanted: InterfaceSpec, forget: Collection[WireGuardKey] = ()) -> list[Repair]:
        """Make the interface what is wanted; return what was changed. Raises errors of ours; then nothing else was tried.

        Those peers of `forget` that are there are removed with their sessions and added again, which begins new handshakes.
        """
        made_before = self._device.made
        self.implementation = await self._device.ensure()
        remade = await self._remake_if_due()
        if remade is None:
            await self._forget_peers(forget)
        named: dict[str, str | None] = {place: None for peer in wanted.peers for place in peer.vouched}
        named |= {peer.endpoint: peer.endpoint6 for peer in wanted.peers if peer.endpoint is not None}
        endpoints = await resolve(named)
        async with self._changing:
            done = await asyncio.to_thread(self._apply, wanted, endpoints)
        if remade is not None:
            return remade
        return done if self._device.made == made_before else [Repair("interface-gone", "the interface was made anew")]

    async def _remake_if_due(self) -> list[Repair] | None:
        """Make a device anew that is deaf, or of which somebody asked that; return what that repaired, None if it was not done."""
        is_asked, unanswered = self._to_remake, self._deafness.unanswered
        if not is_asked and not is_deaf(self._deafness, clock.monotonic()):
            return None
        log.warning("making the device anew", interface=self.interface, unanswered=unanswered)
        self._to_remake, self._deafness = False, Deafness(remade_at=clock.monotonic())
        await self._device.remake()
        return [] if is_asked else [Repair("device-deaf", "the device did not answer any more: it was made anew")]

    @asynccontextmanager
    async def lifted(self, mtu: int) -> AsyncIterator[None]:
        """Let packets of up to `mtu` bytes out of the interface, for a moment: its MTU is what it was before as soon as they are on their way."""
        async with self._changing:
            link = await asyncio.to_thread(self.links.observe, self.interface)
            if link is None or link.mtu >= mtu:
                yield
                return
            await asyncio.to_thread(self.links.set_up, self.interface, mtu)
            try:
                yield
            finally:
                await asyncio.to_thread(self.links.set_up, self.interface, link.mtu)

    def remake(self) -> None:
        """Let the next `reconcile` make the device anew."""
        self._to_remake = True

    async def renew_peers(self, keys: Collection[WireGuardKey]) -> None:
        """Forget the sessions and timestamps of those peers that are there, and nothing else of them."""
        observed = {} if self.observed is None else self.observed.peers
        chosen = [observed[key] for key in sorted(observed.keys() & set(keys))]
        if chosen:
            async with self._changing:
                await asyncio.to_thread(self._asking, lambda limit_s: tool.renew_peers(self.interface, chosen, limit_s))

    async def wait_for_end(self) -> None:
        """Wait until the user-space device dies; for ever with an in-kernel one."""
        await self._device.wait_for_end()

    def check_overlaps(self, cidr: IPv4Network) -> None:
        """Refuse an address plan that overlaps with what this machine already routes, before anything is changed.

        Looked at once for each plan: what the machine's owner does later is not ours to stop.
        """
        if cidr == self._checked:
            return
        found = self.links.find_overlaps([cidr], ignore=self.interface)
        if found:
            raise PermanentError(
                Code.ADDRESS_OVERLAP,
                f"The overlay {cidr} overlaps with {found[0]} of this machine.",
                hint="Choose another cidr in spokewire.toml, or remove that route.",
            )
        self._checked = cidr

    def remove(self) -> None:
        """Remove the interface."""
        self._device.remove()
        self.observed = None

    def refresh(self) -> None:
        """Look at the interface again, if there is one; what cannot be seen now stays as it was seen last."""
        if self.observed is not None:
            try:
                self.observed = self._observe()
            except SpokewireError:
                log.debug("interface not seen", interface=self.interface)

    async def count(self) -> dict[WireGuardKey, Arrivals]:
        """Look again, and tell what has been received from each peer since it was added."""
        async with self._changing:
            await asyncio.to_thread(self.refresh)
        return self.arrivals()

    def arrivals(self) -> dict[WireGuardKey, Arrivals]:
        """What has been received from each peer since it was added, as of the last look."""
        peers = {} if self.observed is None else self.observed.peers
        return {key: Arrivals(self.observed_at, peer.received_bytes) for key, peer in peers.items()}

    def list_peers(self) -> frozenset[WireGuardKey]:
        """The peers that the interface has now; none where there is no interface yet."""
        try:
            return frozenset(tool.observe(self.interface, ANSWER_LIMIT_S).peers)
        except SpokewireError:
            return frozenset()

    def status(self) -> WireGuardStatus | None:
        """The interface in a few numbers; None before the first `reconcile`."""
        if self.observed is None or self.implementation is None:
            return None
        ages = [age for key in self.observed.peers if (age := self.handshake_age_s(key)) is not None]
        return WireGuardStatus(
            interface=self.interface,
            peer_count=len(self.observed.peers),
            max_last_handshake_sec=max(ages, default=None),
            device=self.implementation,
        )

    def has_lost_peers(self) -> bool:
        """Whether peers that were there have been removed by somebody else, as of the last look."""
        return self.observed is not None and not self._places.keys() <= self.observed.peers.keys()

    def handshake_age_s(self, key: WireGuardKey) -> float | None:
        """Seconds since the last handshake with a peer; None if there was none, or no such peer."""
        return self._ages.age_s(key, clock.steady())

    def transferred(self, key: WireGuardKey) -> tuple[int, int] | None:
        """Bytes received from and sent to a peer since it was added; None if there is no such peer."""
        peer = None if self.observed is None else self.observed.peers.get(key)
        return None if peer is None else (peer.received_bytes, peer.sent_bytes)

    def traffic(self) -> dict[WireGuardKey, int]:
        """Bytes of both directions by peer, as of the last look."""
        peers = {} if self.observed is None else self.observed.peers
        return {key: peer.received_bytes + peer.sent_bytes for key, peer in peers.items()}

    def find_local(self) -> list[str]:
        """This machine's own addresses by which others may call it, but those of the tunnel."""
        return self.links.list_addresses(ignore=self.interface)

    def port(self) -> int | None:
        """The UDP port of our side; None before it is known."""
        return None if self.observed is None else self.observed.listen_port or None

    def endpoint(self, key: WireGuardKey) -> str | None:
        """Where a peer's packets come from."""
        peer = None if self.observed is None else self.observed.peers.get(key)
        return None if peer is None else peer.endpoint

    async def _forget_peers(self, keys: Collection[WireGuardKey]) -> None:
        gone = [] if self.observed is None else sorted(self.observed.peers.keys() & set(keys))
        if gone:
            removals: list[Change] = [RemovePeer(key, "its session is of no use any more") for key in gone]
            await asyncio.to_thread(self._change, removals)

    def _apply(self, wanted: InterfaceSpec, endpoints: Mapping[str, Sequence[str]]) -> list[Repair]:
        link = self.links.observe(self.interface)
        if link is None:
            raise PermanentError(Code.DEVICE_UNAVAILABLE, f"The interface {self.interface} has vanished.")
        done: list[Repair] = []
        observed = self._observe()
        if not link.is_up or link.mtu != wanted.mtu:
            # Before the addresses: below 1280 bytes a link has no IPv6, and above it has it again (RFC 8200 section 5).
            self.links.set_up(self.interface, wanted.mtu)
            link = self.links.observe(self.interface) or link
            done.append(Repair("interface-altered", f"brought up with MTU {wanted.mtu}"))
        has_ipv6 = sysctl.read(f"net/ipv6/conf/{self.interface}/disable_ipv6") == "0"
        addresses = {address for address in wanted.addresses if address.version == 4 or has_ipv6}  # noqa: PLR2004
        keys = {peer.public_key for peer in wanted.peers}
        self._places = {key: place for key, place in dict(self._places).items() if key in keys}
        changes = diff_interface(wanted, self._public_key, observed, endpoints)
        changes = place_added(changes, observed, self._places)
        self.strays = find_strays(changes, observed, self._pinned)
        self._pinned = {peer.public_key: peer.endpoint for peer in wanted.peers if peer.is_pinned}
        if changes:
            self._change(changes)
            done += [_tell(change) for change in changes]
        for address in sorted(addresses - link.addresses, key=str):
            self.links.add_address(self.interface, address)
            done.append(Repair("interface-altered", f"address {address} added"))
        for address in sorted(link.addresses - addresses, key=str):
            self.links.delete_address(self.interface, address)
            done.append(Repair("interface-altered", f"address {address} removed"))
        for network in self.links.find_missing_routes(self.interface, addresses):
            self.links.add_route(self.interface, network)
            done.append(Repair("route-gone", f"the route to {network.network} was set"))
        self.observed = self._observe() if changes else observed
        for repair in done:
            log.info("interface changed", interface=self.interface, code=repair.code, change=repair.text)
        return done

    def _observe(self) -> InterfaceObserved:
        begun_at = clock.monotonic()
        observed = self._asking(lambda limit_s: tool.observe(self.interface, limit_s))
        handshakes = {key: peer.last_handshake_at for key, peer in observed.peers.items()}
        self._ages.note(handshakes, *clock.read())
        self.observed_at = begun_at
        self._places |= {key: peer.endpoint for key, peer in observed.peers.items() if peer.endpoint is not None}
        return observed

    def _change(self, changes: list[Change]) -> None:
        self._asking(lambda limit_s: tool.apply(self.interface, self._key_file, changes, limit_s))

    def _asking(self, ask: Callable[[float], T]) -> T:
        """Ask the device something, and note whether it answers. One in the kernel may take as long as the machine does."""
        limit_s = ANSWER_LIMIT_S if self.implementation is Implementation.USER_SPACE else processes.TIMEOUT_S
        try:
            answer = ask(limit_s)
        except TemporaryError as error:
            if error.code is Code.TIMEOUT:
                self._deafness = replace(self._deafness, unanswered=self._deafness.unanswered + 1)
            raise
        self._deafness = replace(self._deafness, unanswered=0)
        return answer


def _tell(change: Change) -> Repair:
    if isinstance(change, SetInterface):
        return Repair("interface-altered", change.reason)
    code = {ROAMED: "endpoint-roamed", MOVED: "peer-moved"}.get(change.reason, "peer-altered")
    return Repair(code, f"a peer was set: {change.reason}")
