"""What the hub can tell of where its nodes are: seen by WireGuard, heard by echoes."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from spokewire.host import clock
from spokewire.hub.reports import Reports
from spokewire.network.addresses import AddressPlan
from spokewire.network.documents import Member
from spokewire.network.names import WireGuardKey
from spokewire.relay.places import NodeNumber
from spokewire.wireguard.tunnel import Tunnel

AWAY_S = 3.0
"""Of the echoes that a node sends every second three in a row are missing."""
SESSION_S = 180.0
"""No session of WireGuard's is older (REJECT_AFTER_TIME, paper section 6.1); a node's keepalives renew it before."""


@dataclass
class Whereabouts:
    """Knows the nodes of the roster by their overlay addresses."""

    tunnel: Tunnel
    reports: Reports
    _keys: dict[str, WireGuardKey] = field(default_factory=dict)
    """By overlay address."""
    _agents: dict[NodeNumber, str] = field(default_factory=dict)
    """The overlay addresses of those that send echoes."""

    def know(self, nodes: Iterable[Member], plan: AddressPlan) -> set[str]:
        """Know exactly these nodes; return their overlay addresses."""
        members = {str(plan.address(node.grant.number)): node for node in nodes}
        self._keys = {address: WireGuardKey(node.record.wireguard_key) for address, node in members.items()}
        self._agents = {node.grant.number: address for address, node in members.items() if node.grant.agent}
        return set(members)

    def find_endpoint(self, overlay_address: str) -> str | None:
        """From where WireGuard hears a node, for the node itself: behind a NAT it cannot know."""
        key = self._keys.get(overlay_address)
        return None if key is None else self.tunnel.endpoint(key)

    def find_away(self) -> set[NodeNumber]:
        """The nodes whose echoes do not arrive: they may be behind another hub."""
        now, age_s = clock.monotonic(), self.reports.echo_age_s
        return {n for n, address in self._agents.items() if (age := age_s(address, now)) is None or age > AWAY_S}

    def read_endpoints(self) -> dict[WireGuardKey, str]:
        """Where the nodes are that are there: what WireGuard remembers of one whose session is over is no place to defend against another."""
        self.tunnel.refresh()
        peers = {} if self.tunnel.observed is None else self.tunnel.observed.peers
        ages = {key: self.tunnel.handshake_age_s(key) for key in peers}
        return {
            key: peer.endpoint
            for key, peer in peers.items()
            if peer.endpoint is not None and ((age := ages[key]) is None or age <= SESSION_S)
        }
