"""What Phala Cloud answers, as values of ours. Pure and lenient: nearly every field may be missing or null while a machine boots.

Shapes are those of X-Phala-Version 2026-01-21; identifiers may be numbers or text, because later versions write them so.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

FIRST_WITH_NFTABLES = (0, 5, 8)
"""dstack images before it have a kernel without nf_tables, which the node's firewall needs."""
LEAVING = frozenset({"deleting", "removing", "deleted"})
FAILED = frozenset({"error", "exited", "failed"})


@dataclass(frozen=True)
class Account:
    """Who pays, and what is left. Amounts are US dollars."""

    username: str
    workspace: str
    """The workspace's slug; "" if the answer names none."""
    balance: Decimal
    is_post_paid: bool


@dataclass(frozen=True)
class Room:
    """What a workspace may still make; None where no limit is known."""

    machines: int | None = None
    vcpu: float | None = None
    memory_mb: float | None = None
    disk_gb: float | None = None


@dataclass(frozen=True)
class Image:
    """A guest system that a host offers."""

    name: str
    version: tuple[int, ...]
    is_dev: bool
    """It lets whoever has the SSH key in: not confidential."""
    needs_gpu: bool = False


@dataclass(frozen=True)
class Host:
    """A physical machine of Phala's (a "teepod"), and what is left on it: what it does not say is no limit, the server decides."""

    id: int
    name: str
    region: str
    slots: float
    vcpu: float
    memory_mb: float
    disk_gb: float
    images: tuple[Image, ...]


@dataclass(frozen=True)
class InstanceType:
    """A size of machine. Sizes and prices are read from the API and nowhere else: the vendor's pages contradict each other."""

    id: str
    vcpu: int
    memory_mb: int
    hourly_usd: Decimal | None


@dataclass(frozen=True)
class Provisioned:
    """What the first step of a creation gave."""

    app_id: str
    compose_hash: str
    key: str
    """The X25519 public key for the environment, 64 hexadecimal digits."""


@dataclass(frozen=True)
class Cvm:
    """A confidential VM as the list, or the answer to a question about one, tells it."""

    uuid: str
    """The key by which it is addressed (vm_uuid, or else the id that begins with cvm_): names and app ids may become ambiguous."""
    name: str
    status: str
    is_busy: bool = False
    """An operation is under way."""
    app_id: str = ""
    instance_id: str = ""
    """Empty before its first boot."""
    domain: str = ""
    """The gateway's base domain. It follows from nothing else, least of all the region."""
    host: int | None = None
    host_name: str = ""
    region: str = ""
    instance_type: str = ""
    disk_gb: int | None = None
    image: str = ""
    compose_hash: str = ""
    compose: str | None = None
    """The compose text, where the answer has it."""
    created_at: float | None = None

    @property
    def is_leaving(self) -> bool:
        """Whether it is being deleted."""
        return self.status in LEAVING


@dataclass(frozen=True)
class Boot:
    """How far a guest's boot is, in the vendor's words."""

    progress: str = ""
    error: str = ""


def parse_account(data: Any) -> Account:
    """Read `GET /auth/me`."""
    money, workspace = _table(data, "credits"), _table(data, "workspace")
    balance = (_decimal(money.get("balance")) or Decimal(0)) + (_decimal(money.get("granted_balance")) or Decimal(0))
    username = _text(_table(data, "user").get("username"))
    return Account(username, _text(workspace.get("slug")), balance, money.get("is_post_paid") is True)


def parse_room(data: Any) -> Room:
    """Read `GET /workspaces/{slug}/quotas`."""
    quotas = _table(data, "quotas")
    left = {key: _number(_table(quotas, key).get("remaining")) for key in ("vm_slots", "vcpu", "memory_mb", "disk_gb")}
    slots = left["vm_slots"]
    return Room(None if slots is None else int(slots), left["vcpu"], left["memory_mb"], left["disk_gb"])


def parse_hosts(data: Any) -> tuple[Host, ...]:
    """Read `GET /teepods/available`; a host without an id is left out."""
    return tuple(_hosts(data))


def _hosts(data: Any) -> Iterator[Host]:
    for item in _list(data, "nodes"):
        number = item.get("teepod_id", item.get("node_id"))
        if not isinstance(number, int):
            continue
        yield Host(
            id=number,
            name=_text(item.get("name")) or str(number),
            region=_text(item.get("region_identifier")).lower(),
            slots=_limit(item.get("remaining_cvm_slots")),
            vcpu=_limit(item.get("remaining_vcpu")),
            memory_mb=_limit(item.get("remaining_memory")),
            disk_gb=_limit(item.get("remaining_disk")),
            images=tuple(_image(image) for image in _list(item, "images")),
        )


def _image(item: Mapping[str, Any]) -> Image:
    version = item.get("version")
    numbers = tuple(n for n in version if isinstance(n, int)) if isinstance(version, list) else ()
    name = _text(item.get("name"))
    is_dev = item.get("is_dev") is True or "-dev" in name
    return Image(name, numbers or parse_version(name), is_dev, item.get("requires_gpu") is True)


def parse_version(name: str) -> tuple[int, ...]:
    """The version in the name of an image, such as `dstack-0.5.8`; empty if there is none."""
    words = name.rpartition("-")[2].split(".")
    return tuple(int(word) for word in words) if all(word.isdigit() for word in words) else ()


def parse_instance_types(data: Any) -> dict[str, InstanceType]:
    """Read `GET /instance-types`; those that need a GPU are left out."""
    found = {}
    for family in _list(data, "result"):
        for item in _list(family, "items"):
            vcpu, memory = _number(item.get("vcpu")), _number(item.get("memory_mb"))
            if item.get("requires_gpu") is True or vcpu is None or memory is None:
                continue
            name = _text(item.get("id"))
            found[name] = InstanceType(name, int(vcpu), int(memory), _decimal(item.get("hourly_rate")))
    return found


def parse_provisioned(data: Any) -> Provisioned:
    """Read the answer to `POST /cvms/provision`; fields that are missing are empty."""
    fields = data if isinstance(data, Mapping) else {}
    return Provisioned(*(_text(fields.get(key)) for key in ("app_id", "compose_hash", "app_env_encrypt_pubkey")))


def parse_cvm(data: Any) -> Cvm:
    """Read a CVM of a list, of `GET /cvms/{id}`, or of the answer to `POST /cvms` (flat, and with less)."""
    fields = data if isinstance(data, Mapping) else {}
    resource, node, system = _table(fields, "resource"), _table(fields, "node_info"), _table(fields, "os")
    teepod = _table(fields, "teepod")
    host = node.get("id", fields.get("teepod_id"))
    disk = _number(resource.get("disk_in_gb", fields.get("disk_size")))
    return Cvm(
        uuid=_text(fields.get("vm_uuid")).replace("-", "") or _text(fields.get("id")),
        name=_text(fields.get("name")),
        status=_text(fields.get("status")).lower(),
        is_busy=fields.get("in_progress") is True,
        app_id=_text(fields.get("app_id")).removeprefix("app_"),
        instance_id=_text(fields.get("instance_id")).removeprefix("instance_"),
        domain=_text(_table(fields, "gateway").get("base_domain")) or _text(fields.get("gateway_domain")),
        host=host if isinstance(host, int) else None,
        host_name=_text(node.get("name")) or _text(teepod.get("name")),
        region=_text(node.get("region")).lower(),
        instance_type=_text(resource.get("instance_type")),
        disk_gb=None if disk is None else int(disk),
        image=_text(system.get("name")) or _text(fields.get("base_image")),
        compose_hash=_text(fields.get("compose_hash")),
        compose=parse_compose_text(fields.get("compose_file")),
        created_at=_instant(fields.get("created_at")),
    )


def parse_compose_text(data: Any) -> str | None:
    """The docker-compose text in what the API calls a compose file: an object, an object as text, or the text itself."""
    if isinstance(data, str):
        try:
            inner = json.loads(data)
        except ValueError:
            return data or None
        return parse_compose_text(inner) if isinstance(inner, Mapping) else data
    text = data.get("docker_compose_file") if isinstance(data, Mapping) else None
    return text if isinstance(text, str) and text else None


def parse_page(data: Any) -> tuple[list[Cvm], int]:
    """Read one page of `GET /cvms/paginated`: its CVMs, and how many pages there are."""
    pages = data.get("pages") if isinstance(data, Mapping) else None
    return [parse_cvm(item) for item in _list(data, "items")], pages if isinstance(pages, int) else 1


def parse_boot(data: Any, uuid: str) -> Boot:
    """Read `POST /status/batch` for one machine."""
    found = _table(data, uuid)
    return Boot(_text(found.get("boot_progress")), _text(found.get("boot_error")))


def _table(data: Any, key: str) -> Mapping[str, Any]:
    found = data.get(key) if isinstance(data, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _list(data: Any, key: str) -> list[Any]:
    found = data.get(key) if isinstance(data, Mapping) else None
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _limit(value: Any) -> float:
    found = _number(value)
    return math.inf if found is None else found


def _decimal(value: Any) -> Decimal | None:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _instant(value: Any) -> float | None:
    """Seconds since 1970. The API writes ISO 8601; without an offset it means UTC."""
    try:
        found = datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
