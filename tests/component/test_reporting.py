"""A node's reports to several hubs, one of which answers nothing any more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from spokewire.errors import Code, TemporaryError
from spokewire.host import clock
from spokewire.host.identity import load_identity
from spokewire.network.roster import Roster
from spokewire.node.reporting import INTERVAL_S, NODES_PER_SECOND, PATIENCE_S, Reporter
from spokewire.node.sync import Sync
from tests.builders import make_node_status
from tests.component.made import Machine, Network
from tests.component.served import DEADLINE_S, Hub, hub_record, running, serve_hub, until


@dataclass
class Gate:
    """Before a hub: passes what comes, until it is shut. Then connections stay as they are, and nothing passes."""

    port: int
    opened: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def make_gate(leads_to: int) -> AsyncIterator[Gate]:
    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await gate.opened.wait()
            writer.write(data)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", leads_to)
        tasks.update({asyncio.create_task(pass_on(reader, back)), asyncio.create_task(pass_on(there, writer))})

    tasks: set[asyncio.Task[None]] = set()
    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    gate = Gate(server.sockets[0].getsockname()[1])
    gate.opened.set()
    try:
        yield gate
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def follow(folder: Path, network: Network, node: Machine, *urls: str) -> tuple[Sync, Reporter]:
    identity = load_identity(folder, "node", node.token(*urls))
    roster = Roster(network.root.public_key())
    sync = Sync(identity, node.record(), roster, lambda _: None, lambda *_: None, lambda _: None)
    return sync, Reporter(identity, make_node_status, sync, lambda: 3)


def is_reported(hub: Hub) -> bool:
    report, _ = hub.parts.reports.find("node-1", clock.wall())
    return report is not None


def test_a_hub_that_hangs_keeps_no_report_from_the_other_and_is_named(tmp_path: Path) -> None:
    network = Network()
    node = network.grant("node-1", 11)

    async def scenario() -> None:
        async with (
            serve_hub(tmp_path / "one", network) as one,
            serve_hub(tmp_path / "two", network, number=2) as two,
            make_gate(two.port) as gate,
        ):
            for hub in (one, two):
                hub.membership.take(hub_record(two.machine, gate.port, two.certificate, sequence=2))
            sync, reporter = follow(tmp_path / "node", network, node, one.url, f"https://127.0.0.1:{gate.port}")
            async with running(sync.run(lambda _: lambda _: None)):
                await until(lambda: len(sync.clients) == 2, DEADLINE_S)
                hung = next(client for client in sync.clients.values() if client.member.name == "hub-2")
                gate.opened.clear()
                begun = clock.monotonic()
                with pytest.raises(TemporaryError, match="hub-2 did not take a report") as late:
                    await reporter.step()
                assert late.value.code is Code.TIMEOUT
                assert (is_reported(one), is_reported(two)) == (True, False)
                assert reporter.answered_at is not None
                assert reporter.answered_at - begun < PATIENCE_S
                await until(lambda: hung not in sync.clients.values(), DEADLINE_S)
                await reporter.step()
                gate.opened.set()
                await until(lambda: len(sync.clients) == 2, DEADLINE_S)
                await reporter.step()
                assert is_reported(two)

    asyncio.run(scenario())


@pytest.mark.parametrize(("nodes", "wait_s"), [(0, INTERVAL_S), (100, INTERVAL_S), (1000, 1000 / NODES_PER_SECOND)])
def test_the_more_nodes_the_less_often_each_reports(tmp_path: Path, nodes: int, wait_s: float) -> None:
    network = Network()
    node = network.grant("node-1", 11)
    identity = load_identity(tmp_path, "node", node.token("https://127.0.0.1:1"))
    sync = Sync(
        identity, node.record(), Roster(network.root.public_key()), lambda _: None, lambda *_: None, lambda _: None
    )
    assert Reporter(identity, make_node_status, sync, lambda: nodes).wait_s() == wait_s
