"""Making a droplet: one request for it, whatever becomes of the answer; then looking until it is there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spokewire.cloud.digitalocean.api import Api
from spokewire.cloud.digitalocean.droplets import Droplet, ReservedIp
from spokewire.cloud.digitalocean.refusals import Refused, classify, explain, is_pending_event, limit_reached
from spokewire.cloud.digitalocean.removing import LISTED_LIMIT_S, POLL_S, Removing
from spokewire.cloud.digitalocean.words import Words, list_choices
from spokewire.cloud.http import AmbiguousError, RefusalError
from spokewire.cloud.provider import Say
from spokewire.errors import Code, InputError, PermanentError, TemporaryError
from spokewire.network.cloudspec import DropletSpec
from spokewire.network.names import MachineName
from spokewire.network.spec import MachineSpec
from spokewire.network.topology import HUB_PORT

ACTIVE_LIMIT_S = 300.0
"""A droplet is active after 30 to 70 s; after this it is not waited for any longer."""
LOST_LIMIT_S = 120.0
"""A new droplet may answer 404 for a while. Longer means that its placement failed and it was removed."""
ADDRESS_LIMIT_S = 120.0
_EVERYWHERE = ["0.0.0.0/0", "::/0"]


@dataclass(frozen=True)
class Wanted:
    """A droplet that is to be."""

    name: MachineName
    tags: tuple[str, ...]
    droplet: DropletSpec
    user_data: str = field(repr=False)
    key: int | None


class LostError(Exception):
    """Ends one attempt: a droplet was promised and did not come."""


class Making:
    """Making the machines of one network."""

    def __init__(self, api: Api, words: Words, removing: Removing) -> None:
        self._api, self._words, self._removing = api, words, removing

    def find(self, name: MachineName) -> Droplet | None:
        """The droplet of a machine; the oldest, should there be several."""
        found = [d for d in self._api.list_droplets(self._words.tag) if self._words.find_droplet_name(d) == name]
        return min(found, key=lambda droplet: droplet.id, default=None)

    def look_longer(self, name: MachineName, limit_s: float, say: Say) -> Droplet | None:
        """The same while the list may lag behind."""
        for gone_s in self._api.clock.watch(limit_s, POLL_S):
            if gone_s > 0:
                say("looking whether DigitalOcean made it")
            if (found := self.find(name)) is not None:
                return found
        return None

    def make_firewall(self, spec: MachineSpec) -> None:
        """The firewall goes by the machine's tag, and both are there before the droplet: it is never without."""
        self._api.make_tag(self._words.hub_tag(spec.name))
        body = plan_firewall(self._words, spec)
        for firewall in self._api.list_firewalls():
            if firewall.name == body["name"]:
                if self._words.find_name(firewall.name, firewall.tags) != spec.name:
                    raise PermanentError(
                        Code.CLOUD_REFUSED,
                        f"DigitalOcean has a firewall {firewall.name} that is not ours.",
                        hint="Rename that firewall, or the machine.",
                    )
                self._api.change_firewall(firewall.id, body)
                return
        self._api.make_firewall(body)

    def make(self, wanted: Wanted, choices: Mapping[tuple[str, str], str], say: Say) -> Droplet:
        """Try one choice after another until a droplet is active and has an address.

        `choices` says of each region and size why it cannot be ("" if it can). What was refused, and what was promised and never came,
        may be asked for elsewhere; after an unclear answer nothing is asked for again.
        """
        reasons = []
        for choice in list_choices(wanted.droplet):
            region, size = choice
            place = f"{size} in {region}"
            if choices.get(choice):
                reasons.append(f"{place}: {choices[choice]}")
                continue
            say(f"asking for {place}")
            try:
                droplet, action = self._create(wanted, region, size, say)
                return self.wait_until_active(droplet, action, say)
            except RefusalError as refusal:
                reasons.append(f"{place}: {self._judge(refusal, wanted)}")
            except LostError as lost:
                reasons.append(f"{place}: {lost}")
        raise PermanentError(
            Code.NO_CAPACITY,
            f"DigitalOcean has no room for {wanted.name} ({'; '.join(reasons)}).",
            hint="Run spokewire deploy again later, or allow more sizes or regions in the spec.",
        )

    def wait_until_active(self, droplet: Droplet, action: int | None, say: Say) -> Droplet:
        """Wait until it is active and has its public address, which may come later. Raises LostError when it will not come."""
        missing_since: float | None = None
        action = self._api.find_creation(droplet.id) if action is None else action
        for gone_s in self._api.clock.watch(ACTIVE_LIMIT_S, POLL_S):
            found = self._api.find_droplet(droplet.id)
            if found is not None and found.status == "off":
                self._switch_on(found)
            if found is not None and found.status == "active" and found.address is not None:
                return found
            begun = found is None or found.status == "new"
            if begun and action is not None and self._api.find_action(action) == "errored":
                self._removing.remove_droplet(droplet.id)
                raise LostError("its creation failed")
            missing_since = None if found is not None else gone_s if missing_since is None else missing_since
            if missing_since is not None and gone_s - missing_since >= LOST_LIMIT_S:
                self._removing.remove_droplet(droplet.id)
                raise LostError("it was removed again")
            what = "to be known" if found is None else "to be active" if found.status == "new" else "for its address"
            say(f"waiting {what}, {gone_s:.0f} s")
        raise TemporaryError(
            Code.TIMEOUT,
            f"The droplet of {droplet.name} was not active with an address within {ACTIVE_LIMIT_S:.0f} s.",
            hint="Run spokewire deploy again: it goes on with the same droplet.",
        )

    def settle_address(self, name: MachineName, droplet: Droplet, say: Say, *, wanted: bool) -> str:
        """The address under which the machine is reached: its reserved IP, kept for it by a mark, or its own."""
        assert droplet.address is not None
        if not wanted:
            return droplet.address
        held = self.find_reserved(name, droplet)
        if held is None:
            say("reserving an IP")
            try:
                self._removing.patiently(lambda: self._api.reserve_ip(droplet.id))
            except AmbiguousError:
                say("looking whether DigitalOcean reserved an IP")
            held = self._wait_for_reserved(name, droplet, say)
        self._api.make_tag(self._words.mark(held.address, name))
        if held.droplet_id != droplet.id:
            say("moving the reserved IP")
            address = held.address
            try:
                self._removing.patiently(lambda: self._api.assign_ip(address, droplet.id))
            except AmbiguousError:
                say("looking whether the reserved IP was moved")
            held = self._wait_for_reserved(name, droplet, say)
        return held.address

    def find_reserved(self, name: MachineName, droplet: Droplet) -> ReservedIp | None:
        """The reserved IP that the droplet has, or else the one that is kept for the machine."""
        every = self._api.list_reserved_ips()
        marks = self._words.find_marks(self._api.list_tags())
        held = [item for item in every if item.droplet_id == droplet.id]
        kept = [item for item in every if marks.get(item.address) == name and item.droplet_id is None]
        kept = [item for item in kept if item.region == droplet.region]
        return next(iter([*held, *kept]), None)

    def _wait_for_reserved(self, name: MachineName, droplet: Droplet, say: Say) -> ReservedIp:
        for gone_s in self._api.clock.watch(ADDRESS_LIMIT_S, POLL_S):
            held = next((item for item in self._api.list_reserved_ips() if item.droplet_id == droplet.id), None)
            if held is not None:
                return held
            say(f"waiting for its reserved IP, {gone_s:.0f} s")
        raise TemporaryError(
            Code.TIMEOUT,
            f"{name} did not get its reserved IP within {ADDRESS_LIMIT_S:.0f} s.",
            hint="Run spokewire deploy again: it goes on with the same droplet.",
        )

    def _create(self, wanted: Wanted, region: str, size: str, say: Say) -> tuple[Droplet, int | None]:
        body: dict[str, Any] = {
            "name": self._words.resource_name(wanted.name),
            "region": region,
            "size": size,
            "image": wanted.droplet.os_image,
            "tags": list(wanted.tags),
            "user_data": wanted.user_data,
            "ipv6": False,
            "monitoring": False,
            "with_droplet_agent": False,
        }
        body |= {"ssh_keys": [wanted.key]} if wanted.key is not None else {}
        try:
            return self._api.create_droplet(body)
        except AmbiguousError as error:
            found = self.look_longer(wanted.name, LISTED_LIMIT_S, say)
            if found is None:
                raise AmbiguousError(
                    Code.CLOUD_UNREACHABLE,
                    f"DigitalOcean did not say whether it made {wanted.name}, and does not list it: {error.message}",
                    hint="Run spokewire deploy again: it looks before it asks for another one.",
                ) from error
            return found, None

    def _judge(self, refusal: RefusalError, wanted: Wanted) -> str:
        """Why another choice may do; raises if none will."""
        words = explain(refusal.body).rstrip(".") or "refused"
        match classify(refusal):
            case Refused.NO_ROOM:
                return words
            case Refused.LIMIT:
                raise limit_reached(f", {wanted.name} was not made") from refusal
            case Refused.KEY:
                raise InputError(
                    Code.CLOUD_REFUSED, f"DigitalOcean does not know the SSH key {wanted.droplet.ssh_key}: {words}."
                ) from refusal
            case Refused.OTHER:
                raise PermanentError(
                    Code.CLOUD_REFUSED, f"DigitalOcean refused {wanted.name}: {refusal.message}", hint=refusal.hint
                ) from refusal

    def _switch_on(self, droplet: Droplet) -> None:
        try:
            self._api.switch_on(droplet.id)
        except RefusalError as refusal:
            if not is_pending_event(refusal):
                raise


def plan_firewall(words: Words, spec: MachineSpec) -> dict[str, Any]:
    """The cloud firewall of a hub: the relay, its API and the open ports in; everything out, which is not allowed by itself. Pure."""
    doors = [("udp", str(HUB_PORT)), ("tcp", str(spec.api_port))]
    doors += [(protocol, port) for protocol, _, port in (word.partition("/") for word in spec.open_ports)]
    return {
        "name": words.resource_name(spec.name),
        "tags": [words.hub_tag(spec.name)],
        "inbound_rules": [
            {"protocol": protocol, "ports": port, "sources": {"addresses": _EVERYWHERE}}
            for protocol, port in dict.fromkeys(doors)
        ],
        "outbound_rules": [
            {"protocol": protocol, "ports": ports, "destinations": {"addresses": _EVERYWHERE}}
            for protocol, ports in (("tcp", "all"), ("udp", "all"), ("icmp", "0"))
        ],
    }
