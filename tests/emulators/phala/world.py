"""What the emulated Phala Cloud has: hosts, sizes, CVMs; and the switches for what goes wrong there. Documented or reported behaviour only."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SIZES: dict[str, tuple[int, int, str]] = {
    "tdx.small": (1, 2048, "0.058"),
    "tdx.medium": (2, 4096, "0.116"),
    "tdx.large": (4, 8192, "0.232"),
}
"""vCPU, MB and US dollars an hour. The vendor's pages contradict each other: these are as good as any."""


@dataclass
class Host:
    """A physical machine."""

    id: int
    name: str
    region: str
    slots: int = 20
    vcpu: float = 64.0
    memory_mb: float = 131072.0
    images: tuple[str, ...] = ("dstack-0.5.8", "dstack-dev-0.5.8", "dstack-0.5.6")

    @property
    def domain(self) -> str:
        """Its gateway's. It says nothing of the region, and the region nothing of it."""
        return f"dstack-pha-{self.name}.phala.network"


@dataclass
class Provision:
    """What the first step left in the server's cache."""

    name: str
    host: Host
    size: str
    disk_gb: int
    image: str
    app_compose: dict[str, Any]
    key: X25519PrivateKey
    listed: bool
    at: float


@dataclass
class Cvm:
    """A machine."""

    number: int
    hashid: str
    uuid: str
    app_id: str
    compose_hash: str
    made_from: Provision
    created_at: float
    env: dict[str, str]
    instance_id: str = ""
    switched_on: bool = True
    never_ends: bool = False
    """It stays in `starting`."""
    forced: str = ""
    """A status that a test gave it."""
    deleting_at: float | None = None
    busy_until: float = 0.0
    starts: int = 0
    compose_text_at: float = 0.0
    """From when the API tells its compose text."""

    @property
    def name(self) -> str:
        """Its name in the workspace."""
        return self.made_from.name

    @property
    def compose_text(self) -> str:
        """What it runs."""
        return str(self.made_from.app_compose.get("docker_compose_file") or "")


@dataclass
class Switches:
    """What goes wrong. Everything is well at first."""

    balance: str = "12.50"
    is_post_paid: bool = False
    machine_limit: int = 8
    """Tier 1."""
    room_is_checked_at: str = "provision"
    """Or "commit": the first step is let through although the host is full."""
    hides_that_hosts_are_full: bool = False
    """The list of hosts shows room that is not there."""
    list_lag_s: float = 0.0
    """For so long a new CVM is not in the list."""
    early_404_s: float = 0.0
    """For so long asking for a new CVM is answered with 404."""
    compose_lag_s: float = 0.0
    """For so long the API has no compose text of a new CVM."""
    commit_without_uuid: bool = False
    stopped_after_commit: bool = False
    """Until /start is called."""
    starting_never_ends_on: set[int] = field(default_factory=set)
    """Hosts."""
    fails_on: set[int] = field(default_factory=set)
    """Hosts on which a CVM ends in the state `error`."""
    delete_takes_s: float = 0.0
    deletion_never_ends_on: set[int] = field(default_factory=set)
    """Hosts on which a CVM that hangs stays in `deleting`."""
    busy_after_commit_s: float = 0.0
    """409 without a code for every operation."""
    wraps_errors: bool = False
    """In `{"detail": …}`."""
    name_is_checked_at: str = "provision"
    """Or "commit"."""


def default_hosts() -> list[Host]:
    """Three hosts in two regions."""
    return [
        Host(18, "prod9", "us-west-1"),
        Host(26, "prod5", "us-west-1"),
        Host(31, "prod7", "eu-central-1"),
    ]


def app_key(app_id: str) -> X25519PrivateKey:
    """The key of an app's environment; the real one's is deterministic per app too."""
    return X25519PrivateKey.from_private_bytes(hashlib.sha256(f"key of {app_id}".encode()).digest())


def public_hex(key: X25519PrivateKey) -> str:
    """The public half, as the API writes it."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def hash_compose(app_compose: dict[str, Any]) -> str:
    """SHA-256 of the canonical form: sorted keys, compact, UTF-8 (PyPI dstack-sdk 0.5.4, get_compose_hash)."""
    text = json.dumps(app_compose, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def make_hex(words: Sequence[object], digits: int) -> str:
    """An identifier made of words."""
    return hashlib.sha256(" ".join(map(str, words)).encode()).hexdigest()[:digits]
