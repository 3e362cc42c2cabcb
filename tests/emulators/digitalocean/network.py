"""Tags, firewalls and reserved IPs of the emulated DigitalOcean."""

import re
import uuid
from collections.abc import Callable
from typing import Any

from tests.emulators.digitalocean import catalog
from tests.emulators.digitalocean.droplets import TAG, Droplets, not_found, refuse, unprocessable
from tests.emulators.digitalocean.state import Firewall, ReservedIp, show_action, show_droplet, show_firewall
from tests.emulators.service import Call, Reply

FIREWALL_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9.-]+")
RESERVED_LIMIT = 3


class CloudNetwork:
    """What goes with droplets."""

    def __init__(self, droplets: Droplets, clock: Callable[[], float]) -> None:
        self._droplets, self._clock = droplets, clock
        self._made: set[str] = set()
        self.firewalls: dict[str, Firewall] = {}
        self.reserved: dict[str, ReservedIp] = {}
        self._addresses = iter(f"198.51.100.{number}" for number in range(10, 250))

    @property
    def tags(self) -> dict[str, list[int]]:
        """Every tag, with the droplets that carry it. Creating a droplet with a tag makes the tag."""
        now = self._clock()
        found: dict[str, list[int]] = {tag: [] for tag in self._made}
        for droplet in self._droplets.every.values():
            for tag in droplet.tags:
                carried = found.setdefault(tag.lower(), [])
                self._made.add(tag.lower())
                if not self._droplets.is_gone(droplet, now):
                    carried.append(droplet.id)
        return found

    def list_tags(self) -> list[dict[str, Any]]:
        """Every tag."""
        return [self._show_tag(tag, carried) for tag, carried in sorted(self.tags.items())]

    def make_tag(self, call: Call) -> Reply:
        """Make a tag; making one again changes nothing."""
        name = call.body["name"]
        if not TAG.fullmatch(name):
            raise refuse(400, "bad_request", "Tag name is invalid")
        self._droplets.keep_case(name)
        self._made.add(name.lower())
        return Reply(201, {"tag": self._show_tag(name.lower(), self.tags[name.lower()])})

    def delete_tag(self, call: Call) -> Reply:
        """Take a tag from everything."""
        name = call.parts["name"].lower()
        if name not in self.tags:
            raise not_found()
        for droplet in self._droplets.every.values():
            droplet.tags = [tag for tag in droplet.tags if tag.lower() != name]
        for firewall in self.firewalls.values():
            firewall.body["tags"] = [tag for tag in firewall.body.get("tags") or [] if tag.lower() != name]
        self._made.discard(name)
        self._droplets.tag_case.pop(name, None)
        return Reply(204)

    def list_firewalls(self) -> list[dict[str, Any]]:
        """Every firewall."""
        return [self._show_firewall(firewall) for firewall in self.firewalls.values()]

    def make_firewall(self, call: Call) -> Reply:
        """Make a firewall; names are unique, and its tags must exist."""
        self._check_firewall(call.body)
        if any(firewall.body["name"] == call.body["name"] for firewall in self.firewalls.values()):
            raise refuse(409, "conflict", "duplicate name")
        firewall = Firewall(str(uuid.uuid4()), dict(call.body), self._clock())
        self.firewalls[firewall.id] = firewall
        return Reply(202, {"firewall": self._show_firewall(firewall)})

    def change_firewall(self, call: Call) -> Reply:
        """Set all of a firewall anew."""
        firewall = self._find_firewall(call)
        self._check_firewall(call.body)
        firewall.body = dict(call.body)
        return Reply(200, {"firewall": self._show_firewall(firewall)})

    def delete_firewall(self, call: Call) -> Reply:
        """Remove a firewall."""
        del self.firewalls[self._find_firewall(call).id]
        return Reply(204)

    def list_reserved(self) -> list[dict[str, Any]]:
        """Every reserved IP."""
        return [self._show_reserved(item) for item in self.reserved.values()]

    def reserve(self, call: Call) -> Reply:
        """Reserve an IP for a region, or for a droplet that is active."""
        if len(self.reserved) >= RESERVED_LIMIT:
            raise unprocessable("You have reached the limit of reserved IPs.")
        droplet, region = call.body.get("droplet_id"), call.body.get("region", "")
        if droplet is not None:
            region = self._active(droplet)
        item = ReservedIp(next(self._addresses), region, droplet)
        self.reserved[item.address] = item
        return Reply(202, {"reserved_ip": self._show_reserved(item), "links": {"droplets": [], "actions": []}})

    def act_on_reserved(self, call: Call) -> Reply:
        """Assign and unassign."""
        item = self._find_reserved(call)
        if call.body["type"] == "assign":
            if item.region != self._active(call.body["droplet_id"]):
                raise unprocessable("The reserved IP is in another region than the Droplet.")
            item.droplet = call.body["droplet_id"]
        else:
            item.droplet = None
        number = self._droplets.begin(f"{call.body['type']}_ip", 758_604_968, "reserved_ip", item.region, 0.0)
        return Reply(201, {"action": show_action(self._droplets.actions[number], self._clock())})

    def release(self, call: Call) -> Reply:
        """Give a reserved IP back."""
        del self.reserved[self._find_reserved(call).address]
        return Reply(204)

    def forget_droplet(self, number: int) -> None:
        """A droplet that goes leaves its reserved IP behind."""
        for item in self.reserved.values():
            if item.droplet == number:
                item.droplet = None

    def _active(self, number: int) -> str:
        droplet = self._droplets.every.get(number)
        if droplet is None or self._droplets.is_gone(droplet, self._clock()):
            raise not_found()
        if self._droplets.status(droplet) == "new":
            raise unprocessable("Droplet already has a pending event.")
        return droplet.region

    def _check_firewall(self, body: dict[str, Any]) -> None:
        if not FIREWALL_NAME.fullmatch(body["name"]):
            raise refuse(400, "bad_request", "invalid firewall name")
        unknown = [tag for tag in body.get("tags") or [] if tag.lower() not in self.tags]
        if unknown:
            raise unprocessable(f"tag {unknown[0]} does not exist")

    def _find_firewall(self, call: Call) -> Firewall:
        firewall = self.firewalls.get(call.parts["id"])
        if firewall is None:
            raise not_found()
        return firewall

    def _find_reserved(self, call: Call) -> ReservedIp:
        item = self.reserved.get(call.parts["ip"])
        if item is None:
            raise not_found()
        return item

    def _show_tag(self, tag: str, carried: list[int]) -> dict[str, Any]:
        shown: dict[str, Any] = {"count": len(carried)}
        if carried:
            shown["last_tagged_uri"] = f"https://api.digitalocean.com/v2/droplets/{carried[-1]}"
        return {"name": self._droplets.tag_case.get(tag, tag), "resources": shown | {"droplets": dict(shown)}}

    def _show_firewall(self, firewall: Firewall) -> dict[str, Any]:
        wanted = {tag.lower() for tag in firewall.body.get("tags") or []}
        return show_firewall(firewall, sorted({n for tag, found in self.tags.items() if tag in wanted for n in found}))

    def _show_reserved(self, item: ReservedIp) -> dict[str, Any]:
        droplet = None if item.droplet is None else self._droplets.every[item.droplet]
        return {
            "ip": item.address,
            "region": catalog.region(item.region),
            "droplet": None
            if droplet is None
            else show_droplet(droplet, self._droplets.status(droplet), with_address=True),
            "locked": False,
            "project_id": "746c6152-2fa2-11ed-92d3-27aaa54e4988",
        }
