"""What is wrong with several hubs together in a spec, and with direct paths. Reading the file is `spokewire.network.specfile`."""

from typing import Any

from spokewire.errors import Fault
from spokewire.network.addresses import HUB_ROOM
from spokewire.network.relays import Relay
from spokewire.network.spec import HubTable, NetworkTable
from spokewire.network.tables import Read


def check_hub_count(hubs: list[Read[HubTable]], written: Any) -> list[Fault]:
    """From one hub to as many as have host numbers below the nodes; and one of them must stay when others drain."""
    faults = []
    if isinstance(written, list) and not 0 < len(written) <= HUB_ROOM:
        faults.append(Fault("hubs", f"{len(written)} hubs", f"1 to {HUB_ROOM}"))
    if hubs and all(hub.is_sound("drain") and hub.table.drain for hub in hubs):
        expected = "one hub at least without drain = true, for the others to drain to"
        faults.append(Fault("hubs", "every hub drains" if len(hubs) > 1 else "the only hub drains", expected))
    return faults


def check_direct(network: Read[NetworkTable] | None) -> list[Fault]:
    """Direct paths are for sealed networks: nodes of a routed one have no session with each other that could take another path."""
    if network is None or not network.is_sound("direct", "relay"):
        return []
    if not network.table.direct or network.table.relay is Relay.SEALED:
        return []
    return [Fault("network.direct", "not allowed here", 'relay = "sealed" with it, or no direct')]
