"""The other hubs of a network, and at which endpoints they are."""

import asyncio
from collections.abc import Iterable, Mapping

from spokewire.network.documents import Member
from spokewire.network.status import TrunkStatus
from spokewire.relay.places import Endpoint, NodeNumber, parse_endpoint
from spokewire.relay.switch import Switch
from spokewire.wireguard.resolving import resolve


class Trunks:
    """Follows the hubs of the roster. Their records name endpoints by address or by host name."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        """Set when there are other hubs, or other names, to resolve."""
        self._named: dict[NodeNumber, tuple[str, str | None]] = {}
        self._names: dict[NodeNumber, str] = {}
        self._found: dict[NodeNumber, tuple[Endpoint, ...]] = {}
        self._own: frozenset[Endpoint] = frozenset()

    def know(self, hubs: Iterable[Member], own: Iterable[Endpoint]) -> None:
        """Know exactly these other hubs. Where we are ourselves (`own`) is no other, whatever a record says."""
        members = {hub.grant.number: hub for hub in hubs}
        self._names = {number: hub.name for number, hub in members.items()}
        named = {number: (hub.record.endpoint, hub.record.endpoint6) for number, hub in members.items()}
        wanted = {number: (endpoint, other) for number, (endpoint, other) in named.items() if endpoint is not None}
        self._own = frozenset(own)
        if wanted != self._named:
            self._found = {n: found for n, found in self._found.items() if wanted.get(n) == self._named.get(n)}
            self._named = wanted
            self.changed.set()

    async def resolve(self) -> bool:
        """Look up where they are; return whether anything is new. One that cannot be looked up now stays where it was."""
        named = dict(self._named)
        places = await resolve(dict(named.values()))
        before, self._found = (
            self._found,
            {
                number: tuple(map(parse_endpoint, places[endpoint]))
                if endpoint in places
                else self._found.get(number, ())
                for number, (endpoint, _) in named.items()
                if self._named.get(number) == named[number]
            },
        )
        return before != self._found

    @property
    def endpoints(self) -> Mapping[NodeNumber, tuple[Endpoint, ...]]:
        """Each other hub with its endpoints, the preferred one of each family first; none while it is not known."""
        return {n: tuple(e for e in self._found.get(n, ()) if e not in self._own) for n in self._named}

    def status(self, switch: Switch) -> list[TrunkStatus]:
        """What passes through each."""
        return [
            TrunkStatus(
                hub=name,
                endpoints=[str(endpoint) for endpoint in switch.places.trunks.get(number, ())],
                labels=switch.labels_behind(number),
                handshakes=switch.trunked[number],
            )
            for number, name in sorted(self._names.items())
        ]
