"""Access rules: who may open what on a node. Enforced at the receiver, where no hub has a say."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from spokewire.network.documents import Grant
from spokewire.network.roster import Roster

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Opening:
    """These addresses may open this port; `protocol` and `port` are None where every port is open to them."""

    sources: frozenset[Address]
    protocol: str | None = None
    port: int | None = None


@dataclass(frozen=True)
class Admission:
    """All that a node's firewall needs to know of the roster."""

    hubs: frozenset[Address]
    peers: frozenset[Address]
    openings: tuple[Opening, ...]


def plan_admission(roster: Roster, me: Grant, now: float) -> Admission:
    """Who may speak to this node. Without access rules every member node may open everything."""
    plan, settings = roster.plan, roster.settings
    if plan is None or settings is None:
        return Admission(frozenset(), frozenset(), ())

    def addresses(grants: Iterable[Grant]) -> frozenset[Address]:
        return frozenset(
            address for grant in grants for address in (plan.address(grant.number), plan.address6(grant.number))
        )

    nodes = [member.grant for member in roster.nodes(now) if member.grant.id != me.id]
    openings: list[Opening] = []
    if not settings.access:
        openings.append(Opening(addresses(nodes)))
    for rule in settings.access:
        if not names(rule.target, me):
            continue
        sources = addresses(grant for grant in nodes if names(rule.source, grant))
        if not sources:
            continue
        openings += [Opening(sources, *split_port(port)) for port in rule.ports] or [Opening(sources)]
    return Admission(addresses(hub.grant for hub in roster.hubs(now)), addresses(nodes), tuple(openings))


def names(word: str, grant: Grant) -> bool:
    """Whether a rule's word names this machine: "*", its name, or "tag:" and one of its tags."""
    return word in ("*", grant.name) or (word.startswith("tag:") and word.removeprefix("tag:") in grant.tags)


def split_port(text: str) -> tuple[str, int]:
    """Split "tcp/22"."""
    protocol, _, port = text.partition("/")
    return protocol, int(port)
