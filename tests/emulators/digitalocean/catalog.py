"""What the emulated DigitalOcean offers. Sizes, prices and regions are samples in the vendor's shapes, not its list."""

from typing import Any

REGIONS: dict[str, str] = {"fra1": "Frankfurt 1", "ams3": "Amsterdam 3", "nyc3": "New York 3", "lon1": "London 1"}
SIZES: dict[str, tuple[int, int, int, float, float]] = {
    "s-1vcpu-512mb-10gb": (512, 1, 10, 4.0, 0.00595),
    "s-1vcpu-1gb": (1024, 1, 25, 6.0, 0.00893),
    "s-1vcpu-2gb": (2048, 1, 50, 12.0, 0.01786),
    "s-2vcpu-2gb": (2048, 2, 60, 18.0, 0.02679),
}
"""Memory (MB), CPUs, disk (GB), dollars a month, dollars an hour."""
IMAGES: dict[str, tuple[str, str, int]] = {
    "ubuntu-24-04-x64": ("24.04 (LTS) x64", "Ubuntu", 15),
    "ubuntu-22-04-x64": ("22.04 (LTS) x64", "Ubuntu", 7),
    "debian-12-x64": ("12 x64", "Debian", 7),
}
"""Name, distribution, least disk (GB)."""


def region(slug: str, *, available: bool = True) -> dict[str, Any]:
    """A region as the API shows it."""
    return {
        "name": REGIONS[slug],
        "slug": slug,
        "features": ["backups", "ipv6", "metadata", "install_agent", "storage", "image_transfer"],
        "available": available,
        "sizes": list(SIZES),
    }


def size(slug: str, regions: list[str], *, available: bool = True) -> dict[str, Any]:
    """A size as the API shows it."""
    memory, cpus, disk, monthly, hourly = SIZES[slug]
    return {
        "slug": slug,
        "memory": memory,
        "vcpus": cpus,
        "disk": disk,
        "transfer": 1.0,
        "price_monthly": monthly,
        "price_hourly": hourly,
        "regions": regions,
        "available": available,
        "description": "Basic",
    }


def image(slug: str) -> dict[str, Any]:
    """An image as the API shows it."""
    name, distribution, disk = IMAGES[slug]
    return {
        "id": 100_000 + list(IMAGES).index(slug),
        "name": name,
        "distribution": distribution,
        "slug": slug,
        "public": True,
        "regions": list(REGIONS),
        "created_at": "2024-04-25T00:00:00Z",
        "min_disk_size": disk,
        "size_gigabytes": 0.6,
        "type": "base",
        "description": f"{distribution} {name}",
        "tags": [],
        "status": "available",
        "error_message": "",
    }
