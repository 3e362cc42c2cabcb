"""Who is whose WireGuard peer: from roster to wanted interface."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

from spokewire.errors import Code, InputError
from spokewire.network.addresses import AddressPlan
from spokewire.network.documents import Grant, Member
from spokewire.network.names import MachineName, WireGuardKey
from spokewire.network.roster import Roster
from spokewire.network.spec import Relay

HUB_PORT = 51820
KEEPALIVE_S = 25
"""Below the 30 s after which careful NATs forget a UDP mapping that saw one packet (RFC 4787 section 4.3 asks for 2 minutes)."""
MTU = 1420
"""1500 less IPv6 (40), UDP (8) and WireGuard's data message (32): fits either family outside."""


@dataclass(frozen=True)
class PeerSpec:
    """A wanted WireGuard peer. `endpoint` None: we wait for it to call; else `host:port`."""

    name: MachineName
    public_key: WireGuardKey
    allowed_ips: frozenset[IPv4Network | IPv6Network]
    endpoint: str | None = None
    keepalive_s: int = 0
    endpoint6: str | None = None
    """Instead of `endpoint` where there is no route to that."""


@dataclass(frozen=True)
class InterfaceSpec:
    """A wanted WireGuard interface."""

    addresses: tuple[IPv4Interface | IPv6Interface, ...]
    peers: tuple[PeerSpec, ...]
    listen_port: int | None = None
    """None: any free port."""
    mtu: int = MTU


def overlay_addresses(plan: AddressPlan, number: int) -> tuple[IPv4Interface | IPv6Interface, ...]:
    """The addresses of one machine, each with the whole overlay as its prefix: the route comes with the address."""
    return (
        IPv4Interface((plan.address(number), plan.cidr.prefixlen)),
        IPv6Interface((plan.address6(number), plan.ula.prefixlen)),
    )


def host_routes(plan: AddressPlan, number: int) -> frozenset[IPv4Network | IPv6Network]:
    """The AllowedIPs of one machine: its own two addresses and nothing else."""
    return frozenset({IPv4Network(plan.address(number)), IPv6Network(plan.address6(number))})


def plan_node(roster: Roster, me: Grant, now: float) -> InterfaceSpec | None:
    """The interface of a node; None until settings are known; InputError if they have no address for it (DESIGN sections 3.1 and 3.2)."""
    plan = roster.plan
    if plan is None or roster.settings is None:
        return None
    _refuse_outside(plan, me)
    return InterfaceSpec(overlay_addresses(plan, me.number), _plan_peers(roster, me, plan, now))


def plan_hub(roster: Roster, me: Grant, now: float) -> InterfaceSpec | None:
    """The interface of a hub: every node is a peer with its own addresses; None and InputError as for a node."""
    plan = roster.plan
    if plan is None:
        return None
    _refuse_outside(plan, me)
    peers = tuple(
        PeerSpec(node.name, WireGuardKey(node.record.wireguard_key), host_routes(plan, node.grant.number))
        for node in roster.nodes(now)
    )
    return InterfaceSpec(overlay_addresses(plan, me.number), peers, listen_port=HUB_PORT)


def _refuse_outside(plan: AddressPlan, me: Grant) -> None:
    if not plan.holds(me.number):
        raise InputError(
            Code.DOCUMENT_CHAIN,
            f"The address plan {plan.cidr} has no room for {me.name}, which was granted host number {me.number}.",
            hint=f"Ask the operator for a new token: spokewire node token {me.name}.",
        )


def path_to(roster: Roster, now: float) -> str:
    """How packets of a node reach another node."""
    hubs = roster.hubs(now)
    return f"via {hubs[0].name}" if hubs else "none"


def overlay_ip(plan: AddressPlan, member: Member) -> IPv4Address:
    """The overlay IPv4 address of a member."""
    return plan.address(member.grant.number)


def _plan_peers(roster: Roster, me: Grant, plan: AddressPlan, now: float) -> tuple[PeerSpec, ...]:
    assert roster.settings is not None
    match roster.settings.relay:
        case Relay.ROUTED:
            return _routed_peers(roster, plan, now)
        case Relay.SEALED:
            return _sealed_peers(roster, me, plan, now)


def _routed_peers(roster: Roster, plan: AddressPlan, now: float) -> tuple[PeerSpec, ...]:
    """The first hub for the whole overlay, the others for themselves."""
    whole: frozenset[IPv4Network | IPv6Network] = frozenset({plan.cidr, plan.ula})
    hubs = roster.hubs(now)
    return tuple(_hub_peer(hub, host_routes(plan, hub.grant.number) if hub is not hubs[0] else whole) for hub in hubs)


def _sealed_peers(roster: Roster, me: Grant, plan: AddressPlan, now: float) -> tuple[PeerSpec, ...]:
    """Every hub for itself only, and every other node behind a hub's endpoint: sessions are end to end, the hub switches their ciphertext."""
    hubs = roster.hubs(now)
    nodes = tuple(
        PeerSpec(
            name=node.name,
            public_key=WireGuardKey(node.record.wireguard_key),
            allowed_ips=host_routes(plan, node.grant.number),
            endpoint=hub.record.endpoint,
            endpoint6=hub.record.endpoint6,
        )
        for hub in hubs[:1]
        for node in roster.nodes(now)
        if node.grant.id != me.id
    )
    return tuple(_hub_peer(hub, host_routes(plan, hub.grant.number)) for hub in hubs) + nodes


def _hub_peer(hub: Member, allowed_ips: frozenset[IPv4Network | IPv6Network]) -> PeerSpec:
    return PeerSpec(
        name=hub.name,
        public_key=WireGuardKey(hub.record.wireguard_key),
        allowed_ips=allowed_ips,
        endpoint=hub.record.endpoint,
        endpoint6=hub.record.endpoint6,
        keepalive_s=KEEPALIVE_S,
    )
