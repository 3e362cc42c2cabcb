"""What exists at the emulated DigitalOcean, what each thing looks like in JSON, and what can be made to go wrong."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.emulators.digitalocean import catalog


@dataclass
class Switches:
    """Each nasty behaviour that is known of the real API. As they are, it is kind."""

    active_after_s: float = 20.0
    """From `new` to `active`."""
    address_after_s: float = 0.0
    """From `active` to a public IPv4 address."""
    list_lag_s: float = 0.0
    """How long a new droplet is missing from lists."""
    hidden_looks: int = 0
    """How often a new droplet answers 404 first."""
    failing_placements: int = 0
    """So many of the next droplets fail: their action is `errored` and they vanish."""
    vanishing_placements: int = 0
    """So many of the next droplets answer 404 for ever, and their action too."""
    locked_s: float = 0.0
    """How long after its creation a droplet has a pending event."""
    delete_takes_s: float = 0.0
    sold_out: set[tuple[str, str]] = field(default_factory=set)
    """Region and size that are refused at creation though the lists have them."""
    unlisted: set[tuple[str, str]] = field(default_factory=set)
    """Region and size that the lists do not have either."""
    closed_regions: set[str] = field(default_factory=set)
    droplet_limit: int = 25
    account_status: str = "active"
    scopes: set[str] | None = None
    """What the token may do; None: everything."""
    largest_user_data: int = 64 * 1024


@dataclass
class Droplet:
    """A droplet."""

    id: int
    name: str
    region: str
    size: str
    image: str
    tags: list[str]
    user_data: str
    created_at: float
    action: int
    fate: str = "fine"
    """fine, failing or vanishing."""
    booted: bool = False
    address: str | None = None
    looks: int = 0
    off: bool = False
    deleted_at: float | None = None


@dataclass
class ReservedIp:
    """A reserved IP."""

    address: str
    region: str
    droplet: int | None


@dataclass
class Firewall:
    """A firewall: what was asked for, and when."""

    id: str
    body: dict[str, Any]
    created_at: float


@dataclass
class Action:
    """Something that takes time."""

    id: int
    kind: str
    resource: int
    resource_type: str
    region: str
    started_at: float
    ends_at: float
    fails: bool = False


def instant(seconds: float) -> str:
    """A time as the API writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def show_droplet(droplet: Droplet, status: str, *, with_address: bool, created: bool = False) -> dict[str, Any]:
    """A droplet as the API shows it; the answer to its creation has no vpc_uuid."""
    memory, cpus, disk, _, _ = catalog.SIZES[droplet.size]
    networks: list[dict[str, Any]] = []
    if with_address and droplet.address is not None:
        networks = [
            {"ip_address": "10.114.0.3", "netmask": "255.255.240.0", "gateway": "10.114.0.1", "type": "private"},
            {"ip_address": droplet.address, "netmask": "255.255.255.0", "gateway": "203.0.113.1", "type": "public"},
        ]
    shown: dict[str, Any] = {
        "id": droplet.id,
        "name": droplet.name,
        "memory": memory,
        "vcpus": cpus,
        "disk": disk,
        "locked": status == "new",
        "status": status,
        "kernel": None,
        "created_at": instant(droplet.created_at),
        "features": [],
        "backup_ids": [],
        "next_backup_window": None,
        "snapshot_ids": [],
        "image": catalog.image(droplet.image),
        "volume_ids": [],
        "size": catalog.size(droplet.size, list(catalog.REGIONS)),
        "size_slug": droplet.size,
        "networks": {"v4": networks, "v6": []},
        "region": catalog.region(droplet.region),
        "tags": list(droplet.tags),
    }
    return shown if created else shown | {"vpc_uuid": "760e09ef-dc84-11e8-981e-3cfdfeaae000"}


def show_action(action: Action, now: float) -> dict[str, Any]:
    """An action as the API shows it."""
    over = now >= action.ends_at
    return {
        "id": action.id,
        "status": "errored" if over and action.fails else "completed" if over else "in-progress",
        "type": action.kind,
        "started_at": instant(action.started_at),
        "completed_at": instant(action.ends_at) if over else None,
        "resource_id": action.resource,
        "resource_type": action.resource_type,
        "region": catalog.region(action.region),
        "region_slug": action.region,
    }


def show_firewall(firewall: Firewall, droplets: list[int]) -> dict[str, Any]:
    """A firewall as the API shows it."""
    return {
        "id": firewall.id,
        "status": "succeeded",
        "created_at": instant(firewall.created_at),
        "pending_changes": [],
        "droplet_ids": droplets,
        **firewall.body,
    }
