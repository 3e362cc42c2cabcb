"""What two nodes say to each other first: WireGuard calls with the first packet, and two calls that cross end each other."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from spokewire.host import clock
from spokewire.host.echo import EchoService
from spokewire.network.documents import HubPolicy, Settings, sign
from spokewire.network.handshakes import GREETING_S
from spokewire.network.names import MachineName, WireGuardKey
from spokewire.network.relays import Relay
from spokewire.network.roster import Roster, merge
from spokewire.network.shares import find_share, name_pair
from spokewire.node.direct import Directs
from spokewire.node.paths import Paths
from spokewire.node.probe import Prober
from spokewire.node.targets import Target
from spokewire.relay.places import Endpoint
from tests.component.made import Machine, Network, make_public_key
from tests.component.served import until

HERE, THERE = "127.0.0.72", "127.0.0.71"
NUMBERS = {"hub-1": 1, "hub-2": 2, "node-1": 71, "node-2": 72}


class ClosedPort:
    """No direct path can be looked for."""

    port: int | None = None

    def send(self, message: bytes, to: Endpoint) -> None:
        raise AssertionError((message, to))


def make_machines(network: Network) -> dict[str, Machine]:
    return {
        name: network.grant(name, number, role="hub" if name.startswith("hub") else "node")
        for name, number in NUMBERS.items()
    }


def make_roster(network: Network, machines: Mapping[str, Machine]) -> Roster:
    """A sealed network of these machines, whose overlay is on loopback."""
    values = {"network": network.id, "version": 1, "cidr": "127.0.0.0/24", "relay": Relay.SEALED}
    settings = Settings.model_validate(values)
    texts = [sign(settings, network.root)]
    for name, machine in machines.items():
        is_hub = name.startswith("hub")
        place = {"endpoint": "127.0.0.1:51820", "api_url": "https://127.0.0.1:1", "certificate": "none"}
        texts.append(machine.record(1, **place) if is_hub else machine.record())
    merged = merge(Roster(network.root.public_key()), texts, clock.wall())
    assert not merged.refusals
    return merged.roster


def test_a_node_says_nothing_to_a_peer_that_calls_first_until_that_one_is_heard_or_late() -> None:
    async def scenario() -> tuple[list[str], int, list[str]]:
        network = Network()
        machines = make_machines(network)
        roster = make_roster(network, machines)
        me, calls = (
            machines["node-2"].grant,
            Target("node-1", is_hub=False, peer=WireGuardKey(make_public_key()), calls=False),
        )
        told: list[str] = []
        asked: list[str] = []
        prober = Prober(lambda _watched, _before: None)
        paths = Paths(me, prober, Directs(me, ClosedPort(), list), lambda _: None)
        far = EchoService(asked=lambda address, *_: asked.append(address))
        far.other = lambda _data, address: told.append(address)
        await prober.service.open(HERE)
        await far.open(THERE)
        prober.watch({THERE: calls}, ask_now=[calls.peer] if calls.peer else [])
        paths.know(roster, None, clock.wall())
        prober.hurry()
        begun = clock.monotonic()
        await prober.step()
        paths.step()
        assert prober.watched[THERE].trail.sequence == 0, "nothing was asked yet, whatever happened"
        far.ask(HERE, 1)
        await until(lambda: bool(asked))
        heard_s = clock.monotonic() - begun
        assert heard_s < GREETING_S, "it answered at once, and did not wait any longer"
        # What was said before this answer has arrived before it.
        before = list(told)
        paths.know(replace(roster), None, clock.wall())
        await until(lambda: bool(told))
        prober.service.close()
        far.close()
        return before, len(asked), told

    before, asked, told = asyncio.run(scenario())
    assert before == []
    assert asked == 1
    assert told == [HERE]


@pytest.mark.parametrize("was_heard", [False, True])
def test_a_pair_begins_on_its_share_though_another_hub_was_known_sooner_and_stays_where_it_has_spoken(
    *, was_heard: bool
) -> None:
    network = Network()
    machines = make_machines(network)
    hubs = {name: HubPolicy() for name in (MachineName("hub-1"), MachineName("hub-2"))}
    share = find_share(name_pair(MachineName("node-1"), MachineName("node-2")), hubs)
    [early] = hubs.keys() - {share}
    first = make_roster(network, {name: machine for name, machine in machines.items() if name != share})
    both = make_roster(network, machines)
    endpoints = {WireGuardKey(machines[name].wireguard_key): name for name in (early, share)}
    endpoints[WireGuardKey(machines["node-1"].wireguard_key)] = early
    me, prober = machines["node-2"].grant, Prober(lambda _watched, _before: None)
    paths = Paths(me, prober, Directs(me, ClosedPort(), list), endpoints.get)
    prober.watch({THERE: Target("node-1", is_hub=False, peer=None, calls=True)})
    trail = prober.watched[THERE].trail
    if was_heard:
        trail.answer(trail.send(clock.monotonic()), 1, clock.monotonic())
    for roster in (first, both):
        paths.know(roster, None, clock.wall())
    assert paths.choices[MachineName("node-1")].hub == (early if was_heard else share)
