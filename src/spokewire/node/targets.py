"""Whom a node sends echoes to. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from spokewire.network.addresses import AddressPlan
from spokewire.network.documents import Grant, Member
from spokewire.network.handshakes import calls_first
from spokewire.network.names import WireGuardKey
from spokewire.network.topology import InterfaceSpec


@dataclass(frozen=True)
class Target:
    """A machine to watch. `peer`: its key where it is a WireGuard peer of ours, None where its packets come through a hub that is.

    `has_rivals`: whether it is one of several hubs. `calls`: whether we call it first; else we wait a moment for its call, because two handshakes that cross end each other.
    """

    name: str
    is_hub: bool
    peer: WireGuardKey | None
    calls: bool
    has_rivals: bool = field(default=False, compare=False)


def plan_targets(members: Iterable[Member], me: Grant, wanted: InterfaceSpec, plan: AddressPlan) -> dict[str, Target]:
    """Every other machine with an agent, by overlay address."""
    peers = {peer.public_key for peer in wanted.peers}
    members, targets = list(members), {}
    has_rivals = sum(member.grant.role == "hub" for member in members) > 1
    for member in members:
        if member.grant.id == me.id or not member.grant.agent:
            continue
        key, is_hub = WireGuardKey(member.record.wireguard_key), member.grant.role == "hub"
        targets[str(plan.address(member.grant.number))] = Target(
            name=member.name,
            is_hub=is_hub,
            peer=key if key in peers else None,
            calls=is_hub or calls_first(me.number, member.grant.number),
            has_rivals=is_hub and has_rivals,
        )
    return targets
