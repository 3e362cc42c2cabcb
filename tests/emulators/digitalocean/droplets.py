"""The droplets of the emulated DigitalOcean."""

import re
import threading
from collections.abc import Callable
from itertools import count
from typing import Any

from tests.emulators.digitalocean import catalog
from tests.emulators.digitalocean.state import Action, Droplet, Switches, show_action, show_droplet
from tests.emulators.machines import DropletBackend, NullDroplets
from tests.emulators.service import Call, RefusedError, Reply

Shown = list[dict[str, Any]]
HOST_NAME = re.compile(r"[A-Za-z0-9.-]{1,255}")
TAG = re.compile(r"[A-Za-z0-9_:-]{1,255}")


def refuse(status: int, kind: str, message: str) -> RefusedError:
    """An error as the API sends it."""
    return RefusedError(Reply(status, {"id": kind, "message": message}))


def unprocessable(message: str) -> RefusedError:
    """The usual refusal."""
    return refuse(422, "unprocessable_entity", message)


def not_found() -> RefusedError:
    """404."""
    return refuse(404, "not_found", "The resource you requested could not be found.")


class Droplets:
    """Droplets and what is being done to them."""

    def __init__(
        self, switches: Switches, clock: Callable[[], float], backend: DropletBackend, lock: threading.RLock
    ) -> None:
        self.switches, self.clock, self.backend = switches, clock, backend
        self.every: dict[int, Droplet] = {}
        self.actions: dict[int, Action] = {}
        self.keys: set[int] = set()
        self.tag_case: dict[str, str] = {}
        """Each tag by its lower-case form, as it was first written."""
        self._lock = lock
        self._numbers = count(3_164_444)

    def list(self, call: Call) -> Shown:
        """Those that are listed yet, with a tag or a name."""
        if "tag_name" in call.query and ("name" in call.query or "type" in call.query):
            raise unprocessable("tag_name cannot be combined with name or type")
        now, found = self.clock(), []
        for droplet in self.every.values():
            tag, name = call.query.get("tag_name"), call.query.get("name")
            wanted = tag is None or tag.lower() in [word.lower() for word in droplet.tags]
            wanted = wanted and (name is None or name.lower() == droplet.name.lower())
            listed = now >= droplet.created_at + self.switches.list_lag_s and droplet.fate != "vanishing"
            if wanted and listed and not self.is_gone(droplet, now):
                found.append(self._show(droplet))
        return found

    def create(self, call: Call) -> Reply:
        """Make one droplet."""
        body = call.body
        self._check(body)
        number, now = next(self._numbers), self.clock()
        droplet = Droplet(
            id=number,
            name=body["name"],
            region=body["region"],
            size=body["size"],
            image=body["image"],
            tags=[self.keep_case(tag) for tag in body.get("tags") or []],
            user_data=body.get("user_data", ""),
            created_at=now,
            action=self.begin("create", number, "droplet", body["region"], self.switches.active_after_s),
        )
        if self.switches.failing_placements > 0:
            self.switches.failing_placements -= 1
            droplet.fate = "failing"
            self.actions[droplet.action].fails = True
        elif self.switches.vanishing_placements > 0:
            self.switches.vanishing_placements -= 1
            droplet.fate = "vanishing"
            del self.actions[droplet.action]
        self.every[number] = droplet
        if droplet.fate == "fine":
            self._boot(droplet)
        links = {"actions": [{"id": droplet.action, "rel": "create", "href": f"https://api.digitalocean.com/v2/actions/{droplet.action}"}]}  # fmt: skip
        return Reply(202, {"droplet": show_droplet(droplet, "new", with_address=False, created=True), "links": links})

    def show(self, call: Call) -> Reply:
        """One droplet; a new one may not be known yet."""
        droplet = self.find(call)
        droplet.looks += 1
        if droplet.looks <= self.switches.hidden_looks:
            raise not_found()
        return Reply(200, {"droplet": self._show(droplet)})

    def delete(self, call: Call) -> Reply:
        """Begin to remove a droplet."""
        droplet = self.find(call)
        now = self.clock()
        if now < droplet.created_at + self.switches.locked_s:
            raise unprocessable("Droplet already has a pending event.")
        if droplet.deleted_at is None:
            droplet.deleted_at = now
            self.backend.destroy(droplet.name)
        return Reply(204)

    def act(self, call: Call) -> Reply:
        """power_on and power_off."""
        droplet = self.find(call)
        if call.body["type"] not in ("power_on", "power_off"):
            raise unprocessable("this emulator does not know that action")
        droplet.off = call.body["type"] == "power_off"
        number = self.begin(call.body["type"], droplet.id, "droplet", droplet.region, 0.0)
        return Reply(201, {"action": show_action(self.actions[number], self.clock())})

    def actions_of(self, call: Call) -> Shown:
        """What was done to a droplet."""
        droplet = self.find(call)
        return [
            show_action(action, self.clock())
            for action in self.actions.values()
            if action.resource == droplet.id and action.resource_type == "droplet"
        ]

    def show_action(self, call: Call) -> Reply:
        """One action."""
        action = self.actions.get(int(call.parts["id"]))
        if action is None:
            raise not_found()
        return Reply(200, {"action": show_action(action, self.clock())})

    def begin(self, kind: str, resource: int, resource_type: str, region: str, takes_s: float) -> int:
        """Begin an action."""
        number, now = 36_804_636 + len(self.actions), self.clock()
        while number in self.actions:
            number += 1
        self.actions[number] = Action(number, kind, resource, resource_type, region, now, now + takes_s)
        return number

    def find(self, call: Call) -> Droplet:
        """The droplet of the path; 404 for one that is gone."""
        droplet = self.every.get(int(call.parts["id"]))
        if droplet is None or droplet.fate == "vanishing" or self.is_gone(droplet, self.clock()):
            raise not_found()
        return droplet

    def is_gone(self, droplet: Droplet, now: float) -> bool:
        """Whether a droplet was removed, or failed."""
        if droplet.fate == "vanishing":
            return True
        if droplet.fate == "failing":
            return now >= self.actions[droplet.action].ends_at
        return droplet.deleted_at is not None and now >= droplet.deleted_at + self.switches.delete_takes_s

    def status(self, droplet: Droplet) -> str:
        """new, active or off."""
        if not droplet.booted or self.clock() < droplet.created_at + self.switches.active_after_s:
            return "new"
        return "off" if droplet.off else "active"

    def keep_case(self, tag: str) -> str:
        """A tag as it was first written."""
        return self.tag_case.setdefault(tag.lower(), tag)

    def _show(self, droplet: Droplet) -> dict[str, Any]:
        addressed = droplet.created_at + self.switches.active_after_s + self.switches.address_after_s
        return show_droplet(droplet, self.status(droplet), with_address=self.clock() >= addressed)

    def _boot(self, droplet: Droplet) -> None:
        if isinstance(self.backend, NullDroplets):
            droplet.address, droplet.booted = self.backend.boot(droplet.name, droplet.user_data), True
            return

        def boot() -> None:
            try:
                address = self.backend.boot(droplet.name, droplet.user_data)
            except Exception:
                with self._lock:
                    droplet.fate = "failing"
                    self.actions[droplet.action].fails = True
                raise
            with self._lock:
                droplet.address, droplet.booted = address, True

        threading.Thread(target=boot, name=f"boot {droplet.name}", daemon=True).start()

    def _check(self, body: dict[str, Any]) -> None:
        tags, keys = body.get("tags") or [], body.get("ssh_keys") or []
        choice = (body.get("region", ""), body["size"])
        unknown = [key for key in keys if key not in self.keys]
        alive = [droplet for droplet in self.every.values() if not self.is_gone(droplet, self.clock())]
        faults = {
            "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)": not HOST_NAME.fullmatch(
                body["name"]
            ),
            "You specified an invalid size for Droplet creation.": choice[1] not in catalog.SIZES,
            "You specified an invalid region for Droplet creation.": choice[0] not in catalog.REGIONS,
            "You specified an invalid image for Droplet creation.": body["image"] not in catalog.IMAGES,
            "Region is not available": choice[0] in self.switches.closed_regions,
            "Size is not available in this region.": choice in self.switches.sold_out | self.switches.unlisted,
            "User data is too large.": len(body.get("user_data", "").encode()) > self.switches.largest_user_data,
            f"{unknown} are invalid key identifiers for Droplet creation.": bool(unknown),
            "Tags may only contain letters, numbers, colons, dashes, and underscores.": not all(
                map(TAG.fullmatch, tags)
            ),
            "creating this/these droplet(s) will exceed your droplet limit": len(alive) >= self.switches.droplet_limit,
        }
        for message, holds in faults.items():
            if holds:
                raise unprocessable(message)
