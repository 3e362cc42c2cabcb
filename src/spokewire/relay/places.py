"""Where nodes are, as WireGuard has authenticated it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

NodeNumber = int
"""A node's host number in the address plan: 1 to 2^20."""


@dataclass(frozen=True, order=True)
class Endpoint:
    """An IP address, packed (4 or 16 bytes), and a UDP port."""

    address: bytes
    port: int


def parse_endpoint(text: str) -> Endpoint:
    """Parse an endpoint as `wg` prints it: 203.0.113.5:1234 or [2001:db8::5]:1234."""
    host, _, port = text.rpartition(":")
    return Endpoint(ip_address(host.strip("[]")).packed, int(port))


def format_endpoint(endpoint: Endpoint) -> str:
    """Write an endpoint as `wg` prints it."""
    address = ip_address(endpoint.address)
    return f"[{address}]:{endpoint.port}" if isinstance(address, IPv6Address) else f"{address}:{endpoint.port}"


class Places:
    """Which node is at which endpoint. An endpoint is one node's."""

    def __init__(self) -> None:
        self._endpoints: dict[NodeNumber, Endpoint] = {}
        self._sources: dict[Endpoint, NodeNumber] = {}

    def move(self, endpoints: Mapping[NodeNumber, Endpoint]) -> set[NodeNumber]:
        """Take what WireGuard says; return who moved.

        A node that is still at an endpoint keeps it: WireGuard takes the sender's address of any valid packet, and a member may forge that address, so
        that another's appears to be its own. Nodes not named stay where they were, unless a named one is there now.
        """
        moved = set()
        for number, endpoint in endpoints.items():
            holder = self._sources.get(endpoint)
            if holder == number or (holder is not None and endpoints.get(holder) == endpoint):
                continue
            if holder is not None:
                self.leave(holder)
            self.leave(number)
            self._endpoints[number] = endpoint
            self._sources[endpoint] = number
            moved.add(number)
        return moved

    def leave(self, number: NodeNumber) -> None:
        """A node is no longer where it was."""
        endpoint = self._endpoints.pop(number, None)
        if endpoint is not None:
            del self._sources[endpoint]

    def find(self, number: NodeNumber) -> Endpoint | None:
        """Where a node is, as far as known."""
        return self._endpoints.get(number)

    @property
    def endpoints(self) -> Mapping[NodeNumber, Endpoint]:
        """Where each node is, as far as known."""
        return self._endpoints

    @property
    def sources(self) -> Mapping[Endpoint, NodeNumber]:
        """Whose packets come from where."""
        return self._sources
