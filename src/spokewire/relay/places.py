"""Where nodes are, as WireGuard has authenticated it, and where the other hubs are, as their records say. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

NodeNumber = int
"""A machine's host number in the address plan, 1 to 2^20: a node's, or that of the hub at the other end of a trunk."""


@dataclass(frozen=True, order=True)
class Endpoint:
    """An IP address, packed (4 or 16 bytes), and a UDP port."""

    address: bytes
    port: int

    def __str__(self) -> str:
        """As `wg` prints it: 203.0.113.5:1234 or [2001:db8::5]:1234."""
        host = str(ip_address(self.address))
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def parse_endpoint(text: str) -> Endpoint:
    """Parse an endpoint as `wg` prints it: 203.0.113.5:1234 or [2001:db8::5]:1234."""
    host, _, port = text.rpartition(":")
    return Endpoint(ip_address(host.strip("[]")).packed, int(port))


def format_endpoint(endpoint: Endpoint) -> str:
    """Write an endpoint as `wg` prints it."""
    address = ip_address(endpoint.address)
    return f"[{address}]:{endpoint.port}" if isinstance(address, IPv6Address) else f"{address}:{endpoint.port}"


class Places:
    """Who is at which endpoint. An endpoint is one machine's, and whoever is there keeps it."""

    def __init__(self) -> None:
        self._endpoints: dict[NodeNumber, Endpoint] = {}
        self._trunks: dict[NodeNumber, tuple[Endpoint, ...]] = {}
        self._sources: dict[Endpoint, NodeNumber] = {}

    def move(self, endpoints: Mapping[NodeNumber, Endpoint]) -> set[NodeNumber]:
        """Take what WireGuard says of nodes; return who moved.

        A node that is still at an endpoint keeps it: WireGuard takes the sender's address of any valid packet, and a member may forge that address, so
        that another's, or another hub's, appears to be its own. Nodes not named stay where they were, unless a named one is there now.
        """
        moved = set()
        for number, endpoint in endpoints.items():
            holder = self._sources.get(endpoint)
            if holder == number or holder in self._trunks or (holder is not None and endpoints.get(holder) == endpoint):
                continue
            if holder is not None:
                self.leave(holder)
            self.leave(number)
            self._endpoints[number] = endpoint
            self._sources[endpoint] = number
            moved.add(number)
        return moved

    def set_trunks(self, trunks: Mapping[NodeNumber, Collection[Endpoint]]) -> None:
        """Take what the records of other hubs say, in the order of preference: a record may lie, so no machine loses its place to it."""
        for endpoint in [endpoint for endpoint, number in self._sources.items() if number in self._trunks]:
            if endpoint not in trunks.get(self._sources[endpoint], ()):
                del self._sources[endpoint]
        self._trunks = {}
        for number, endpoints in sorted(trunks.items()):
            own = tuple(endpoint for endpoint in endpoints if self._sources.setdefault(endpoint, number) == number)
            self._trunks |= {number: own} if own else {}

    def leave(self, number: NodeNumber) -> None:
        """A node is no longer where it was."""
        endpoint = self._endpoints.pop(number, None)
        if endpoint is not None:
            del self._sources[endpoint]

    def find(self, number: NodeNumber, family: int) -> Endpoint | None:
        """Where to send what is for a node, or goes through a trunk, in the family whose addresses have so many bytes; None if it is not there."""
        known = [self._endpoints[number]] if number in self._endpoints else self._trunks.get(number, ())
        return next((endpoint for endpoint in known if len(endpoint.address) == family), None)

    @property
    def endpoints(self) -> Mapping[NodeNumber, Endpoint]:
        """Where each node is, as far as known."""
        return self._endpoints

    @property
    def trunks(self) -> Mapping[NodeNumber, tuple[Endpoint, ...]]:
        """Where other hubs are, those whose place is known and nobody else's."""
        return self._trunks

    @property
    def sources(self) -> Mapping[Endpoint, NodeNumber]:
        """Whose packets come from where."""
        return self._sources

    @property
    def destinations(self) -> list[tuple[NodeNumber, Endpoint]]:
        """Where packets go: one endpoint for each machine and family."""
        first = {(n, len(place.address)): place for n, places in self._trunks.items() for place in reversed(places)}
        return [*self._endpoints.items(), *((number, place) for (number, _), place in first.items())]
