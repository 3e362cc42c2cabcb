"""The kernel tables of the relay as nftables text. Pure.

    prerouting, raw priority       udp to our port, type 4: source endpoint -> node; (node, receiver index) -> target node; rewrite the destination
    forward                        our mark passes
    postrouting, last              our mark: rewrite the source to our own address and port
    output                         no redirects: packets that leave by the interface they came by would have the kernel tell each node the address of the other

Stateless and `notrack`. A data packet without a label goes on to the hub's own WireGuard. Addresses are looked up in one map for each family; both
kinds of maps share the machine's number as a mark. A machine is a node or the hub at the other end of a trunk, and the ports of both families are one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from spokewire.relay.labels import LABEL_LIFETIME_S, Install, Label
from spokewire.relay.places import Endpoint, NodeNumber

FAMILY = "inet"
MARK = 0x53570000
"""Marks packets that were switched; the node's number is in another range."""


PLACES = ("source_ip", "source_ip6", "address_ip", "address_ip6", "port")
"""The maps that say where nodes and other hubs are."""

Element = tuple[str, str]
"""The name of a map, and a key in it."""


@dataclass(frozen=True)
class Outside:
    """The hub's own addresses, as packets arrive at them; None where it has none of that family."""

    v4: str | None
    v6: str | None
    port: int
    closed_uplink: str | None = None
    """The uplink, where forwarding is on only because of us: then nothing passes through it but what the relay switched."""


def table_name(network: str) -> str:
    """The relay's table for a network."""
    return "spokewire_relay_" + network.replace("-", "_")


def create_table(table: str, outside: Outside) -> str:
    """The empty relay. A table that exists is replaced whole."""
    return f"""table {FAMILY} {table} {{}}
delete table {FAMILY} {table}
table {FAMILY} {table} {{
    map source_ip {{ type ipv4_addr . inet_service : mark; }}
    map source_ip6 {{ type ipv6_addr . inet_service : mark; }}
    map label {{ typeof meta mark . @th,96,32 : meta mark; flags timeout; }}
    map address_ip {{ type mark : ipv4_addr; }}
    map address_ip6 {{ type mark : ipv6_addr; }}
    map port {{ type mark : inet_service; }}
    counter switched {{}}
    chain ingress {{
        type filter hook prerouting priority raw; policy accept;
    }}
    chain switch_ip {{
        meta mark set ip saddr . udp sport map @source_ip
        meta mark set meta mark . @th,96,32 map @label notrack ip daddr set meta mark map @address_ip udp dport set meta mark map @port meta mark set {MARK:#x} counter name switched accept
        meta mark set 0
    }}
    chain switch_ip6 {{
        meta mark set ip6 saddr . udp sport map @source_ip6
        meta mark set meta mark . @th,96,32 map @label notrack ip6 daddr set meta mark map @address_ip6 udp dport set meta mark map @port meta mark set {MARK:#x} counter name switched accept
        meta mark set 0
    }}
    chain egress {{
        type filter hook postrouting priority 300; policy accept;
    }}
    chain forward {{
        type filter hook forward priority 0; policy accept;
    }}
    chain quiet {{
        type filter hook output priority 0; policy accept;
        icmp type redirect drop
        icmpv6 type nd-redirect drop
    }}
}}
{set_outside(table, outside)}"""


def set_outside(table: str, outside: Outside) -> str:
    """Switch what arrives at these addresses, and send it on from them; labels stay as they are."""
    families = [
        (family, address) for family, address in (("ip", outside.v4), ("ip6", outside.v6)) if address is not None
    ]
    ingress = [
        f"add rule {FAMILY} {table} ingress {family} daddr {address} udp dport {outside.port} @th,64,32 0x04000000 jump switch_{family}\n"
        for family, address in families
    ]
    egress = [
        f"add rule {FAMILY} {table} egress meta nfproto {_nfproto(family)} meta mark {MARK:#x} "
        f"{family} saddr set {address} udp sport set {outside.port}\n"
        for family, address in families
    ]
    uplink = outside.closed_uplink
    closed = [f'add rule {FAMILY} {table} forward iifname "{uplink}" oifname "{uplink}" meta mark != {MARK:#x} drop\n']
    flush = [f"flush chain {FAMILY} {table} {chain}\n" for chain in ("ingress", "egress", "forward")]
    return "".join(flush + ingress + egress + (closed if uplink is not None else []))


def install_label(table: str, install: Install, remaining_s: float) -> str:
    """Install a label, or renew it: adding one that is there changes nothing, so it is removed between; all in one transaction."""
    if install.instead_of is not None:
        # To add one that leads elsewhere is an error.
        former = drop_label(table, Install(install.label, install.instead_of))
        return former + install_label(table, Install(install.label, install.target), remaining_s)
    name, key = f"element {FAMILY} {table} label", _key(install.label)
    value = f"timeout {{}}s : {install.target}"
    return "".join(
        f"{verb} {name} {{ {key}{rest} }}\n"
        for verb, rest in (
            ("add", " " + value.format(int(LABEL_LIFETIME_S))),
            ("delete", ""),
            ("add", " " + value.format(max(1, int(remaining_s)))),
        )
    )


def drop_label(table: str, install: Install) -> str:
    """Remove a label, whether the kernel has forgotten it by itself or not."""
    name, key = f"element {FAMILY} {table} label", _key(install.label)
    return f"add {name} {{ {key} timeout {int(LABEL_LIFETIME_S)}s : {install.target} }}\ndelete {name} {{ {key} }}\n"


def empty_map(table: str, name: str) -> str:
    """Empty one map."""
    return f"flush map {FAMILY} {table} {name}\n"


def map_places(
    sources: Mapping[Endpoint, NodeNumber], destinations: Iterable[tuple[NodeNumber, Endpoint]]
) -> dict[Element, str]:
    """What the maps of places hold: whose packets come from an endpoint, and where packets for a machine go, once for each family."""
    elements = {}
    for endpoint, number in sources.items():
        family, address = _family(endpoint)
        elements[f"source_{family}", f"{address} . {endpoint.port}"] = str(number)
    for number, endpoint in destinations:
        family, address = _family(endpoint)
        elements[f"address_{family}", str(number)] = address
        elements["port", str(number)] = str(endpoint.port)
    return elements


def add_place(table: str, element: Element, value: str) -> str:
    """Add an element to a map of places."""
    return f"add element {FAMILY} {table} {element[0]} {{ {element[1]} : {value} }}\n"


def delete_place(table: str, element: Element) -> str:
    """Delete an element from a map of places."""
    return f"delete element {FAMILY} {table} {element[0]} {{ {element[1]} }}\n"


def _family(endpoint: Endpoint) -> tuple[str, str]:
    return ("ip" if len(endpoint.address) == 4 else "ip6"), str(ip_address(endpoint.address))  # noqa: PLR2004 - bytes of IPv4


def _key(label: Label) -> str:
    """The kernel compares the index as it stands in the packet: little endian."""
    return f"{label.source} . 0x{label.index.to_bytes(4, 'little').hex()}"


def _nfproto(family: str) -> str:
    return "ipv4" if family == "ip" else "ipv6"
