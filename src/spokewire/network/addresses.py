"""The address plan: hubs from host number 1, nodes from 11, IPv6 beside IPv4 with the same host number."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import islice

from spokewire.network.names import MachineName, NetworkId, natural_order

FIRST_HUB = 1
FIRST_NODE = 11
HUB_ROOM = FIRST_NODE - FIRST_HUB
"""How many hubs fit below the nodes, in every address plan."""
LONGEST_PREFIX = 28
"""A /28 has room for 4 nodes; anything smaller for none worth having."""
SHORTEST_PREFIX = 12
"""A /12 has a million host numbers: room enough, and no mistake for a default route."""

_USABLE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
"""RFC 1918 and RFC 6598: what may be used inside without asking anybody."""


@dataclass(frozen=True)
class AddressPlan:
    """Where a network's overlay addresses come from."""

    cidr: IPv4Network
    ula: IPv6Network

    def address(self, number: int) -> IPv4Address:
        """The overlay IPv4 address of a host number."""
        return self.cidr[number]

    def address6(self, number: int) -> IPv6Address:
        """The overlay IPv6 address of a host number."""
        return self.ula[number]

    def holds(self, number: int) -> bool:
        """Whether a host number is some machine's: neither the network's own address, nor the broadcast address, nor beyond."""
        return 0 < number < self.cidr.num_addresses - 1

    @property
    def node_room(self) -> int:
        """How many nodes fit: every host number from FIRST_NODE, less the broadcast address."""
        return max(0, self.cidr.num_addresses - 1 - FIRST_NODE)


def derive_ula(network: NetworkId) -> IPv6Network:
    """Derive the network's IPv6 prefix, fdXX:XXXX:XXXX::/64, from its id (RFC 4193 section 3.2.2 asks for such a hash)."""
    digest = hashlib.sha256(b"spokewire ula " + network.encode()).digest()
    return IPv6Network((b"\xfd" + digest[:5] + bytes(10), 64))


def is_usable(cidr: IPv4Network) -> bool:
    """Tell whether the block is private address space (RFC 1918, RFC 6598)."""
    return any(cidr.subnet_of(block) for block in _USABLE)


def assign_numbers(
    plan: AddressPlan, hubs: Iterable[MachineName], nodes: Iterable[MachineName], taken: Mapping[MachineName, int]
) -> dict[MachineName, int]:
    """Give every machine a host number, in order of name; a number once taken stays.

    `taken` may name machines that are no longer wanted: their numbers are not given to others.
    The spec has been checked against the plan's room, so running out is an IndexError and a defect.
    """
    numbers = dict(taken)
    used = set(taken.values())
    for names, first, room in ((hubs, FIRST_HUB, HUB_ROOM), (nodes, FIRST_NODE, plan.node_room)):
        new = sorted((name for name in names if name not in taken), key=natural_order)
        free = list(islice((number for number in range(first, first + room) if number not in used), len(new)))
        for position, name in enumerate(new):
            numbers[name] = free[position]
    return numbers
