"""The node's nftables rules: pure text. This is where a hub has no say: whatever it routes here, it may open nothing."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network

from spokewire.network.echo import PORT as ECHO_PORT
from spokewire.network.rules import Address, Admission, Opening


def plan_rules(interface: str, overlay: tuple[IPv4Network, IPv6Network], admission: Admission) -> str:
    """The rules of a node.

    From the overlay: member nodes may reach the echo service and what the access rules open; a hub may only answer what this node asked
    it; everybody else nothing. Nobody may pretend to come from the overlay by another way in. TCP connections of machines behind this node
    agree on segments that fit the interface, as those of the node itself do anyway.
    """
    v4, v6 = overlay
    openings = "\n".join(line for opening in admission.openings for line in _open(opening))
    echo = "\n".join(line for port in ("udp", "tcp") for line in _open(Opening(admission.peers, port, ECHO_PORT)))
    return f"""    chain input {{
        type filter hook input priority filter; policy accept;
        iifname "lo" accept
        iifname "{interface}" jump from_overlay
        iifname != "{interface}" ip saddr {v4} drop
        iifname != "{interface}" ip6 saddr {v6} drop
    }}
    chain from_overlay {{
        ct state established,related accept
{_refuse(admission.hubs)}
{echo}
{openings}
        drop
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        iifname "{interface}" jump through
    }}
    chain through {{
        ct state established,related accept
{_refuse(admission.hubs)}
        ct status dnat jump published
        drop
    }}
    chain published {{
{openings}
        drop
    }}
    chain segments {{
        type filter hook postrouting priority mangle; policy accept;
        oifname "{interface}" tcp flags syn tcp option maxseg size set rt mtu
    }}"""


def _open(opening: Opening) -> list[str]:
    port = "" if opening.protocol is None else f" {opening.protocol} dport {opening.port}"
    return [f"        {family} saddr {addresses}{port} accept" for family, addresses in _by_family(opening.sources)]


def _refuse(hubs: Iterable[Address]) -> str:
    return "\n".join(f"        {family} saddr {addresses} drop" for family, addresses in _by_family(hubs))


def _by_family(addresses: Iterable[Address]) -> list[tuple[str, str]]:
    found = []
    ordered = sorted(addresses, key=lambda address: (address.version, int(address)))
    for family, version in (("ip", 4), ("ip6", 6)):
        words = [str(address) for address in ordered if address.version == version]
        if words:
            found.append((family, "{ " + ", ".join(words) + " }"))
    return found
