"""One network's tunnel on this machine: observe, plan, apply; differences only."""

import asyncio
import socket
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from spokewire.errors import Code, PermanentError, SpokewireError
from spokewire.host import clock, files, keys, sysctl
from spokewire.host.journal import Journal
from spokewire.host.links import Links
from spokewire.host.logs import log
from spokewire.host.routes import has_route
from spokewire.network.names import WireGuardKey
from spokewire.network.status import WireGuardStatus
from spokewire.network.topology import InterfaceSpec
from spokewire.wireguard import tool
from spokewire.wireguard.configuration import (
    ROAMED,
    Change,
    InterfaceObserved,
    RemovePeer,
    SetInterface,
    diff_interface,
)
from spokewire.wireguard.device import Device, Implementation


def load_or_make_key(path: Path) -> WireGuardKey:
    """Load the machine's WireGuard private key, or make it once; return its public half."""
    text = files.read(path)
    if text is None:
        text = keys.make_wireguard_key()
        files.write(path, text + "\n", files.PRIVATE)
    try:
        return keys.derive_wireguard_public_key(text.strip())
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
        self.implementation: Implementation | None = None
        self._key_file = key_file
        self._checked: IPv4Network | None = None
        self._public_key = public_key
        self.links = Links()
        self._device = Device(interface, self.links, journal)
        self._changing = asyncio.Lock()

    async def reconcile(self, wanted: InterfaceSpec) -> list[Repair]:
        """Make the interface what is wanted; return what was changed. Raises errors of ours; then nothing else was tried."""
        made_before = self._device.made
        self.implementation = await self._device.ensure()
        named = {peer.endpoint: peer.endpoint6 for peer in wanted.peers if peer.endpoint is not None}
        endpoints = await _resolve(named)
        async with self._changing:
            done = await asyncio.to_thread(self._apply, wanted, endpoints)
        return done if self._device.made == made_before else [Repair("interface-gone", "the interface was made anew")]

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

    async def forget_peers(self, keys: Collection[WireGuardKey]) -> None:
        """Remove peers with their sessions, those that are there; the next `reconcile` adds them again, which begins new handshakes."""
        gone = [] if self.observed is None else sorted(self.observed.peers.keys() & set(keys))
        if gone:
            removals: list[Change] = [RemovePeer(key, "its session is of no use any more") for key in gone]
            await asyncio.to_thread(tool.apply, self.interface, self._key_file, removals)

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
                self.observed = tool.observe(self.interface)
            except SpokewireError:
                log.debug("interface not seen", interface=self.interface)

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

    def handshake_age_s(self, key: WireGuardKey) -> float | None:
        """Seconds since the last handshake with a peer; None if there was none, or no such peer."""
        peer = None if self.observed is None else self.observed.peers.get(key)
        if peer is None or peer.last_handshake_at is None:
            return None
        return max(0.0, clock.wall() - peer.last_handshake_at)

    def transferred(self, key: WireGuardKey) -> tuple[int, int] | None:
        """Bytes received from and sent to a peer since it was added; None if there is no such peer."""
        peer = None if self.observed is None else self.observed.peers.get(key)
        return None if peer is None else (peer.received_bytes, peer.sent_bytes)

    def traffic(self) -> dict[WireGuardKey, int]:
        """Bytes of both directions by peer, as of the last look."""
        peers = {} if self.observed is None else self.observed.peers
        return {key: peer.received_bytes + peer.sent_bytes for key, peer in peers.items()}

    def endpoint(self, key: WireGuardKey) -> str | None:
        """Where a peer's packets come from."""
        peer = None if self.observed is None else self.observed.peers.get(key)
        return None if peer is None else peer.endpoint

    def _apply(self, wanted: InterfaceSpec, endpoints: Mapping[str, Sequence[str]]) -> list[Repair]:
        link = self.links.observe(self.interface)
        if link is None:
            raise PermanentError(Code.DEVICE_UNAVAILABLE, f"The interface {self.interface} has vanished.")
        done: list[Repair] = []
        observed = tool.observe(self.interface)
        if not link.is_up or link.mtu != wanted.mtu:
            # Before the addresses: below 1280 bytes a link has no IPv6, and above it has it again (RFC 8200 section 5).
            self.links.set_up(self.interface, wanted.mtu)
            link = self.links.observe(self.interface) or link
            done.append(Repair("interface-altered", f"brought up with MTU {wanted.mtu}"))
        has_ipv6 = sysctl.read(f"net/ipv6/conf/{self.interface}/disable_ipv6") == "0"
        addresses = {address for address in wanted.addresses if address.version == 4 or has_ipv6}  # noqa: PLR2004
        changes = diff_interface(wanted, self._public_key, observed, endpoints)
        if changes:
            tool.apply(self.interface, self._key_file, changes)
            done += [_tell(change) for change in changes]
        for address in sorted(addresses - link.addresses, key=str):
            self.links.add_address(self.interface, address)
            done.append(Repair("interface-altered", f"address {address} added"))
        for address in sorted(link.addresses - addresses, key=str):
            self.links.delete_address(self.interface, address)
            done.append(Repair("interface-altered", f"address {address} removed"))
        self.observed = tool.observe(self.interface) if changes else observed
        for repair in done:
            log.info("interface changed", interface=self.interface, code=repair.code, change=repair.text)
        return done


def _tell(change: Change) -> Repair:
    if isinstance(change, SetInterface):
        return Repair("interface-altered", change.reason)
    return Repair("endpoint-roamed" if change.reason == ROAMED else "peer-altered", f"a peer was set: {change.reason}")


async def _resolve(endpoints: Mapping[str, str | None]) -> dict[str, list[str]]:
    """Resolve each `host:port`, and what may be used in its place, to every `address:port`; one that cannot be resolved now is left out.

    The first address that we have a route to comes first, IPv4 before IPv6: a sealed relay switches within one family, and nearly everybody has that one.
    """
    resolved = {}
    for endpoint, instead in endpoints.items():
        found = [place for text in (endpoint, instead) if text is not None for place in await _look_up(text)]
        found.sort(key=lambda place: ":" in place[0])
        found.sort(key=lambda place: not has_route(place[0]))
        if found:
            resolved[endpoint] = [
                f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address, port in found
            ]
    return resolved


async def _look_up(endpoint: str) -> list[tuple[str, int]]:
    host, _, port = endpoint.rpartition(":")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)
    except (OSError, ValueError):
        log.warning("endpoint not resolved", endpoint=endpoint)
        return []
    return [(str(entry[4][0]), int(entry[4][1])) for entry in found]
