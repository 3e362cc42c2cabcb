"""A hub that lies: nodes keep to what verifies, take it from the honest one, and name the liar."""

import asyncio
from pathlib import Path

from spokewire.errors import Code
from spokewire.host import clock
from spokewire.host.identity import load_identity
from spokewire.hub.membership import Membership
from spokewire.network.names import MachineName
from spokewire.network.roster import Roster
from spokewire.network.status import Issue
from spokewire.node.sync import Sync
from tests.component.made import Network
from tests.component.served import running, serve_hub, until

DEADLINE_S = 20.0


def tell(membership: Membership, *texts: str) -> None:
    """Hand documents to all followers as they are, as only a hub can that does not check what it takes."""
    for follower in membership.followers:
        follower.documents |= {f"lie {number}": text for number, text in enumerate(texts)}
        follower.news.set()


def test_nodes_take_from_the_honest_hub_what_the_liar_withholds_refuse_what_it_makes_up_and_name_it(
    tmp_path: Path,
) -> None:
    network, stranger = Network(), Network()
    node, peer = network.grant("node-1", 11), network.grant("node-2", 12)
    # A member of another network, a record altered on its way, and an old world: settings of before.
    foreign, altered = stranger.grant("node-9", 19).record(), peer.record(9)[:-4] + "AAAA"
    judged: dict[str, Issue | None] = {}

    async def scenario() -> Sync:
        async with (
            serve_hub(tmp_path / "honest", network, keepalive_s=0.2) as honest,
            serve_hub(tmp_path / "liar", network, keepalive_s=0.2, number=2) as liar,
        ):
            identity = load_identity(tmp_path / "node", "node", node.token(honest.url, liar.url))
            sync = Sync(
                identity,
                node.record(),
                Roster(network.root.public_key()),
                lambda _: None,
                lambda *_: None,
                lambda _: None,
            )
            sync.judged = judged.__setitem__
            async with running(sync.run(lambda _: lambda _: None)):
                await until(lambda: all(hub.membership.followers for hub in (honest, liar)), DEADLINE_S)
                honest.membership.take(network.settings(3))
                honest.membership.take(peer.record())
                tell(liar.membership, foreign, altered, network.settings(2))
                await until(
                    lambda: judged.get("hub-2") is not None and MachineName("node-2") in sync.roster.records, DEADLINE_S
                )
                assert len(sync.clients) == 2, "whatever it says, the stream of a liar is followed on"
            return sync

    sync = asyncio.run(scenario())
    issue = judged["hub-2"]
    assert issue is not None
    assert (issue.code, issue.subject) == (Code.HUB_MISLEADS, "hub-2")
    assert judged["hub-1"] is None
    assert sync.roster.version == 3
    assert {str(member.name) for member in sync.roster.members(clock.wall())} == {"hub-1", "hub-2", "node-1", "node-2"}
    assert sync.roster.records[MachineName("node-2")].text == peer.record()
