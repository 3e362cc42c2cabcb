"""A hub's API, served for real over TLS on this machine: no tunnel, no firewall, everything else as in the daemon."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client import CollectorRegistry

from spokewire.api.serve import Listener, Tls, listen
from spokewire.host import clock, keys
from spokewire.hub import api, metrics
from spokewire.hub.membership import Membership
from spokewire.hub.reports import Reports
from spokewire.hub.store import Store
from spokewire.hub.tests import Tests
from spokewire.network.roster import Roster
from spokewire.network.status import HubStatus, HubView, State
from tests.component.made import Machine, Network

DEADLINE_S = 10.0


@dataclass(frozen=True)
class Hub:
    """A hub whose API runs: where it is, and what it stands on."""

    network: Network
    machine: Machine
    parts: api.Parts
    url: str
    port: int
    certificate: str

    @property
    def membership(self) -> Membership:
        return self.parts.membership

    def http(self) -> httpx.AsyncClient:
        """A client that trusts whatever answers."""
        return httpx.AsyncClient(base_url=self.url, verify=insecure(), trust_env=False, timeout=DEADLINE_S)


def insecure() -> ssl.SSLContext:
    """TLS without any check, for looking at what is answered."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def make_parts(
    network: Network,
    hub: Machine,
    folder: Path,
    *,
    record: str = "",
    keepalive_s: float = 10.0,
    unheard_s: float | None = None,
) -> api.Parts:
    """What the API stands on, as the daemon builds it. A node that follows the API is heard; of others the last echo came `unheard_s` ago."""
    membership = Membership(Roster(network.root.public_key()), Store(folder / "hub.sqlite"), clock.wall)
    reports, registry = Reports(), CollectorRegistry()

    def status() -> HubStatus:
        now = clock.wall()
        following = {follower.name for follower in membership.followers}
        views = [
            HubView(
                name=node.name,
                overlay_ip=f"10.88.0.{node.grant.number}",
                report=reports.find(node.name, now)[0],
                last_echo_age_s=0.5 if node.name in following else unheard_s,
                api_connected=node.name in following,
            )
            for node in membership.roster.nodes(now)
        ]
        return HubStatus(
            name=hub.name,
            network=network.name,
            state=State.CONNECTED,
            reason="relaying",
            since=now,
            overlay_ip="10.88.0.1",
            settings_version=membership.roster.version,
            nodes=views,
            time=now,
            started_at=now,
            version="0",
        )

    async def refresh() -> None:
        """There is no tunnel to look at."""

    registry.register(metrics.HubCollector(status, lambda: len(membership.followers)))
    return api.Parts(
        name=hub.name,
        own_record=lambda: record,
        membership=membership,
        reports=reports,
        tests=Tests(),
        status=status,
        refresh=refresh,
        metrics=registry,
        now=clock.wall,
        monotonic=clock.monotonic,
        keepalive_s=keepalive_s,
    )


def make_tls(folder: Path, name: str = "hub-1") -> Tls:
    """A key and a self-made certificate in files."""
    folder.mkdir(exist_ok=True)
    tls = Tls(folder / "tls.key", folder / "tls.crt")
    key, certificate = keys.make_certificate(name)
    tls.key_file.write_text(key)
    tls.certificate_file.write_text(certificate)
    return tls


def hub_record(machine: Machine, port: int, certificate: str, sequence: int = 1) -> str:
    """A hub's own record."""
    return machine.record(
        sequence, endpoint="127.0.0.1:51820", api_url=f"https://127.0.0.1:{port}", certificate=certificate
    )


@asynccontextmanager
async def serve_hub(
    folder: Path,
    network: Network | None = None,
    *,
    keepalive_s: float = 10.0,
    number: int = 1,
    unheard_s: float | None = None,
) -> AsyncIterator[Hub]:
    """Serve the API of hub-1, or of another, until the block ends. Its network has settings, and its tunnel follows every change at once."""
    network = network or Network()
    machine, tls = network.grant(f"hub-{number}", number, role="hub"), make_tls(folder)
    certificate = tls.certificate_file.read_text()
    listener = listen(0, tls, "127.0.0.1")
    port = listener.sock.getsockname()[1]
    record = hub_record(machine, port, certificate)
    parts = make_parts(network, machine, folder, record=record, keepalive_s=keepalive_s, unheard_s=unheard_s)
    membership = parts.membership
    membership.take(record)
    membership.take(network.settings())

    async def follow_changes() -> None:
        while True:
            membership.applied(membership.version)
            await membership.changed.wait()
            membership.changed.clear()

    async with running(follow_changes()), serving(listener, api.build(parts)):
        yield Hub(network, machine, parts, f"https://127.0.0.1:{port}", port, certificate)
    membership.close()


@asynccontextmanager
async def serving(listener: Listener, app: Callable[..., Awaitable[None]], limit: int = 256) -> AsyncIterator[int]:
    """Serve an ASGI application until the block ends; yields the port."""
    port: int = listener.sock.getsockname()[1]
    async with running(listener.serve(app, limit)):
        yield port


@asynccontextmanager
async def running(part: Awaitable[None]) -> AsyncIterator[None]:
    """Run a part of a daemon beside the block, and cancel it when the block ends. If the part fails, so does the block."""

    async def run() -> None:
        await part

    task = asyncio.create_task(run(), name="part")
    try:
        await asyncio.sleep(0)
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def until(condition: Callable[[], bool], limit_s: float = DEADLINE_S) -> None:
    """Wait for a condition with a deadline, giving way to the other tasks."""
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.to_thread(_breathe)


def _breathe() -> None:
    """A turn of another thread: long enough for the loop to look at its sockets."""


async def speak(port: int, data: bytes, *, tls: bool = True, limit_s: float = DEADLINE_S) -> bytes:
    """Send raw bytes to a port of this machine, and read until it hangs up."""
    context = insecure() if tls else None
    async with asyncio.timeout(limit_s):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        try:
            writer.write(data)
            with contextlib.suppress(OSError):
                await writer.drain()
            answer = bytearray()
            with contextlib.suppress(OSError):
                while chunk := await reader.read(65536):
                    answer += chunk
            return bytes(answer)
        finally:
            writer.close()
