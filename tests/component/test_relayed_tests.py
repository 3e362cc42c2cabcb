"""The operator's tests through the hub: the request reaches the nodes, and their own signed results come back."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from spokewire.api.client import HubClient, connect
from spokewire.api.messages import RosterLine, TestLine
from spokewire.errors import Code, TemporaryError
from spokewire.host import keys
from spokewire.hub.tests import MAX_TESTS
from tests.component.made import Machine
from tests.component.served import Hub, serve_hub


async def join(
    stack: AsyncExitStack, hub: Hub, *machines: Machine
) -> list[tuple[HubClient, AsyncGenerator[RosterLine, None]]]:
    """Machines that have joined and follow the roster."""
    joined = []
    for machine in machines:
        client = await stack.enter_async_context(connect(hub.url, machine.identity))
        await client.submit_record(machine.record())
        stream = client.stream_roster()
        stack.push_async_callback(stream.aclose)
        await anext(stream)
        joined.append((client, stream))
    return joined


async def next_test(stream: AsyncGenerator[RosterLine, None]) -> str:
    async for line in stream:
        if line.tests:
            return line.tests[0]
    raise AssertionError("the stream ended without a test request")


def test_results_come_back_as_they_arrive_and_absent_nodes_are_named(tmp_path: Path) -> None:
    async def scenario() -> list[TestLine]:
        async with serve_hub(tmp_path) as hub, AsyncExitStack() as stack:
            one, two = hub.network.grant("node-1", 11), hub.network.grant("node-2", 12)
            joined = await join(stack, hub, one, two)
            operator = await stack.enter_async_context(connect(hub.url, hub.network.operator))
            test = keys.make_id()
            request = hub.network.request(("node-1", "node-2"), ("node-2", "node-1"), ("node-3", "node-1"), test=test)
            lines = operator.run_test(request)
            seen = [await anext(lines)]
            for machine, (client, stream) in zip((one, two), joined, strict=True):
                assert await next_test(stream) == request
                assert (await client.submit_report(machine.result(test, "node-2"))).changed
                seen.append(await anext(lines))
            seen += [line async for line in lines]
            assert [line.result for line in seen[1:3]] == [one.result(test, "node-2"), two.result(test, "node-2")]
            return seen

    first, *_, last = asyncio.run(scenario())
    assert first == TestLine(absent=["node-3"])
    assert last == TestLine(done=True)


def test_a_node_whose_stream_is_dead_gets_the_request_by_its_next_one(tmp_path: Path) -> None:
    """One that was switched off and on is followed by its old stream for some seconds: nobody has told the hub that it is gone."""

    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, AsyncExitStack() as stack:
            node, other = hub.network.grant("node-1", 11), hub.network.grant("node-2", 12)
            await join(stack, hub, node, other)
            operator = await stack.enter_async_context(connect(hub.url, hub.network.operator))
            test = keys.make_id()
            request = hub.network.request(("node-1", "node-2"), test=test)
            lines = operator.run_test(request)
            await anext(lines)
            back = await stack.enter_async_context(connect(hub.url, node.identity))
            first = await anext(back.stream_roster())
            assert first.tests == [request]
            bystander = await stack.enter_async_context(connect(hub.url, other.identity))
            assert (await anext(bystander.stream_roster())).tests == []
            await back.submit_report(node.result(test, "node-2"))
            again = await stack.enter_async_context(connect(hub.url, node.identity))
            assert (await anext(again.stream_roster())).tests == [], "it has answered"
            assert node.result(test, "node-2") in [line.result async for line in lines]

    asyncio.run(scenario())


def test_a_node_that_answers_again_and_again_neither_ends_the_test_nor_fills_the_hub(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, AsyncExitStack() as stack:
            honest, noisy = hub.network.grant("node-1", 11), hub.network.grant("node-2", 12)
            bystander = hub.network.grant("node-3", 13)
            (client, _), (flooding, _), (unasked, _) = await join(stack, hub, honest, noisy, bystander)
            operator = await stack.enter_async_context(connect(hub.url, hub.network.operator))
            test = keys.make_id()
            lines = operator.run_test(hub.network.request(("node-1", "node-2"), ("node-2", "node-1"), test=test))
            await anext(lines)
            changed = [(await flooding.submit_report(noisy.result(test, "node-1"))).changed for _ in range(20)]
            assert changed == [True] + [False] * 19
            assert not (await unasked.submit_report(bystander.result(test, "node-1"))).changed
            await client.submit_report(honest.result(test, "node-2"))
            results = {line.result async for line in lines}
            assert results == {honest.result(test, "node-2"), noisy.result(test, "node-1"), None}

    asyncio.run(scenario())


def test_a_result_that_nobody_waits_for_is_taken_and_dropped(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, AsyncExitStack() as stack:
            node = hub.network.grant("node-1")
            [(client, _)] = await join(stack, hub, node)
            assert not (await client.submit_report(node.result(keys.make_id(), "node-2"))).changed

    asyncio.run(scenario())


def test_an_operator_who_waits_for_slow_nodes_hears_that_the_hub_still_waits_too(tmp_path: Path) -> None:
    """A pair that fails in every way takes longer than a client believes in a silent stream."""

    async def scenario() -> None:
        async with serve_hub(tmp_path, keepalive_s=0.05) as hub, AsyncExitStack() as stack:
            node = hub.network.grant("node-1")
            [(client, _)] = await join(stack, hub, node)
            operator = await stack.enter_async_context(connect(hub.url, hub.network.operator))
            test = keys.make_id()
            lines = operator.run_test(hub.network.request(("node-1", "node-2"), test=test))
            assert [await anext(lines) for _ in range(4)] == [TestLine()] * 4
            await client.submit_report(node.result(test, "node-2"))
            rest = [line async for line in lines]
            assert rest[-1].done
            assert node.result(test, "node-2") in [line.result for line in rest]

    asyncio.run(scenario())


def test_too_many_tests_at_once_are_refused_until_others_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, AsyncExitStack() as stack:
            await join(stack, hub, hub.network.grant("node-1"))
            operator = await stack.enter_async_context(connect(hub.url, hub.network.operator))
            running = [operator.run_test(hub.network.request(("node-1", "node-2"))) for _ in range(MAX_TESTS)]
            for lines in running:
                await anext(lines)
            with pytest.raises(TemporaryError) as refused:
                await anext(operator.run_test(hub.network.request(("node-1", "node-2"))))
            assert refused.value.code is Code.BUSY
            for lines in running:
                await lines.aclose()
            again = operator.run_test(hub.network.request(("node-9", "node-1")))
            while True:
                try:
                    assert (await anext(again)).absent == ["node-9"]
                    break
                except TemporaryError:
                    again = operator.run_test(hub.network.request(("node-9", "node-1")))

    asyncio.run(asyncio.wait_for(scenario(), 10))
