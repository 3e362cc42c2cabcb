"""How long it takes to verify and to turn into WireGuard configurations a network of many nodes."""

import time

from spokewire.host import keys
from spokewire.network.documents import Grant, Record, Settings, sign
from spokewire.network.keys import derive_network_id, format_public_key
from spokewire.network.relays import Relay
from spokewire.network.roster import Roster, merge
from spokewire.network.topology import plan_hub, plan_node
from spokewire.wireguard.configuration import InterfaceObserved, SetPeer, diff_interface, format_peers, format_wg_quick

ROUNDS = 5
NOW = 1_800_000_000.0


def measure_configuration(nodes: int) -> dict[str, list[float]]:
    """Seconds, by what was measured, of several rounds."""
    documents, me = _make_documents(nodes)
    found: dict[str, list[float]] = {
        f"verify the {nodes + 2} documents": [],
        f"configuration of the hub and of all {nodes} nodes": [],
    }
    verify, configure = found.values()
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        roster = merge(me, documents, NOW).roster
        verify.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        size = _configure(roster)
        configure.append(time.perf_counter() - begun)
        if size < nodes:
            raise SystemExit("the configuration is incomplete")
    return found


def _configure(roster: Roster) -> int:
    hub = roster.hubs(NOW)[0]
    wanted = plan_hub(roster, hub.grant, NOW)
    assert wanted is not None
    changes = diff_interface(wanted, wanted.peers[0].public_key, InterfaceObserved(None, 0, {}), {})
    text = format_peers([change for change in changes if isinstance(change, SetPeer)])
    for node in roster.nodes(NOW):
        interface = plan_node(roster, node.grant, NOW)
        assert interface is not None
        text += format_wg_quick(interface, "", "")
    return text.count("[Peer]") - len(wanted.peers)


def _make_documents(nodes: int) -> tuple[list[str], Roster]:
    root = keys.make_signing_key()
    network = derive_network_id(root.public_key())
    settings = Settings.model_validate(
        {"network": network, "version": 1, "cidr": "10.88.0.0/16", "relay": Relay.ROUTED}
    )
    documents = [sign(settings, root)]
    for number in range(nodes + 1):
        key = keys.make_signing_key()
        is_hub = number == 0
        grant = Grant(
            id=keys.make_id(),
            network=network,
            network_name="bench",
            name="hub-1" if is_hub else f"node-{number}",
            role="hub" if is_hub else "node",
            number=1 if is_hub else 10 + number,
            key=format_public_key(key.public_key()),
            issued_at_ms=1,
            expires_at=int(NOW) + 86400,
        )
        record = Record(
            grant=sign(grant, root),
            sequence=1,
            wireguard_key=keys.derive_wireguard_public_key(keys.make_wireguard_key()),
        )
        if is_hub:
            _, certificate = keys.make_certificate("hub-1")
            record = record.model_copy(
                update={
                    "endpoint": "203.0.113.1:51820",
                    "api_url": "https://203.0.113.1:443",
                    "certificate": certificate,
                }
            )
        documents.append(sign(record, key))
    return documents, Roster(root.public_key())
