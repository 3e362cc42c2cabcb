"""Wanted against observed: which changes a WireGuard interface needs, and why. Pure.

Only differences are written. Writing a peer that is right would be harmless to WireGuard in most cases and fatal in some: a changed endpoint
undoes roaming, a removed peer ends its session.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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

ROAMED = "its endpoint is one that nobody vouches for"
MOVED = "its packets take another path now"
OTHER_FAMILY = "its endpoint is of the family that we have no route for, or no longer prefer"


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
    wanted: InterfaceSpec, public_key: WireGuardKey, observed: InterfaceObserved, endpoints: Mapping[str, Sequence[str]]
) -> list[Change]:
    """Plan the changes: the interface first, then removals, then peers, each in a stable order.

    `endpoints` holds every place that each wanted `host:port` resolves to now, the one to use first. A peer's endpoint is set when the peer is
    added, and when it is at a place that nobody vouches for: it roamed to where a packet seemed to come from, or its address has changed. One that
    roamed to another vouched place is left there, unless it is pinned. A peer
    whose endpoint we do not know is left where it roamed. A peer cannot roam from IPv4 to IPv6 or back by itself, because it answers where we
    call: such a difference is a change of our own routes.
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
        places = () if peer.endpoint is None else endpoints.get(peer.endpoint, ())
        vouched = {place for endpoint in peer.vouched for place in endpoints.get(endpoint, ())}
        reason = _difference(peer, places, vouched, observed.peers.get(peer.public_key))
        if reason:
            changes.append(SetPeer(peer, places[0] if places else None, reason))
    return changes


def find_strays(
    changes: Iterable[Change], observed: InterfaceObserved, pinned_before: Mapping[WireGuardKey, str | None]
) -> dict[WireGuardKey, str]:
    """Peers that were pinned to the same endpoint the last time, and where WireGuard had roamed to with each meanwhile."""
    strays = {}
    for change in changes:
        if not isinstance(change, SetPeer) or change.reason != MOVED:
            continue
        key, place = change.peer.public_key, observed.peers[change.peer.public_key].endpoint
        if place is not None and pinned_before.get(key) == change.peer.endpoint:
            strays[key] = place
    return strays


def place_added(
    changes: Iterable[Change], observed: InterfaceObserved, places: Mapping[WireGuardKey, str]
) -> list[Change]:
    """Let peers that are added, and whose endpoint nobody names, be called where they were last (`places`): else they must notice and call us."""
    return [
        replace(change, endpoint=places.get(change.peer.public_key))
        if isinstance(change, SetPeer) and change.endpoint is None and change.peer.public_key not in observed.peers
        else change
        for change in changes
    ]


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


def _difference(peer: PeerSpec, places: Sequence[str], vouched: Collection[str], observed: PeerObserved | None) -> str:
    if observed is None:
        return "it is missing"
    endpoint = observed.endpoint if places else None
    reasons = (
        (observed.allowed_ips != peer.allowed_ips, "its allowed IPs differ"),
        (observed.keepalive_s != peer.keepalive_s, "its keepalive differs"),
        (bool(places) and endpoint is None, "it has no endpoint"),
        (endpoint is not None and endpoint not in places and endpoint not in vouched, ROAMED),
        (endpoint is not None and endpoint not in places and peer.is_pinned, MOVED),
        (endpoint is not None and _is_ipv6(places[0]) != _is_ipv6(endpoint), OTHER_FAMILY),
    )
    return next((reason for differs, reason in reasons if differs), "")


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
