"""Wanted against observed: which changes a WireGuard interface needs, and why. Pure.

Only differences are written. Writing a peer that is right would be harmless to WireGuard in most cases and fatal in some: a changed endpoint
undoes roaming, a removed peer ends its session.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from spokewire.network.names import WireGuardKey
from spokewire.network.topology import InterfaceSpec, PeerSpec


@dataclass(frozen=True)
class PeerObserved:
    """A peer as `wg show … dump` tells it. Instants are seconds since 1970; None: never."""

    public_key: WireGuardKey
    endpoint: str | None
    allowed_ips: frozenset[IPv4Network | IPv6Network]
    last_handshake_at: int | None
    received_bytes: int
    sent_bytes: int
    keepalive_s: int


@dataclass(frozen=True)
class InterfaceObserved:
    """An interface as `wg show … dump` tells it, without its private key. `public_key` None: no key is set."""

    public_key: WireGuardKey | None
    listen_port: int
    peers: Mapping[WireGuardKey, PeerObserved]


@dataclass(frozen=True)
class SetInterface:
    """Set the private key and the listen port (None: leave it)."""

    listen_port: int | None
    reason: str


@dataclass(frozen=True)
class RemovePeer:
    """Remove a peer and its session."""

    public_key: WireGuardKey
    reason: str


@dataclass(frozen=True)
class SetPeer:
    """Add a peer, or change what differs; a session that exists goes on. `endpoint` None: leave it as it is."""

    peer: PeerSpec
    endpoint: str | None
    reason: str


Change = SetInterface | RemovePeer | SetPeer


def parse_dump(text: str) -> InterfaceObserved:
    """Parse `wg show INTERFACE dump` (wg(8)); ValueError if it is not one."""
    lines = [line.split("\t") for line in text.splitlines()]
    if not lines or len(lines[0]) != 4:  # noqa: PLR2004 - four columns, says wg(8)
        raise ValueError("not a dump of wg")
    _, public_key, listen_port, _ = lines[0]
    peers = [_parse_peer(columns) for columns in lines[1:]]
    return InterfaceObserved(
        public_key=None if public_key == "(none)" else WireGuardKey(public_key),
        listen_port=int(listen_port),
        peers={peer.public_key: peer for peer in peers},
    )


def diff_interface(
    wanted: InterfaceSpec, public_key: WireGuardKey, observed: InterfaceObserved, endpoints: Mapping[str, str]
) -> list[Change]:
    """Plan the changes: the interface first, then removals, then peers, each in a stable order.

    `endpoints` holds what each wanted `host:port` resolves to now. A peer's endpoint is set when the peer is added and when what we want of
    it changes; one that merely roamed is left alone (whether it roamed rightly is a question for healing, not for this difference). A peer
    cannot roam from IPv4 to IPv6 or back by itself, because it answers where we call: such a difference is a change of our own routes.
    """
    changes: list[Change] = []
    if observed.public_key != public_key:
        changes.append(
            SetInterface(
                wanted.listen_port,
                "the private key is not set" if observed.public_key is None else "the private key is another",
            )
        )
    elif wanted.listen_port is not None and observed.listen_port != wanted.listen_port:
        changes.append(SetInterface(wanted.listen_port, f"the listen port is {observed.listen_port}"))
    keys = {peer.public_key for peer in wanted.peers}
    changes += [RemovePeer(key, "it is not a member") for key in sorted(set(observed.peers) - keys)]
    for peer in wanted.peers:
        endpoint = None if peer.endpoint is None else endpoints.get(peer.endpoint)
        reason = _difference(peer, endpoint, observed.peers.get(peer.public_key))
        if reason:
            changes.append(SetPeer(peer, endpoint, reason))
    return changes


def format_peers(changes: Iterable[SetPeer]) -> str:
    """Write peers as `wg addconf` reads them."""
    return "".join(
        "\n".join(
            [
                "[Peer]",
                f"PublicKey = {change.peer.public_key}",
                "AllowedIPs = " + ", ".join(sorted(map(str, change.peer.allowed_ips))),
                *([f"Endpoint = {change.endpoint}"] if change.endpoint else []),
                f"PersistentKeepalive = {change.peer.keepalive_s or 'off'}",
                "",
            ]
        )
        + "\n"
        for change in changes
    )


def format_wg_quick(spec: InterfaceSpec, private_key: str, comment: str) -> str:
    """Write a wg-quick(8) file for a stock client. Secret: it holds a private key."""
    lines = [f"# {line}" for line in comment.splitlines()]
    lines += [
        "[Interface]",
        f"PrivateKey = {private_key}",
        "Address = " + ", ".join(map(str, spec.addresses)),
        f"MTU = {spec.mtu}",
    ]
    for peer in spec.peers:
        lines += [
            "",
            f"# {peer.name}",
            "[Peer]",
            f"PublicKey = {peer.public_key}",
            "AllowedIPs = " + ", ".join(sorted(map(str, peer.allowed_ips))),
        ]
        lines += [f"Endpoint = {peer.endpoint}"] if peer.endpoint else []
        lines += [f"PersistentKeepalive = {peer.keepalive_s}"] if peer.keepalive_s else []
    return "\n".join(lines) + "\n"


def _difference(peer: PeerSpec, endpoint: str | None, observed: PeerObserved | None) -> str:
    if observed is None:
        return "it is missing"
    if observed.allowed_ips != peer.allowed_ips:
        return "its allowed IPs differ"
    if observed.keepalive_s != peer.keepalive_s:
        return "its keepalive differs"
    if endpoint is not None and observed.endpoint is None:
        return "it has no endpoint"
    if endpoint is not None and _is_ipv6(endpoint) != _is_ipv6(observed.endpoint or ""):
        return "its endpoint is of the family that we have no route for, or no longer prefer"
    return ""


def _is_ipv6(endpoint: str) -> bool:
    return endpoint.startswith("[")


def _parse_peer(columns: list[str]) -> PeerObserved:
    public_key, _, endpoint, allowed_ips, handshake, received, sent, keepalive = columns
    return PeerObserved(
        public_key=WireGuardKey(public_key),
        endpoint=None if endpoint == "(none)" else endpoint,
        allowed_ips=frozenset() if allowed_ips == "(none)" else frozenset(map(ip_network, allowed_ips.split(","))),
        last_handshake_at=int(handshake) or None,
        received_bytes=int(received),
        sent_bytes=int(sent),
        keepalive_s=0 if keepalive == "off" else int(keepalive),
    )
