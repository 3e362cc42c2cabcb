"""Removing what is ours at DigitalOcean, and looking whether it is gone."""

from collections.abc import Callable
from contextlib import suppress

from spokewire.cloud.digitalocean.api import Api
from spokewire.cloud.digitalocean.droplets import Droplet
from spokewire.cloud.digitalocean.refusals import is_pending_event
from spokewire.cloud.digitalocean.words import EVERYBODY, Words
from spokewire.cloud.http import AmbiguousError, RefusalError
from spokewire.errors import Code, TemporaryError
from spokewire.network.names import MachineName, NetworkId

POLL_S = 4.0
"""DigitalOcean allows 250 requests a minute; its own tools ask every 3 to 10 s."""
GONE_LIMIT_S = 180.0
"""A droplet is removed some time after it is asked for; DigitalOcean's own tool waits 60 s. One with a pending event cannot be asked for before."""
LISTED_LIMIT_S = 30.0
"""How long a new droplet may be missing from the list: some seconds are usual."""
LAG_LIMIT_S = 60.0
"""How long what is gone may still be listed."""


class Removing:
    """Removing the things of one network."""

    def __init__(self, api: Api, words: Words) -> None:
        self._api, self._words = api, words

    def list_droplets(self) -> dict[Droplet, MachineName]:
        """Every droplet of this network."""
        found = {d: self._words.find_droplet_name(d) for d in self._api.list_droplets(self._words.tag)}
        return {droplet: name for droplet, name in found.items() if name is not None}

    def find_identities(self) -> frozenset[NetworkId]:
        """The root keys of all networks of this name."""
        return frozenset(self._words.find_identity(droplet) for droplet in self._list_claimed())

    def destroy(self, name: MachineName, *, keep_address: bool = False) -> None:
        """Remove a machine: its reserved IP unless that is kept, its droplets, its firewall, its tag."""
        if name in self._find_strangers():
            self._remove_own_droplets(name)
            return
        droplets = [droplet for droplet, owner in self.list_droplets().items() if owner == name]
        marks = [address for address, owner in self._words.find_marks(self._api.list_tags()).items() if owner == name]
        for droplet in droplets:
            marks += self._mark_held(droplet, name)
        if not keep_address:
            for address in dict.fromkeys(marks):
                self._release(address, name, [droplet.id for droplet in droplets])
        for droplet in droplets:
            self.remove_droplet(droplet.id)
        for firewall in self._api.list_firewalls():
            if self._words.find_name(firewall.name, firewall.tags) == name:
                self._api.delete_firewall(firewall.id)
        tag = self._words.hub_tag(name)
        # Whatever is not gone yet is found by this tag, and by nothing else.
        if name not in self._list_firewall_owners() and self._api.list_tags().get(tag) == 0:
            self._api.delete_tag(tag)

    def release_unwanted(self, name: MachineName) -> None:
        """Give back the reserved IPs that are kept for a machine which shall have none any more."""
        for address, owner in self._words.find_marks(self._api.list_tags()).items():
            if owner == name:
                self._release(address, name, [d.id for d, n in self.list_droplets().items() if n == name])

    def sweep(self) -> list[str]:
        """Remove whatever is left of the network, look again, and tell what is still there."""
        if self._find_strangers():
            # Firewalls and tags do not tell root keys apart: they are left to the other network of this name.
            for name in set(self.list_droplets().values()):
                self._remove_own_droplets(name)
            return [f"droplet {droplet.name}" for droplet in self.list_droplets()]
        tags = self._api.list_tags()
        for name in self._words.find_hubs(tags):
            self._wait_for_listing(name)
        names = {*self.list_droplets().values(), *self._list_firewall_owners()}
        names |= {*self._words.find_marks(tags).values(), *self._words.find_hubs(tags)}
        for name in sorted(names):
            self.destroy(name)
        left: list[str] = []
        for _ in self._api.clock.watch(LAG_LIMIT_S, POLL_S):
            carried = self._delete_bare_tags()
            left = self._list_left()
            if not left and not carried:
                break
        if not left and self._api.list_tags().get(EVERYBODY) == 0:
            self._api.delete_tag(EVERYBODY)
        return left

    def _delete_bare_tags(self) -> bool:
        """Remove the network's tags that nothing carries; tells whether others are left, which somebody else's things may carry for good."""
        needed = {self._words.hub_tag(name) for name in self._list_firewall_owners()}
        ours = {tag: number for tag, number in self._api.list_tags().items() if self._words.is_ours(tag)}
        for tag, number in ours.items():
            if number == 0 and tag not in needed and ":ip:" not in tag:
                self._api.delete_tag(tag)
        return any(ours.values())

    def remove_droplet(self, number: int) -> None:
        """Remove a droplet and wait until it is gone. A refusal because of a pending event is asked again; a removal once accepted is not."""
        accepted = False
        for _ in self._api.clock.watch(GONE_LIMIT_S, POLL_S):
            if not accepted:
                accepted = self._ask_removal(number)
            if accepted and self._api.find_droplet(number) is None:
                return
        raise TemporaryError(
            Code.TIMEOUT,
            f"DigitalOcean has not removed droplet {number} within {GONE_LIMIT_S:.0f} s.",
            hint="Run the command again.",
        )

    def patiently(self, ask: Callable[[], None]) -> None:
        """Repeat while something else is being done to the droplet or the address."""
        last: RefusalError | None = None
        for _ in self._api.clock.watch(GONE_LIMIT_S, POLL_S):
            try:
                ask()
            except RefusalError as refusal:
                if not is_pending_event(refusal):
                    raise
                last = refusal
            else:
                return
        assert last is not None
        raise TemporaryError(Code.TIMEOUT, last.message, hint="Run the command again.") from last

    def _wait_for_listing(self, name: MachineName) -> None:
        """Look for a droplet that is not listed yet: were the tags removed now, nobody would find it again.

        A machine's tag is made before its droplet and removed after it; where it is alone, an interrupted deploy may have made one.
        """
        for _ in self._api.clock.watch(LISTED_LIMIT_S, POLL_S):
            if name in self.list_droplets().values():
                return

    def _list_claimed(self) -> list[Droplet]:
        return [d for d in self._api.list_droplets(self._words.tag) if self._words.find_claimed_name(d) is not None]

    def _find_strangers(self) -> frozenset[MachineName]:
        """The names of machines that another network of this name has in the account."""
        claimed = {droplet: self._words.find_claimed_name(droplet) for droplet in self._list_claimed()}
        return frozenset(n for d, n in claimed.items() if n is not None and self._words.find_droplet_name(d) is None)

    def _remove_own_droplets(self, name: MachineName) -> None:
        for droplet, owner in self.list_droplets().items():
            if owner == name:
                self.remove_droplet(droplet.id)

    def _ask_removal(self, number: int) -> bool:
        try:
            self._api.delete_droplet(number)
        except RefusalError as refusal:
            if not is_pending_event(refusal):
                raise
            return False
        return True

    def _mark_held(self, droplet: Droplet, name: MachineName) -> list[str]:
        """Reserved IPs that the droplet was made with are marked before it goes: without it nobody could tell whose they are. One that a user attached is his."""
        if not self._words.awaits_reserved_ip(droplet):
            return []
        held = [item.address for item in self._api.list_reserved_ips() if item.droplet_id == droplet.id]
        for address in held:
            self._api.make_tag(self._words.mark(address, name))
        return held

    def _release(self, address: str, name: MachineName, droplets: list[int]) -> None:
        """Give a marked reserved IP back, and take the mark away last. One that somebody else's droplet has by now is left to them."""
        holder = {item.address: item.droplet_id for item in self._api.list_reserved_ips()}
        if address in holder and holder[address] in (None, *droplets):
            if holder[address] is not None:
                self._unassign(address)
            self.patiently(lambda: self._api.release_ip(address))
        self._api.delete_tag(self._words.mark(address, name))

    def _unassign(self, address: str) -> None:
        with suppress(AmbiguousError):
            self.patiently(lambda: self._api.unassign_ip(address))
        for _ in self._api.clock.watch(GONE_LIMIT_S, POLL_S):
            if all(item.droplet_id is None for item in self._api.list_reserved_ips() if item.address == address):
                return
        raise TemporaryError(
            Code.TIMEOUT, f"DigitalOcean has not taken {address} from its droplet.", hint="Run the command again."
        )

    def _list_firewall_owners(self) -> list[MachineName]:
        owners = (self._words.find_name(firewall.name, firewall.tags) for firewall in self._api.list_firewalls())
        return [owner for owner in owners if owner is not None]

    def _list_left(self) -> list[str]:
        left = [f"droplet {droplet.name}" for droplet in self.list_droplets()]
        left += [f"firewall {self._words.resource_name(name)}" for name in self._list_firewall_owners()]
        tags = self._api.list_tags()
        left += [f"reserved IP {address}" for address in self._words.find_marks(tags)]
        return left + [f"tag {tag}" for tag, number in tags.items() if self._words.is_ours(tag) and number == 0]
