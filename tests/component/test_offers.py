"""What a hub lost it is told again by those who know it."""

import asyncio
from pathlib import Path

import pytest

from spokewire.api.client import connect
from spokewire.errors import Code, InputError
from spokewire.host import clock
from spokewire.host.identity import load_identity
from spokewire.network.names import MachineName
from spokewire.network.roster import Roster, merge
from spokewire.node.offers import INTERVAL_S, MOST_AT_ONCE, Offers
from spokewire.node.sync import Sync
from tests.component.made import Machine, Network, make_public_key
from tests.component.served import Hub, running, serve_hub

DEADLINE_S = 20.0


def follow(folder: Path, network: Network, node: Machine, hub: Hub, known: list[str]) -> Sync:
    """A node that has these documents on its disk."""
    identity = load_identity(folder, "node", node.token(hub.url))
    roster = merge(Roster(network.root.public_key()), known, clock.wall()).roster
    return Sync(identity, node.record(), roster, lambda _: None, lambda *_: None, lambda _: None)


def test_a_hub_that_lost_its_documents_learns_a_stock_clients_and_another_hubs_record_from_a_node(
    tmp_path: Path,
) -> None:
    network = Network()
    node, phone, other = network.grant("node-1", 11), network.grant("phone", 12), network.grant("hub-2", 2, role="hub")
    revoked = network.grant("node-9", 19)
    gone = other.record(endpoint="127.0.0.2:51820", api_url="https://127.0.0.2:1", certificate="none")

    async def scenario() -> None:
        async with serve_hub(tmp_path / "hub", network, keepalive_s=0.2) as hub:
            known = [network.settings(2, revoked), phone.record(2), gone, revoked.record()]
            sync = follow(tmp_path / "node", network, node, hub, known)
            async with running(sync.run(lambda _: lambda _: None)), asyncio.timeout(DEADLINE_S):
                while not {phone.record(2), gone} <= set(hub.membership.roster.documents()):
                    hub.membership.changed.clear()
                    await hub.membership.changed.wait()
            assert revoked.name not in hub.membership.roster.records

    asyncio.run(scenario())


def test_a_member_may_hand_in_anothers_record_and_the_newer_one_wins(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub:
            node, phone = hub.network.grant("node-1", 11), hub.network.grant("phone", 12)
            hub.membership.take(node.record())
            async with connect(hub.url, node.identity) as client:
                assert (await client.submit_record(phone.record(2))).changed
                with pytest.raises(InputError) as refused:
                    await client.submit_record(phone.record(1))
                assert refused.value.code is Code.DOCUMENT_STALE
                with pytest.raises(InputError) as refused:
                    await client.submit_record(phone.record(3, wireguard_key=make_public_key()))
                assert refused.value.code is Code.GRANT_IN_USE
            assert hub.membership.roster.records[MachineName(phone.name)].text == phone.record(2)
            assert hub.parts.reports.find_clones({phone.name: "10.88.0.12"}, clock.monotonic()) == {}

    asyncio.run(scenario())


def test_only_what_the_hub_does_not_have_is_offered_a_few_at_a_time_and_not_at_once() -> None:
    known = [f"record {number}" for number in range(10)]
    offers = Offers(100.0)
    offers.hear(known[:5])
    assert offers.choose(known, 100.5) == []
    chosen = offers.choose(known, 110.0)
    assert len(chosen) == len(set(chosen)) == MOST_AT_ONCE
    assert set(chosen) <= set(known[5:])
    offers.hear(chosen)
    assert offers.choose(known, 110.5) == []
    assert offers.choose(known, 110.0 + INTERVAL_S) == [text for text in known[5:] if text not in chosen]
