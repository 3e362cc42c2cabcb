"""The hub's nftables rules: pure text."""

from ipaddress import IPv4Network, IPv6Network

from spokewire.network.echo import PORT as ECHO_PORT
from spokewire.network.rules import split_port
from spokewire.network.topology import HUB_PORT


def plan_rules(
    interface: str, overlay: tuple[IPv4Network, IPv6Network], api_port: int, open_ports: tuple[str, ...] = ()
) -> str:
    """The rules of a hub.

    Nothing but its two ports is open (and those that the spec names), overlay packets pass from node to node only, and the hub itself opens
    nothing towards nodes: only answers leave into the overlay.
    """
    v4, v6 = overlay
    extra = "\n".join("        {} dport {} accept".format(*split_port(port)) for port in open_ports)
    return f"""    chain input {{
        type filter hook input priority filter; policy drop;
        iifname "lo" accept
        iifname "{interface}" jump from_overlay
        ip saddr {v4} drop
        ip6 saddr {v6} drop
        ct state established,related accept
        ct state invalid drop
        meta l4proto {{ icmp, ipv6-icmp }} accept
        udp dport {HUB_PORT} accept
        tcp dport {api_port} accept
        udp sport 67 udp dport 68 accept
        udp sport 547 udp dport 546 accept
{extra}
    }}
    chain from_overlay {{
        ip saddr != {v4} drop
        ip6 saddr != {v6} drop
        udp dport {ECHO_PORT} accept
        ct state established,related accept
        icmp type echo-request accept
        icmpv6 type echo-request accept
        drop
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        iifname "{interface}" oifname "{interface}" jump between_nodes
        iifname "{interface}" drop
        oifname "{interface}" drop
    }}
    chain between_nodes {{
        ip saddr {v4} ip daddr {v4} accept
        ip6 saddr {v6} ip6 daddr {v6} accept
        drop
    }}
    chain output {{
        type filter hook output priority filter; policy accept;
        oifname "{interface}" jump to_overlay
    }}
    chain to_overlay {{
        icmp type redirect drop
        icmpv6 type nd-redirect drop
        ct state established,related accept
        icmp type {{ destination-unreachable, time-exceeded, parameter-problem }} accept
        drop
    }}"""
