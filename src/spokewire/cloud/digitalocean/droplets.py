"""What DigitalOcean says of things, read from its JSON. Lenient: only what is used is looked at. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Droplet:
    """A droplet, observed."""

    id: int
    name: str
    status: str
    """new, active, off or archive. Active means powered on, not booted."""
    region: str
    size: str
    image: str
    tags: tuple[str, ...]
    address: str | None
    """Its own public IPv4 address; None while it has none, which can be so for a while after it is active."""


@dataclass(frozen=True)
class ReservedIp:
    """A reserved IP, and the droplet that has it."""

    address: str
    region: str
    droplet_id: int | None


@dataclass(frozen=True)
class CloudFirewall:
    """A firewall."""

    id: str
    name: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Size:
    """A kind of droplet, with its price in US dollars."""

    slug: str
    regions: frozenset[str]
    available: bool
    hourly: Decimal
    monthly: Decimal


def read_droplet(data: Mapping[str, Any]) -> Droplet:
    """A droplet from its JSON."""
    image = data.get("image") or {}
    return Droplet(
        id=int(data["id"]),
        name=str(data["name"]),
        status=str(data.get("status", "new")),
        region=str((data.get("region") or {}).get("slug", "")),
        size=str(data.get("size_slug", "")),
        image=str(image.get("slug") or image.get("id") or ""),
        tags=tuple(map(str, data.get("tags") or ())),
        address=_public_address(data),
    )


def read_reserved_ip(data: Mapping[str, Any]) -> ReservedIp:
    """A reserved IP from its JSON."""
    droplet = data.get("droplet")
    return ReservedIp(
        address=str(data["ip"]),
        region=str((data.get("region") or {}).get("slug", "")),
        droplet_id=int(droplet["id"]) if isinstance(droplet, dict) and "id" in droplet else None,
    )


def read_firewall(data: Mapping[str, Any]) -> CloudFirewall:
    """A firewall from its JSON."""
    return CloudFirewall(str(data["id"]), str(data["name"]), tuple(map(str, data.get("tags") or ())))


def read_size(data: Mapping[str, Any]) -> Size:
    """A size from its JSON. Prices are numbers there; as text they are exact."""
    return Size(
        slug=str(data["slug"]),
        regions=frozenset(map(str, data.get("regions") or ())),
        available=bool(data.get("available", True)),
        hourly=Decimal(str(data["price_hourly"])),
        monthly=Decimal(str(data["price_monthly"])),
    )


def _public_address(data: Mapping[str, Any]) -> str | None:
    networks = (data.get("networks") or {}).get("v4") or ()
    found = (str(item["ip_address"]) for item in networks if item.get("type") == "public" and item.get("ip_address"))
    return next(found, None)
