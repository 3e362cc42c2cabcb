"""DigitalOcean's API v2, as far as hubs need it."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from tests.emulators.contract import load_contract
from tests.emulators.digitalocean import catalog
from tests.emulators.digitalocean.droplets import Droplets, refuse
from tests.emulators.digitalocean.network import CloudNetwork
from tests.emulators.digitalocean.state import Switches
from tests.emulators.machines import DropletBackend, NullDroplets
from tests.emulators.service import Call, Emulator, RefusedError, Reply

TOKEN = "dop_v1_" + "e" * 64
LARGEST_PAGE, USUAL_PAGE = 200, 20
SCOPES = [
    ("GET", "/v2/account", "account:read"),
    ("GET", "/v2/account/keys.*", "ssh_key:read"),
    ("GET", "/v2/droplets.*", "droplet:read"),
    ("POST", "/v2/droplets", "droplet:create"),
    ("POST", "/v2/droplets/.*", "droplet:update"),
    ("DELETE", "/v2/droplets.*", "droplet:delete"),
    ("GET", "/v2/actions/.*", "actions:read"),
    ("GET", "/v2/firewalls.*", "firewall:read"),
    ("POST", "/v2/firewalls.*", "firewall:create"),
    ("PUT", "/v2/firewalls.*", "firewall:update"),
    ("DELETE", "/v2/firewalls.*", "firewall:delete"),
    ("GET", "/v2/reserved_ips.*", "reserved_ip:read"),
    ("POST", "/v2/reserved_ips", "reserved_ip:create"),
    ("POST", "/v2/reserved_ips/.*", "reserved_ip:update"),
    ("DELETE", "/v2/reserved_ips.*", "reserved_ip:delete"),
    ("GET", "/v2/tags.*", "tag:read"),
    ("POST", "/v2/tags.*", "tag:create"),
    ("DELETE", "/v2/tags.*", "tag:delete"),
    ("GET", "/v2/regions", "regions:read"),
    ("GET", "/v2/sizes", "sizes:read"),
    ("GET", "/v2/images", "image:read"),
]
"""What each request needs: the vendor's description names them."""


class DigitalOcean(Emulator):
    """The API in memory. `droplets` and `network` are what exists; `switches` what goes wrong."""

    def __init__(self, clock: Callable[[], float], backend: DropletBackend | None = None, token: str = TOKEN) -> None:
        super().__init__(load_contract("digitalocean.yaml"))
        self.switches = Switches()
        self.token = token
        self.clock = clock
        self.droplets = Droplets(self.switches, clock, backend or NullDroplets(), self.lock)
        self.network = CloudNetwork(self.droplets, clock)
        self.keys: list[dict[str, Any]] = []
        self._add_routes()

    def add_key(self, name: str, fingerprint: str) -> int:
        """Give the account an SSH key."""
        number = 512_189 + len(self.keys)
        self.keys.append({"id": number, "name": name, "fingerprint": fingerprint, "public_key": f"ssh-ed25519 {name}"})
        self.droplets.keys.add(number)
        return number

    def authorize(self, call: Call) -> None:
        """A token, and its scopes."""
        if call.headers.get("authorization") != f"Bearer {self.token}":
            raise refuse(401, "unauthorized", "Unable to authenticate you")
        if self.switches.scopes is None:
            return
        for method, pattern, scope in SCOPES:
            if method == call.method and re.fullmatch(pattern, call.path) and scope not in self.switches.scopes:
                raise refuse(403, "Forbidden", "You are not authorized to perform this operation")

    def decorate(self, call: Call, reply: Reply) -> Reply:
        """The headers that real answers carry."""
        headers = {
            "ratelimit-limit": "5000",
            "ratelimit-remaining": str(max(0, 4999 - len(self.log))),
            "ratelimit-reset": str(int(self.clock())),
            "x-request-id": f"00000000-0000-4000-8000-{len(self.log):012d}",
            "x-gateway": "Edge-Gateway",
        }
        return Reply(reply.status, reply.body, headers | dict(reply.headers), reply.raw, reply.cut)

    def control(self, call: Call) -> Reply:
        """Read or set switches: GET or POST /_emulator/switches."""
        if call.path != "/_emulator/switches":
            return super().control(call)
        if call.method == "POST":
            for name, value in call.body.items():
                if isinstance(getattr(self.switches, name), set):
                    # JSON knows neither sets nor tuples.
                    setattr(self.switches, name, {tuple(item) if isinstance(item, list) else item for item in value})
                else:
                    setattr(self.switches, name, value)
        return Reply(200, {name: str(value) for name, value in vars(self.switches).items()})

    def _add_routes(self) -> None:
        self.route("GET", "/v2/account", self._account)
        self.route("GET", "/v2/account/keys", lambda call: page(call, "ssh_keys", self.keys))
        self.route("GET", "/v2/regions", self._regions)
        self.route("GET", "/v2/sizes", self._sizes)
        self.route("GET", "/v2/images", lambda call: page(call, "images", [catalog.image(s) for s in catalog.IMAGES]))
        self.route("GET", "/v2/droplets", lambda call: page(call, "droplets", self.droplets.list(call)))
        self.route("POST", "/v2/droplets", self.droplets.create)
        self.route("GET", "/v2/droplets/{id}", self.droplets.show)
        self.route("DELETE", "/v2/droplets/{id}", self._delete_droplet)
        self.route("POST", "/v2/droplets/{id}/actions", self.droplets.act)
        self.route(
            "GET", "/v2/droplets/{id}/actions", lambda call: page(call, "actions", self.droplets.actions_of(call))
        )
        self.route("GET", "/v2/actions/{id}", self.droplets.show_action)
        network = self.network
        self.route("GET", "/v2/tags", lambda call: page(call, "tags", network.list_tags()))
        self.route("POST", "/v2/tags", network.make_tag)
        self.route("DELETE", "/v2/tags/{name}", network.delete_tag)
        self.route("GET", "/v2/firewalls", lambda call: page(call, "firewalls", network.list_firewalls()))
        self.route("POST", "/v2/firewalls", network.make_firewall)
        self.route("PUT", "/v2/firewalls/{id}", network.change_firewall)
        self.route("DELETE", "/v2/firewalls/{id}", network.delete_firewall)
        self.route("GET", "/v2/reserved_ips", lambda call: page(call, "reserved_ips", network.list_reserved()))
        self.route("POST", "/v2/reserved_ips", network.reserve)
        self.route("POST", "/v2/reserved_ips/{ip}/actions", network.act_on_reserved)
        self.route("DELETE", "/v2/reserved_ips/{ip}", network.release)

    def _delete_droplet(self, call: Call) -> Reply:
        reply = self.droplets.delete(call)
        self.network.forget_droplet(int(call.parts["id"]))
        return reply

    def _account(self, call: Call) -> Reply:
        account = {
            "droplet_limit": self.switches.droplet_limit,
            "floating_ip_limit": 3,
            "email": "operator@example.com",
            "name": "Operator",
            "uuid": "b6fr89dbf6d9156cace5f3c78dc9851d957381ef",
            "email_verified": True,
            "status": self.switches.account_status,
            "status_message": "" if self.switches.account_status == "active" else "Ask support.",
        }
        return Reply(200, {"account": account})

    def _regions(self, call: Call) -> Reply:
        closed = self.switches.closed_regions
        return page(call, "regions", [catalog.region(slug, available=slug not in closed) for slug in catalog.REGIONS])

    def _sizes(self, call: Call) -> Reply:
        unlisted = self.switches.unlisted
        sizes = [
            catalog.size(slug, [region for region in catalog.REGIONS if (region, slug) not in unlisted])
            for slug in catalog.SIZES
        ]
        return page(call, "sizes", sizes)

    @property
    def empty(self) -> bool:
        """Whether nothing is left that costs money or carries a name."""
        now = self.clock()
        alive = [d for d in self.droplets.every.values() if not self.droplets.is_gone(d, now)]
        return not alive and not self.network.firewalls and not self.network.reserved and not self.network.tags


def page(call: Call, key: str, items: Sequence[Any]) -> Reply:
    """One page of a list; links only where there is more than one."""
    number, size = int(call.query.get("page", 1)), int(call.query.get("per_page", USUAL_PAGE))
    if not 1 <= size <= LARGEST_PAGE:
        raise RefusedError(Reply(422, {"id": "unprocessable_entity", "message": "per_page must be between 1 and 200"}))
    pages = max(1, -(-len(items) // size))
    links: dict[str, Any] = {}
    base = f"https://api.digitalocean.com{call.path}?per_page={size}&page="
    if pages > 1:
        found = {"first": f"{base}1", "prev": f"{base}{number - 1}"} if number > 1 else {}
        found |= {"next": f"{base}{number + 1}", "last": f"{base}{pages}"} if number < pages else {}
        links = {"pages": found}
    shown = list(items)[(number - 1) * size : number * size]
    return Reply(200, {key: shown, "links": links, "meta": {"total": len(items)}})
