"""The operator brings every hub what any of them holds, and asks all of them for a proof."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from spokewire.api.client import connect
from spokewire.cloud.host import HostProvider
from spokewire.deploy.delivery import Delivery
from spokewire.deploy.keeper import Keeper, State
from spokewire.deploy.operator import Operator
from spokewire.deploy.prove import prove
from spokewire.errors import Code, InputError, SpokewireError
from spokewire.host import clock, keys
from spokewire.host.identity import Identity
from spokewire.network.documents import Settings, sign
from spokewire.network.names import MachineName
from spokewire.network.roster import Roster
from spokewire.network.spec import ProviderName
from spokewire.network.specfile import parse_spec
from spokewire.network.token import parse_token
from spokewire.node import tests as node_tests
from spokewire.node.probe import Prober
from tests.component.made import Machine, Network
from tests.component.served import Hub, running, serve_hub, until

SPEC = """
[network]
name = "made"
relay = "routed"
"""


def operate(folder: Path, network: Network, *ports: int) -> Operator:
    """An operator whose hubs are on hosts of the operator's own."""
    hubs = "".join(
        f'[[hubs]]\nname = "hub-{number}"\nprovider = "host"\naddress = "127.0.0.1"\napi_port = {port}\n'
        for number, port in enumerate(ports, 1)
    )
    keeper = Keeper(folder / "spokewire.toml")
    keeper.store_key(network.root)
    return Operator(parse_spec(SPEC + hubs), keeper, {ProviderName.HOST: HostProvider()}, network.id)


@asynccontextmanager
async def two_hubs(folder: Path) -> AsyncIterator[tuple[Hub, Hub, Operator]]:
    network = Network()
    (folder / "one").mkdir()
    (folder / "two").mkdir()
    async with (
        serve_hub(folder / "one", network, unheard_s=60) as one,
        serve_hub(folder / "two", network, number=2, unheard_s=60) as two,
    ):
        yield one, two, operate(folder, network, one.port, two.port)


async def settle(delivery: Delivery, operator: Operator) -> None:
    async with asyncio.TaskGroup() as group:
        for hub in operator.spec.hubs:
            group.create_task(delivery.settle(hub, lambda _: None))


def test_whatever_any_hub_knows_is_brought_to_every_hub(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with two_hubs(tmp_path) as (one, two, operator):
            known = [one.network.grant("node-1", 11), one.network.grant("node-2", 12), one.network.grant("phone", 13)]
            for machine, hub in zip(known, (one, two, one), strict=True):
                hub.membership.take(machine.record())
            one.membership.take(one.network.settings(7))
            delivery = Delivery(operator, one.network.root, {}, [], renew=False)
            await settle(delivery, operator)
            assert set(delivery.ready) == {"hub-1", "hub-2"}
            assert set(one.membership.roster.documents()) == set(two.membership.roster.documents())
            assert set(one.membership.roster.records) == {"hub-1", "hub-2", "node-1", "node-2", "phone"}
            assert one.membership.roster.version == two.membership.roster.version == 7

    asyncio.run(scenario())


def test_new_settings_are_signed_once_for_all_hubs_and_a_removed_hub_is_told_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "three").mkdir()
        async with (
            two_hubs(tmp_path) as (one, two, operator),
            serve_hub(tmp_path / "three", one.network, number=3) as three,
        ):
            one.membership.take(one.network.settings(5))
            delivery = Delivery(operator, one.network.root, {}, [MachineName("hub-3")], renew=True)
            await settle(delivery, operator)
            assert one.membership.roster.settings_text == two.membership.roster.settings_text
            assert one.membership.roster.settings is not None
            assert list(one.membership.roster.settings.removed) == ["hub-3"]
            assert operator.keeper.load_state().settings == one.membership.roster.settings_text
            await delivery.take_leave(three.url)
            assert three.membership.roster.is_revoked(three.machine.grant)
            await delivery.take_leave("https://127.0.0.1:9")

    asyncio.run(scenario())


def test_a_hub_drains_while_it_is_made_anew_and_carries_its_share_again_afterwards(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with two_hubs(tmp_path) as (one, two, operator):
            delivery = Delivery(operator, one.network.root, {}, [], renew=True)
            assert not delivery.can_spare(MachineName("hub-2"))
            await settle(delivery, operator)
            assert delivery.can_spare(MachineName("hub-2"))
            first = one.membership.roster.version
            await delivery.drain([MachineName("hub-2")])
            for hub in (one, two):
                assert hub.membership.roster.settings is not None
                assert hub.membership.roster.settings.policy("hub-2").drain
                assert not hub.membership.roster.settings.policy("hub-1").drain
            await delivery.drain(())
            for hub in (one, two):
                assert hub.membership.roster.settings is not None
                assert hub.membership.roster.settings.hubs == {}
                assert hub.membership.roster.version > first + 1

    asyncio.run(scenario())


def test_a_hub_that_answers_alone_and_knows_nothing_does_not_make_a_revocation_forgotten(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with two_hubs(tmp_path) as (one, _, _):
            operator = operate(tmp_path, one.network, one.port)
            values = {"network": one.network.id, "version": 9, "cidr": "10.88.0.0/24", "relay": "routed"}
            kept = Settings.model_validate(values | {"removed": {"node-9": 5}})
            operator.keeper.store_state(State(settings=sign(kept, one.network.root)))
            await settle(Delivery(operator, one.network.root, {}, [], renew=True), operator)
            assert one.membership.roster.settings is not None
            assert one.membership.roster.settings.removed == {"node-9": 5}
            assert one.membership.roster.version > 9

    asyncio.run(scenario())


def test_a_hub_that_is_away_keeps_nothing_from_the_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with two_hubs(tmp_path) as (one, two, _):
            operator = operate(tmp_path, one.network, one.port, two.port, 9)
            two.membership.take(one.network.grant("node-1").record())
            delivery = Delivery(operator, one.network.root, {}, [], renew=False)
            for hub in operator.spec.hubs[:2]:
                await delivery.settle(hub, lambda _: None)
            delivery.ready[MachineName("hub-3")] = "https://127.0.0.1:9"
            await delivery.spread()
            assert "node-1" in one.membership.roster.records
            assert operator.errors["hub-3"].code is Code.API_UNREACHABLE

    asyncio.run(scenario())


async def answer(hub: Hub, machine: Machine, *targets: str) -> None:
    """A node that listens to one hub's API, and answers every request at once."""
    async with connect(hub.url, machine.identity) as client:
        await client.submit_record(machine.record())
        async for line in client.stream_roster():
            for text in line.tests:
                test = _read_id(text)
                for target in targets:
                    await client.submit_report(machine.result(test, target))


def _read_id(text: str) -> str:
    import base64
    import json

    body = text.split(".")[1]
    found: str = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["id"]
    return found


def test_a_proof_reaches_nodes_that_listen_to_different_hubs_and_names_one_that_listens_to_none(tmp_path: Path) -> None:
    async def scenario() -> dict[tuple[str, str], str]:
        async with two_hubs(tmp_path) as (one, two, operator), AsyncExitStack():
            first, second, third = (one.network.grant(f"node-{n}", 10 + n) for n in (1, 2, 3))
            one.membership.take(third.record())
            tasks = [
                asyncio.create_task(answer(one, first, "node-2")),
                asyncio.create_task(answer(two, second, "node-1")),
            ]
            await until(lambda: len(one.membership.followers) == len(two.membership.followers) == 1)
            verdict = await prove(operator, one.network.root, bandwidth=False, progress=lambda _: None)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            return {(pair.source, pair.target): pair.error for pair in verdict.pairs}

    errors = asyncio.run(asyncio.wait_for(scenario(), 30))
    assert errors[("node-1", "node-2")] == errors[("node-2", "node-1")] == ""
    assert errors[("node-3", "node-1")] == "node-3 listens to no hub's API"
    assert errors[("node-1", "node-3")] == "no result arrived in time"


def test_a_request_that_reaches_a_node_through_two_hubs_is_carried_out_once(tmp_path: Path) -> None:
    async def scenario() -> list[bool]:
        async with two_hubs(tmp_path) as (one, two, _), AsyncExitStack() as stack:
            node, root = one.network.grant("node-1"), one.network.root.public_key()
            clients = [await stack.enter_async_context(connect(hub.url, node.identity)) for hub in (one, two)]
            for client in clients:
                await client.submit_record(node.record())
            identity = Identity(parse_token(node.token(one.url, two.url), clock.wall()), tmp_path)
            tests = node_tests.Tests(identity, Prober(lambda *_: None), lambda: Roster(root), lambda: clients)
            test = keys.make_id()
            request = one.network.request(("node-1", "node-2"), test=test)
            waiting = [hub.parts.tests.begin(test, request, ["node-1"]) for hub in (one, two)]
            for client in clients:
                tests.request(request, client)
            another = one.network.request(("node-1", "node-2"))
            tests.request(another, clients[1])
            last = two.parts.tests.begin(_read_id(another), another, ["node-1"])
            async with running(tests.run()):
                await until(lambda: not last.awaited)
            return [not each.awaited for each in waiting]

    assert asyncio.run(scenario()) == [True, False]


def test_without_any_hub_that_answers_a_proof_says_why(tmp_path: Path) -> None:
    async def scenario() -> SpokewireError:
        network = Network()
        with pytest.raises(SpokewireError) as caught:
            await prove(operate(tmp_path, network, 9), network.root, bandwidth=False, progress=lambda _: None)
        return caught.value

    error = asyncio.run(scenario())
    assert error.code is Code.API_UNREACHABLE
    assert not isinstance(error, InputError)
