"""Who is whose WireGuard peer: from roster to wanted interface."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from types import MappingProxyType

from spokewire.errors import Code, InputError
from spokewire.network.addresses import AddressPlan
from spokewire.network.documents import Grant, Member
from spokewire.network.names import MachineName, WireGuardKey
from spokewire.network.relays import Relay
from spokewire.network.roster import Roster
from spokewire.network.shares import find_share, name_pair

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
    vouched: frozenset[str] = frozenset()
    """Endpoints of other wanted peers, to which this one may roam by itself: another hub may carry its packets as well."""
    is_pinned: bool = False
    """Whether it is to be at `endpoint` and nowhere else, unless that is where the other end calls from for a moment."""


@dataclass(frozen=True)
class Choice:
    """The hub that a peer's packets go through; pinned: moved there whenever it is elsewhere."""

    hub: MachineName
    is_pinned: bool = True
    place: str | None = None
    """Where they go directly instead, as `address:port`."""
    vouched: frozenset[str] = frozenset()
    """Where else the peer itself has said that it is."""


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


def plan_node(
    roster: Roster, me: Grant, now: float, choices: Mapping[MachineName, Choice] = MappingProxyType({})
) -> InterfaceSpec | None:
    """The interface of a node; None until settings are known; InputError if they have no address for it.

    `choices`: the path of each other node (sealed), or of ourselves (routed), by name; where there is none, it is the pair's share of equal hubs.
    """
    plan = roster.plan
    if plan is None or roster.settings is None:
        return None
    _refuse_outside(plan, me)
    hubs, find = roster.hubs(now), _choosing(roster, me, now, choices)
    peers = (
        _routed_peers(hubs, find(me.name) if hubs else None, plan)
        if roster.settings.relay is Relay.ROUTED
        else _sealed_peers(roster, hubs, me, find, now)
    )
    return InterfaceSpec(overlay_addresses(plan, me.number), peers)


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


def overlay_ip(plan: AddressPlan, member: Member) -> IPv4Address:
    """The overlay IPv4 address of a member."""
    return plan.address(member.grant.number)


Find = Callable[[str], Choice]


def _choosing(roster: Roster, me: Grant, now: float, choices: Mapping[MachineName, Choice]) -> Find:
    """What tells the choice for a name; a hub that is gone is nobody's choice."""
    hubs = {hub.name: roster.policy(hub.name) for hub in roster.hubs(now)}

    def find(name: str) -> Choice:
        chosen = choices.get(MachineName(name))
        if chosen is not None and chosen.hub in hubs:
            return chosen
        return Choice(find_share(name_pair(me.name, name), hubs), is_pinned=False)

    return find


def _routed_peers(hubs: Sequence[Member], active: Choice | None, plan: AddressPlan) -> tuple[PeerSpec, ...]:
    """Every hub; the active one for the whole overlay, the others for themselves."""
    whole: frozenset[IPv4Network | IPv6Network] = frozenset({plan.cidr, plan.ula})
    return tuple(
        _hub_peer(hub, whole if active is not None and hub.name == active.hub else host_routes(plan, hub.grant.number))
        for hub in hubs
    )


def _sealed_peers(roster: Roster, hubs: Sequence[Member], me: Grant, find: Find, now: float) -> tuple[PeerSpec, ...]:
    """Every hub for itself only, and every other node behind the endpoint of one: sessions are end to end, hubs switch their ciphertext."""
    plan, by_name = roster.plan, {hub.name: hub.record for hub in hubs}
    assert plan is not None
    vouched = frozenset(hub.record.endpoint for hub in hubs if hub.record.endpoint is not None)
    nodes = []
    for node in roster.nodes(now) if hubs else ():
        if node.grant.id == me.id:
            continue
        choice = find(node.name)
        hub = by_name[choice.hub]
        nodes.append(
            PeerSpec(
                name=node.name,
                public_key=WireGuardKey(node.record.wireguard_key),
                allowed_ips=host_routes(plan, node.grant.number),
                endpoint=choice.place or hub.endpoint,
                endpoint6=None if choice.place else hub.endpoint6,
                vouched=vouched | choice.vouched,
                is_pinned=choice.is_pinned,
            )
        )
    return tuple(_hub_peer(hub, host_routes(plan, hub.grant.number)) for hub in hubs) + tuple(nodes)


def _hub_peer(hub: Member, allowed_ips: frozenset[IPv4Network | IPv6Network]) -> PeerSpec:
    return PeerSpec(
        name=hub.name,
        public_key=WireGuardKey(hub.record.wireguard_key),
        allowed_ips=allowed_ips,
        endpoint=hub.record.endpoint,
        endpoint6=hub.record.endpoint6,
        keepalive_s=KEEPALIVE_S,
    )
