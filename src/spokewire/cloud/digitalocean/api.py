"""The calls of DigitalOcean's API v2 that are needed, and no more (docs.digitalocean.com/reference/api)."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import Any, TypeVar

from spokewire.cloud.digitalocean.droplets import (
    CloudFirewall,
    Droplet,
    ReservedIp,
    Size,
    read_droplet,
    read_firewall,
    read_reserved_ip,
    read_size,
)
from spokewire.cloud.digitalocean.refusals import is_duplicate, translate
from spokewire.cloud.http import AmbiguousError, CloudClient, RefusalError
from spokewire.errors import Code, TemporaryError

T = TypeVar("T")

PAGE = 200
"""The most that a page holds."""
_NOT_FOUND = 404


class Api:
    """DigitalOcean. Refused credentials are an InputError; other refusals are left to who asked."""

    def __init__(self, client: CloudClient) -> None:
        self._client = client
        self.clock = client.clock

    def read_account(self) -> Mapping[str, Any]:
        """The account of the token: droplet_limit, status, status_message."""
        return self._call(lambda: dict(self._client.get("/v2/account")["account"]))

    def count_droplets(self) -> int:
        """How many droplets the account has, whosoever they are."""
        return self._call(lambda: int(self._client.get("/v2/droplets", {"per_page": 1})["meta"]["total"]))

    def list_droplets(self, tag: str) -> list[Droplet]:
        """Those with a tag. A new one may be missing for some seconds."""
        return self._list("/v2/droplets", "droplets", read_droplet, {"tag_name": tag})

    def find_droplet(self, number: int) -> Droplet | None:
        """One by its id; None for 404, which a new one may answer for a while too."""
        return self._find(f"/v2/droplets/{number}", lambda found: read_droplet(found["droplet"]))

    def create_droplet(self, body: Mapping[str, Any]) -> tuple[Droplet, int | None]:
        """Ask for a droplet; returns it with the id of the action that makes it. Sent once: see AmbiguousError."""

        def ask() -> tuple[Droplet, int | None]:
            answer = self._client.post("/v2/droplets", body)
            actions = (answer.get("links") or {}).get("actions") or ()
            number = next((int(item["id"]) for item in actions if item.get("rel") == "create"), None)
            return read_droplet(answer["droplet"]), number

        return self._call(ask, AmbiguousError)

    def delete_droplet(self, number: int) -> None:
        """Ask for its removal; it goes some time later."""
        self._call(lambda: self._client.delete(f"/v2/droplets/{number}"))

    def switch_on(self, number: int) -> None:
        """Power on a droplet that is off."""
        self._call(lambda: self._client.post(f"/v2/droplets/{number}/actions", {"type": "power_on"}))

    def find_action(self, number: int) -> str | None:
        """in-progress, completed or errored; None if it is not known."""
        return self._find(f"/v2/actions/{number}", lambda found: str(found["action"]["status"]))

    def find_creation(self, number: int) -> int | None:
        """The id of the action that makes a droplet; None if it is not known."""

        def read(answer: Any) -> int | None:
            return next((int(item["id"]) for item in answer["actions"] if item.get("type") == "create"), None)

        return self._find(f"/v2/droplets/{number}/actions", read)

    def list_sizes(self) -> list[Size]:
        """Every kind of droplet, with prices."""
        return self._list("/v2/sizes", "sizes", read_size)

    def list_regions(self) -> dict[str, bool]:
        """Every region, and whether it takes new droplets."""
        return dict(self._list("/v2/regions", "regions", lambda item: (str(item["slug"]), bool(item["available"]))))

    def list_images(self) -> set[str]:
        """The names of the images that everybody may use."""
        found = self._list("/v2/images", "images", lambda item: str(item.get("slug") or ""), {"type": "distribution"})
        return set(found) - {""}

    def list_keys(self) -> list[Mapping[str, Any]]:
        """The account's SSH keys: id, name, fingerprint."""
        return self._list("/v2/account/keys", "ssh_keys", dict)

    def list_tags(self) -> dict[str, int]:
        """Every tag of the account in lower case, for case is not told apart, with the number of things that carry it."""

        def read(item: Mapping[str, Any]) -> tuple[str, int]:
            return str(item["name"]).lower(), int((item.get("resources") or {}).get("count", 0))

        return dict(self._list("/v2/tags", "tags", read))

    def make_tag(self, name: str) -> None:
        """Make a tag; one that exists is right."""
        self._make_once("/v2/tags", {"name": name})

    def delete_tag(self, name: str) -> None:
        """Remove a tag from whatever carries it."""
        self._call(lambda: self._client.delete(f"/v2/tags/{name}"))

    def list_firewalls(self) -> list[CloudFirewall]:
        """Every firewall of the account."""
        return self._list("/v2/firewalls", "firewalls", read_firewall)

    def make_firewall(self, body: Mapping[str, Any]) -> None:
        """Make a firewall; its name is unique, so one that exists is told by 409."""
        self._make_once("/v2/firewalls", body)

    def change_firewall(self, number: str, body: Mapping[str, Any]) -> None:
        """Set all of a firewall anew."""
        self._call(lambda: self._client.request("PUT", f"/v2/firewalls/{number}", body=body))

    def delete_firewall(self, number: str) -> None:
        """Remove a firewall."""
        self._call(lambda: self._client.delete(f"/v2/firewalls/{number}"))

    def list_reserved_ips(self) -> list[ReservedIp]:
        """Every reserved IP of the account."""
        return self._list("/v2/reserved_ips", "reserved_ips", read_reserved_ip)

    def reserve_ip(self, droplet: int) -> None:
        """Reserve an IP for a droplet and give it that. Sent once: see AmbiguousError."""
        self._call(lambda: self._client.post("/v2/reserved_ips", {"droplet_id": droplet}))

    def assign_ip(self, address: str, droplet: int) -> None:
        """Give a reserved IP to a droplet."""
        body = {"type": "assign", "droplet_id": droplet}
        self._call(lambda: self._client.post(f"/v2/reserved_ips/{address}/actions", body))

    def unassign_ip(self, address: str) -> None:
        """Take a reserved IP from its droplet."""
        self._call(lambda: self._client.post(f"/v2/reserved_ips/{address}/actions", {"type": "unassign"}))

    def release_ip(self, address: str) -> None:
        """Give a reserved IP back."""
        self._call(lambda: self._client.delete(f"/v2/reserved_ips/{address}"))

    def _list(
        self, path: str, key: str, read: Callable[[Any], T], query: Mapping[str, str | int] | None = None
    ) -> list[T]:
        found: list[T] = []
        for number in count(1):
            items, more = self._call(partial(self._read_page, path, key, read, {**(query or {}), "page": number}))
            found += items
            if not more:
                break
        return found

    def _read_page(
        self, path: str, key: str, read: Callable[[Any], T], query: Mapping[str, str | int]
    ) -> tuple[list[T], bool]:
        answer = self._client.get(path, {"per_page": PAGE, **query})
        pages = (answer.get("links") or {}).get("pages") or {}
        return [read(item) for item in answer[key] or ()], bool(pages.get("next"))

    def _find(self, path: str, read: Callable[[Any], T]) -> T | None:
        try:
            return self._call(lambda: read(self._client.get(path)))
        except RefusalError as refusal:
            if refusal.status == _NOT_FOUND:
                return None
            raise

    def _make_once(self, path: str, body: Mapping[str, Any]) -> None:
        """Make what has a unique name: that it exists is as good, so after a lost answer it may be asked for again."""
        for wait_s in (1.0, 4.0, None):
            try:
                self._call(lambda: self._client.post(path, body))
            except AmbiguousError:
                if wait_s is None:
                    raise
                self.clock.sleep(wait_s)
            except RefusalError as refusal:
                if not is_duplicate(refusal):
                    raise
                return
            else:
                return

    def _call(self, ask: Callable[[], T], unclear: type[TemporaryError] = TemporaryError) -> T:
        try:
            return ask()
        except RefusalError as refusal:
            error = translate(refusal)
            if error is refusal:
                raise
            raise error from refusal
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise unclear(
                Code.CLOUD_UNREACHABLE,
                f"DigitalOcean answers otherwise than it promises ({type(error).__name__}: {error}).",
                hint="Run the command again later.",
            ) from error
