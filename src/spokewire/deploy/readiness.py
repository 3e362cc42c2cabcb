"""When a node is ready. Pure."""

from collections.abc import Iterable

from spokewire.network.names import MachineName
from spokewire.network.overview import NetworkOverview, NodeOverview
from spokewire.network.status import State

ALIVE = (State.CONNECTED, State.DEGRADED)


def find_delays(wanted: Iterable[MachineName], overview: NetworkOverview) -> dict[MachineName, str]:
    """Why those of the wanted nodes are not ready that are not. One that was ready before another was alive may have to hear from that one yet."""
    reasons = {node.name: find_delay(node, overview) for node in overview.nodes}
    reasons |= {item.name: item.reason for item in overview.missing}
    delays = {name: reasons.get(name, "nothing is heard of it") for name in wanted}
    return {name: reason for name, reason in delays.items() if reason}


def find_delay(node: NodeOverview, overview: NetworkOverview) -> str:
    """Why a node is not ready yet; "" if it is.

    Ready means: its echo came back from the hub, by the node's own signed word and by the hub's; the newest settings are in force there; and it
    has an answer from every other node that is alive, or knows that there is none. A stock client answers no echoes: it is ready when it is known.
    """
    if not node.agent:
        return ""
    if node.state not in ALIVE:
        return node.reason
    if node.name in find_old_settings(overview):
        return "the newest settings are not in force there yet"
    seen = {peer.name: peer.state for peer in node.peers}
    others = [
        other.name for other in overview.nodes if other.agent and other.state in ALIVE and other.name != node.name
    ]
    awaited = [name for name in others if seen.get(name, State.STARTING) is State.STARTING]
    return f"no echo from {', '.join(awaited)} yet" if awaited else ""


def find_old_settings(overview: NetworkOverview) -> list[str]:
    """The nodes that are alive and on which the newest settings of any hub are not in force yet."""
    newest = max((hub.settings_version or 0 for hub in overview.hubs), default=0)
    alive = [node for node in overview.nodes if node.agent and node.state in ALIVE]
    return [node.name for node in alive if (node.settings_version or 0) < newest]
