"""The spec: what spokewire.toml says is wanted. Reading the file is `spokewire.network.specfile`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from spokewire.errors import Code, InputError
from spokewire.network.addresses import LONGEST_PREFIX, SHORTEST_PREFIX, is_usable
from spokewire.network.cloudspec import CvmKeys, CvmSpec, DropletKeys, DropletSpec, EndpointTable, ReleaseTable
from spokewire.network.names import (
    MACHINE_NAME_RULE,
    NETWORK_NAME_RULE,
    MachineName,
    is_machine_name,
    is_network_name,
)
from spokewire.network.ports import PortText
from spokewire.network.relays import Relay
from spokewire.network.tables import Table, checked, one_of

API_PORT = 443
"""TCP port of a hub's API unless the spec says another."""
USUAL_WEIGHT = 10
HIGHEST_WEIGHT = 100


class Nat(StrEnum):
    """What stands before a lab node, in the words of RFC 4787 (mapping and filtering) and RFC 3489 (the short names)."""

    NONE = "none"
    FULL_CONE = "full-cone"
    PORT_RESTRICTED = "port-restricted"
    SYMMETRIC = "symmetric"
    UDP_BLOCKED = "udp-blocked"


class Family(StrEnum):
    """Which addresses a lab machine has on the lab's internet."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"
    BOTH = "both"


class ProviderName(StrEnum):
    """Who makes the machine. `host` is any machine of yours: it joins with a token."""

    LAB = "lab"
    HOST = "host"
    DIGITALOCEAN = "digitalocean"
    """Hubs only."""
    PHALA = "phala"
    """Nodes only."""


_ADDRESS = re.compile(r"[A-Za-z0-9.:-]{1,253}")
"""RFC 1035 section 2.3.4 bounds a host name; whether it exists is for the resolver to say."""


def _is_address(text: str) -> bool:
    return _ADDRESS.fullmatch(text) is not None


def _parse_cidr(text: object) -> IPv4Network:
    if not isinstance(text, str):
        raise ValueError('expected an IPv4 block such as "10.88.0.0/24"')  # noqa: TRY004 - pydantic wants ValueError
    try:
        cidr = IPv4Network(text)
    except ValueError as error:
        raise ValueError(f'expected an IPv4 block such as "10.88.0.0/24" ({error})') from None
    if not SHORTEST_PREFIX <= cidr.prefixlen <= LONGEST_PREFIX:
        raise ValueError(f"expected a block between /{SHORTEST_PREFIX} and /{LONGEST_PREFIX}")
    if not is_usable(cidr):
        raise ValueError("expected private addresses: inside 10/8, 172.16/12, 192.168/16 or 100.64/10")
    return cidr


NetworkNameText = Annotated[str, checked(is_network_name, NETWORK_NAME_RULE)]
MachineNameText = Annotated[str, checked(is_machine_name, MACHINE_NAME_RULE)]
CidrText = Annotated[IPv4Network, BeforeValidator(_parse_cidr)]
AddressText = Annotated[str, checked(_is_address, 'an IP address or a host name, such as "hub.example.com"')]
TagText = Annotated[str, checked(is_machine_name, "a tag: " + MACHINE_NAME_RULE)]


class NetworkTable(Table):
    """The `[network]` table."""

    name: NetworkNameText
    cidr: CidrText = IPv4Network("10.88.0.0/24")
    relay: Annotated[Relay, one_of(Relay)] = Relay.SEALED
    direct: bool = False


class HubTable(DropletKeys):
    """One `[[hubs]]` table. `address` is the public address or name of a hub on a host of yours."""

    name: MachineNameText
    provider: Annotated[ProviderName, one_of(ProviderName, frozenset({ProviderName.PHALA}))] = ProviderName.LAB
    address: AddressText | None = None
    family: Annotated[Family, one_of(Family)] | None = None
    api_port: int = Field(default=API_PORT, ge=1, le=65535)
    weight: int = Field(default=USUAL_WEIGHT, ge=0, le=HIGHEST_WEIGHT)
    drain: bool = False
    open_ports: tuple[PortText, ...] = Field(default=(), strict=False)


class NodeTable(CvmKeys):
    """One `[[nodes]]` table: one node, or with `count` the nodes name-1 to name-count but those in `skip`."""

    name: MachineNameText
    count: int | None = Field(default=None, ge=0, le=1_000_000)
    skip: tuple[MachineNameText, ...] = Field(default=(), strict=False)
    provider: Annotated[ProviderName, one_of(ProviderName, frozenset({ProviderName.DIGITALOCEAN}))] = ProviderName.LAB
    nat: Annotated[Nat, one_of(Nat)] | None = None
    family: Annotated[Family, one_of(Family)] | None = None
    tags: tuple[TagText, ...] = Field(default=(), strict=False)


class AccessTable(Table):
    """One `[[access]]` table: who may open what. With none, every node may open everything on every node."""

    stand_ins: ClassVar[Mapping[str, str]] = {"from": "*", "to": "*"}

    source: str = Field(alias="from")
    target: str = Field(alias="to")
    ports: tuple[PortText, ...] = Field(default=(), strict=False)


@dataclass(frozen=True)
class MachineSpec:
    """One wanted machine."""

    name: MachineName
    role: Literal["hub", "node"]
    provider: ProviderName
    nat: Nat = Nat.NONE
    family: Family = Family.IPV4
    address: str | None = None
    api_port: int = API_PORT
    weight: int = USUAL_WEIGHT
    """Of a hub: how many pairs it carries, beside the other hubs' weights; 0: none while another hub works."""
    drain: bool = False
    """Of a hub: nothing new goes through it, and what goes through it moves away."""
    tags: tuple[str, ...] = ()
    open_ports: tuple[str, ...] = ()
    droplet: DropletSpec | None = None
    """With provider DIGITALOCEAN."""
    cvm: CvmSpec | None = None
    """With provider PHALA."""


@dataclass(frozen=True)
class NetworkSpec:
    """All that is wanted: the parsed spokewire.toml."""

    name: str
    cidr: IPv4Network
    relay: Relay
    hubs: tuple[MachineSpec, ...]
    nodes: tuple[MachineSpec, ...]
    direct: bool = False
    """Whether nodes may look for direct paths to each other."""
    access: tuple[AccessTable, ...] = ()
    release: ReleaseTable = field(default_factory=ReleaseTable)
    digitalocean: EndpointTable | None = None
    """None without such a table."""
    phala: EndpointTable | None = None

    @property
    def machines(self) -> tuple[MachineSpec, ...]:
        """Hubs, then nodes."""
        return self.hubs + self.nodes

    def find(self, name: str) -> MachineSpec:
        """The wanted machine of that name; InputError if there is none."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        known = ", ".join(machine.name for machine in self.machines)
        raise InputError(Code.NAME_UNKNOWN, f"The spec has no machine called {name!r}.", hint=f"It has: {known}.")
