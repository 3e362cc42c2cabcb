"""What a spec says of machines in clouds: the keys of their tables, and what they are to be made from. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from spokewire.network.tables import Table, checked

DEFAULT_SIZES = ("s-1vcpu-1gb", "s-1vcpu-2gb")
"""The smallest droplets on which a first boot has enough memory for its updates beside us."""
DEFAULT_DROPLET_IMAGE = "ubuntu-24-04-x64"
DEFAULT_INSTANCE_TYPES = ("tdx.small",)
DEFAULT_CVM_IMAGE = "dstack-0.5.8"
"""The first image of dstack's that has nf_tables, which a node's firewall needs."""
DEFAULT_DISK_GB = 20
"""Phala's least."""

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_KEY = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
_ENDPOINT = re.compile(r"https://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~/-]*)?")
_WHEEL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+/[A-Za-z0-9._~/%+-]*spokewire-[A-Za-z0-9._+%-]+\.whl")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]{0,254}@sha256:[0-9a-f]{64}")
_FILE = re.compile(r"[^\x00-\x1f\x7f]{1,4096}")
_VARIABLE = re.compile(r"(?!SPOKEWIRE_)[A-Za-z_][A-Za-z0-9_]{0,127}")


def _matches(pattern: re.Pattern[str], rule: str) -> AfterValidator:
    return checked(lambda text: pattern.fullmatch(text) is not None, rule)


Slug = Annotated[str, _matches(_SLUG, 'a name as the cloud writes it, such as "fra1" or "tdx.small"')]
KeyText = Annotated[str, _matches(_KEY, "the name or the fingerprint of an SSH key at DigitalOcean")]
EndpointText = Annotated[str, _matches(_ENDPOINT, 'a URL that begins with "https://"')]
WheelText = Annotated[str, _matches(_WHEEL, "the URL of a wheel: .../spokewire-VERSION-py3-none-any.whl")]
Sha256Text = Annotated[str, _matches(_SHA256, "a SHA-256: 64 hexadecimal digits in lower case")]
ImageText = Annotated[str, _matches(_IMAGE, "a container image by digest: NAME@sha256:DIGEST")]
FileText = Annotated[str, _matches(_FILE, 'a file, such as "docker-compose.yml"')]
VariableText = Annotated[
    str, _matches(_VARIABLE, "the name of an environment variable, but none that begins with SPOKEWIRE_")
]


class ReleaseTable(Table):
    """The `[release]` table: what machines in clouds install. Exact, so that two machines run the same thing."""

    stand_ins: ClassVar[Mapping[str, str]] = {}

    wheel: WheelText | None = None
    wheel_sha256: Sha256Text | None = None
    image: ImageText | None = None


class EndpointTable(Table):
    """The `[digitalocean]` and `[phala]` tables."""

    stand_ins: ClassVar[Mapping[str, str]] = {}

    endpoint: EndpointText | None = None


class DropletKeys(Table):
    """The keys of a `[[hubs]]` table that are for provider = "digitalocean" only. None: left out."""

    regions: tuple[Slug, ...] | None = Field(default=None, strict=False, min_length=1)
    sizes: tuple[Slug, ...] | None = Field(default=None, strict=False, min_length=1)
    os_image: Slug | None = None
    ssh_key: KeyText | None = None
    reserved_ip: bool | None = None


class CvmKeys(Table):
    """The keys of a `[[nodes]]` table that are for provider = "phala" only. None: left out."""

    instance_types: tuple[Slug, ...] | None = Field(default=None, strict=False, min_length=1)
    regions: tuple[Slug, ...] | None = Field(default=None, strict=False)
    os_image: Slug | None = None
    disk_gb: int | None = Field(default=None, ge=DEFAULT_DISK_GB, le=10_000)
    compose: FileText | None = None
    environment: tuple[VariableText, ...] | None = Field(default=None, strict=False)
    env_file: FileText | None = None


DROPLET_KEYS: tuple[str, ...] = tuple(DropletKeys.model_fields)
CVM_KEYS: tuple[str, ...] = tuple(CvmKeys.model_fields)


@dataclass(frozen=True)
class DropletSpec:
    """What a droplet is made from. Sizes and regions are tried in this order, all sizes of a region before the next region."""

    regions: tuple[str, ...]
    sizes: tuple[str, ...] = DEFAULT_SIZES
    os_image: str = DEFAULT_DROPLET_IMAGE
    ssh_key: str | None = None
    """Name or fingerprint of a key that the account has; None: nobody can log in."""
    reserved_ip: bool = False


@dataclass(frozen=True)
class CvmSpec:
    """What a confidential VM is made from. No regions: any."""

    instance_types: tuple[str, ...] = DEFAULT_INSTANCE_TYPES
    regions: tuple[str, ...] = ()
    os_image: str = DEFAULT_CVM_IMAGE
    disk_gb: int = DEFAULT_DISK_GB
    compose: str | None = None
    """The user's own compose file, relative to the spec's folder."""
    environment: tuple[str, ...] = ()
    """Names of variables whose values the machine is given, encrypted, in alphabetical order. The values are never here."""
    env_file: str | None = None
    """Where values are that the operator's environment does not have."""


def make_droplet(table: DropletKeys) -> DropletSpec:
    """What the table of a hub on DigitalOcean asks for."""
    return DropletSpec(
        regions=table.regions or (),
        sizes=table.sizes or DEFAULT_SIZES,
        os_image=table.os_image or DEFAULT_DROPLET_IMAGE,
        ssh_key=table.ssh_key,
        reserved_ip=bool(table.reserved_ip),
    )


def make_cvm(table: CvmKeys) -> CvmSpec:
    """What the table of a node on Phala asks for."""
    return CvmSpec(
        instance_types=table.instance_types or DEFAULT_INSTANCE_TYPES,
        regions=table.regions or (),
        os_image=table.os_image or DEFAULT_CVM_IMAGE,
        disk_gb=table.disk_gb or DEFAULT_DISK_GB,
        compose=table.compose,
        environment=tuple(sorted(set(table.environment or ()))),
        env_file=table.env_file,
    )


def list_given(table: Table, keys: Iterable[str]) -> list[str]:
    """Those of the keys that the file has."""
    return [key for key in keys if getattr(table, key) is not None]
