"""The roster stream: the whole first, then changes; and what becomes of readers that are slow, many, or revoked."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from spokewire.api.client import HubClient, connect
from spokewire.api.messages import RosterLine
from spokewire.errors import Code, InputError
from spokewire.hub.membership import MAX_STREAMS, Follower
from tests.component.made import Machine, Network, make_public_key
from tests.component.served import DEADLINE_S, Hub, make_parts, serve_hub, until


async def open_client(stack: AsyncExitStack, hub: Hub, machine: Machine | None = None) -> HubClient:
    identity = hub.network.operator if machine is None else machine.identity
    return await stack.enter_async_context(connect(hub.url, identity))


def test_a_follower_hears_the_whole_roster_first_and_then_only_what_changes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, AsyncExitStack() as stack:
            node, other = hub.network.grant("node-1", 11), hub.network.grant("node-2", 12)
            hub.membership.take(node.record())
            stream = (await open_client(stack, hub, node)).stream_roster()
            first = await anext(stream)
            assert set(first.documents) == set(hub.membership.roster.documents())
            assert len(first.documents) == 3
            hub.membership.take(other.record())
            assert (await anext(stream)).documents == [other.record()]
            await stream.aclose()

    asyncio.run(scenario())


def test_many_changes_at_once_come_as_one_line_with_the_newest_of_each(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, AsyncExitStack() as stack:
            stream = (await open_client(stack, hub)).stream_roster()
            await anext(stream)
            machines = [hub.network.grant(f"node-{n}", 10 + n) for n in range(1, 6)]
            for sequence in range(1, 5):
                for machine in machines:
                    hub.membership.take(machine.record(sequence))
            line = await anext(stream)
            assert sorted(line.documents) == sorted(machine.record(4) for machine in machines)
            await stream.aclose()

    asyncio.run(scenario())


def test_a_reader_that_never_reads_is_owed_no_more_than_the_roster_itself(tmp_path: Path) -> None:
    async def scenario() -> Follower:
        async with serve_hub(tmp_path) as hub:
            node = hub.network.grant("node-1")
            follower = hub.membership.follow(None, "")
            for sequence in range(1, 201):
                hub.membership.take(node.record(sequence))
                hub.membership.take(hub.network.settings(sequence + 1))
            return follower

    follower = asyncio.run(scenario())
    assert len(follower.documents) == 3, "the hub, the node and the settings"


def test_a_stream_without_news_is_kept_alive(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path, keepalive_s=0.05) as hub, AsyncExitStack() as stack:
            stream = (await open_client(stack, hub)).stream_roster()
            assert (await anext(stream)).documents
            assert [await anext(stream) for _ in range(3)] == [RosterLine()] * 3
            await stream.aclose()

    asyncio.run(scenario())


async def read_until(stream: AsyncGenerator[RosterLine, None], clone: str) -> None:
    """Read on until a line says this of a clone: one that was written before may still be on its way."""
    async with asyncio.timeout(DEADLINE_S):
        while (await anext(stream)).clone != clone:
            continue


def test_a_node_that_exists_twice_is_told_so_and_nobody_else_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path, keepalive_s=0.05) as hub, AsyncExitStack() as stack:
            node, other = hub.network.grant("node-1", 11), hub.network.grant("node-2", 12)
            for machine in (node, other):
                hub.membership.take(machine.record())
            mine = (await open_client(stack, hub, node)).stream_roster()
            theirs = (await open_client(stack, hub, other)).stream_roster()
            assert [(await anext(stream)).clone for stream in (mine, theirs)] == ["", ""]
            hub.membership.tell_clones({"node-1": "machine-copied"})
            await read_until(mine, "machine-copied")
            assert [(await anext(mine)).clone for _ in range(3)] == ["machine-copied"] * 3
            hub.membership.tell_clones({})
            await read_until(mine, "")
            assert [(await anext(theirs)).clone for _ in range(3)] == [""] * 3
            for stream in (mine, theirs):
                await stream.aclose()

    asyncio.run(scenario())


def test_a_second_machine_with_a_token_that_is_in_use_is_remembered(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, AsyncExitStack() as stack:
            node = hub.network.grant("node-1", 11)
            hub.membership.take(node.record())
            client = await open_client(stack, hub, node)
            await client.submit_record(node.record())
            assert hub.parts.reports.find_clones({"node-1": "10.88.0.11"}, hub.parts.monotonic()) == {}
            with pytest.raises(InputError) as refused:
                await client.submit_record(node.record(2, wireguard_key=make_public_key()))
            assert refused.value.code is Code.GRANT_IN_USE
            told = hub.parts.reports.find_clones({"node-1": "10.88.0.11"}, hub.parts.monotonic())
            assert told == {"node-1": Code.GRANT_IN_USE}

    asyncio.run(scenario())


@pytest.mark.parametrize("superseded", [False, True], ids=["revoked", "superseded by a newer token"])
def test_a_node_that_is_out_loses_its_stream_at_once_and_the_others_keep_theirs(
    tmp_path: Path, superseded: bool
) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, AsyncExitStack() as stack:
            out, stays = hub.network.grant("node-1", 11), hub.network.grant("node-2", 12)
            for machine in (out, stays):
                hub.membership.take(machine.record())
            streams = [(await open_client(stack, hub, machine)).stream_roster() for machine in (out, stays)]
            for stream in streams:
                await anext(stream)
            newer = hub.network.grant("node-1", 11, later_ms=1000).record()
            hub.membership.take(newer if superseded else hub.network.settings(2, out))
            async with asyncio.timeout(2.0):
                async for _ in streams[0]:
                    pass
                assert (await anext(streams[1])).documents
            await until(lambda: len(hub.membership.followers) == 1)
            await streams[1].aclose()

    asyncio.run(scenario())


def test_one_node_cannot_take_up_the_room_of_the_others_with_streams(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, AsyncExitStack() as stack:
            node = hub.network.grant("node-1")
            hub.membership.take(node.record())
            client = await open_client(stack, hub, node)
            streams = [client.stream_roster() for _ in range(MAX_STREAMS + 3)]
            for stream in streams:
                await anext(stream)
            await until(lambda: len(hub.membership.followers) == MAX_STREAMS)
            for stream in streams[:3]:
                async with asyncio.timeout(DEADLINE_S):
                    assert not any([line.documents async for line in stream]), "it ends, with nothing new"
            for stream in streams[3:]:
                await stream.aclose()

    asyncio.run(scenario())


def test_nobody_is_told_of_a_change_before_the_hub_itself_has_carried_it_out(tmp_path: Path) -> None:
    network = Network()
    membership = make_parts(network, network.grant("hub-1", 1, role="hub"), tmp_path).membership

    async def scenario() -> None:
        membership.take(network.grant("node-1").record())
        waiting = asyncio.create_task(membership.wait_until_applied(DEADLINE_S))
        membership.applied(membership.version - 1)
        await asyncio.sleep(0)
        assert not waiting.done()
        membership.applied(membership.version)
        async with asyncio.timeout(DEADLINE_S):
            await waiting

    asyncio.run(scenario())
    membership.close()
