"""The paths that only tell."""

from typing import TYPE_CHECKING, Any

from tests.emulators.phala import shapes
from tests.emulators.phala.world import SIZES, Cvm
from tests.emulators.service import Call, Reply

if TYPE_CHECKING:
    from tests.emulators.phala.emulator import PhalaEmulator


def add_reading(emulator: "PhalaEmulator") -> None:
    """Serve them."""
    reading = Reading(emulator)
    for path, handler in (
        ("auth/me", reading.me),
        ("teepods/available", reading.hosts),
        ("workspaces/{slug}/nodes", reading.own_hosts),
        ("workspaces/{slug}/quotas", reading.quotas),
        ("instance-types", reading.sizes),
        ("os-images", reading.images),
        ("apps", reading.apps),
        ("apps/{app_id}/cvms", reading.app_cvms),
        ("cvms/paginated", reading.page),
        ("cvms/{cvm_id}", reading.cvm),
        ("cvms/{cvm_id}/compose_file", reading.compose_file),
        ("cvms/{cvm_id}/docker-compose.yml", reading.compose_text),
        ("cvms/{cvm_id}/composition", reading.composition),
        ("cvms/{cvm_id}/network", reading.network),
        ("cvms/{cvm_id}/stats", reading.online),
        ("cvms/{cvm_id}/attestation", reading.online),
    ):
        emulator.route("GET", f"/api/v1/{path}", handler)
    emulator.route("POST", "/api/v1/status/batch", reading.batch)
    emulator.route("GET", "/clog", reading.log)


class Reading:
    """Handlers that change nothing."""

    def __init__(self, emulator: "PhalaEmulator") -> None:
        self._all = emulator

    def me(self, call: Call) -> Reply:
        """Who is calling."""
        switches = self._all.switches
        if is_old(call):
            old = {
                "username": "alice",
                "email": "a@example.com",
                "credits": float(switches.balance),
                "granted_credits": 0,
            }
            return Reply(200, old | {"avatar": "", "team_name": "Alice", "team_tier": "tier_1"})
        user: dict[str, Any] = {"username": "alice", "email": "a@example.com", "role": "user"}
        user |= {
            "avatar": "",
            "email_verified": True,
            "totp_enabled": False,
            "has_backup_codes": False,
            "flag_has_password": True,
        }
        workspace = {
            "id": "wks_abc",
            "name": "Alice",
            "slug": "alice",
            "tier": "tier_1",
            "role": "owner",
            "avatar": None,
        }
        money = {
            "balance": switches.balance,
            "granted_balance": "0",
            "is_post_paid": switches.is_post_paid,
            "outstanding_amount": None,
        }
        return Reply(200, {"user": user, "workspace": workspace, "credits": money})

    def hosts(self, call: Call) -> Reply:
        """Capacity."""
        found = []
        for host in self._all.hosts:
            slots, vcpu, memory = self._all.room(host)
            if self._all.switches.hides_that_hosts_are_full:
                slots, vcpu, memory = 20, 64.0, 131072.0
            if slots > 0:
                found.append(shapes.write_host(host, slots, vcpu, memory))
        limits = {
            "max_instances": self._all.switches.machine_limit,
            "max_vcpu": 16,
            "max_memory": 32768,
            "max_disk": 160,
            "max_disk_each": 80,
        }
        kms: dict[str, Any] = {
            "id": "kms_1",
            "slug": "phala-prod9",
            "url": "https://kms.example.com",
            "version": "v0.5.7",
        }
        kms |= {"chain_id": None, "kms_contract_address": None, "gateway_app_id": "9" * 40, "supported_os_images": []}
        return Reply(
            200, {"tier": "LEVEL_1", "capacity": limits, "nodes": found, "kms_list": [kms], "gpu_availability": {}}
        )

    def own_hosts(self, call: Call) -> Reply:
        """None."""
        return Reply(200, {"items": [], "total": 0, "page": 1, "page_size": 30, "pages": 0})

    def quotas(self, call: Call) -> Reply:
        """The tier's limits."""
        limit, used = self._all.switches.machine_limit, len(self._all.living())
        quotas = {
            "vm_slots": {"limit": limit, "remaining": max(0, limit - used)},
            "vcpu": {"limit": 16, "remaining": 16},
            "memory_mb": {"limit": 32768, "remaining": 32768},
            "disk_gb": {"limit": 160, "remaining": 160},
        }
        none = {"limit": 0, "remaining": 0}
        gpus = {"gpus": none, "in_use": 0, "misconfigured": 0}
        about = {"team_slug": "alice", "tier": "tier_1", "reserved_nodes": none, "reserved_gpu": gpus}
        return Reply(200, about | {"quotas": quotas, "as_of": shapes.write_instant(self._all.now())})

    def sizes(self, call: Call) -> Reply:
        """Sizes with prices."""
        items = [
            {"id": name, "name": name, "description": "", "vcpu": vcpu, "memory_mb": memory, "hourly_rate": price}
            | {"requires_gpu": False, "default_disk_size_gb": 20, "family": "cpu"}
            for name, (vcpu, memory, price) in SIZES.items()
        ]
        return Reply(200, {"result": [{"name": "cpu", "items": items, "total": len(items)}]})

    def images(self, call: Call) -> Reply:
        """Guest systems."""
        names = sorted({name for host in self._all.hosts for name in host.images})
        items = [shapes.write_image(name) for name in names]
        return Reply(200, {"items": items, "total": len(items), "page": 1, "page_size": 100, "pages": 1})

    def page(self, call: Call) -> Reply:
        """The list of CVMs, which may lag."""
        number, size = int(call.query.get("page", 1)), int(call.query.get("page_size", 30))
        found = self._listed()
        part = found[(number - 1) * size : number * size]
        items = [shapes.write_hosted(cvm, self._all.status(cvm)) if is_old(call) else self._write(cvm) for cvm in part]
        pages = -(-len(found) // size)
        return Reply(200, {"items": items, "total": len(found), "page": number, "page_size": size, "pages": pages})

    def apps(self, call: Call) -> Reply:
        """The same by app."""
        items = [
            {
                "id": f"prj_{cvm.number}",
                "name": cvm.name,
                "app_id": cvm.app_id,
                "created_at": shapes.write_instant(cvm.created_at),
                "kms_type": "phala",
                "current_cvm": self._write(cvm),
                "cvms": [self._write(cvm)],
                "cvm_count": 1,
            }
            for cvm in self._listed()
        ]
        size = int(call.query.get("page_size", 20))
        return Reply(200, {"dstack_apps": items, "page": 1, "page_size": size, "total": len(items), "total_pages": 1})

    def app_cvms(self, call: Call) -> Reply:
        """CVMs of one app."""
        word = call.parts["app_id"].removeprefix("app_")
        return Reply(200, [self._write(cvm) for cvm in self._listed() if cvm.app_id == word])

    def cvm(self, call: Call) -> Reply:
        """One CVM."""
        cvm = self._all.find(call)
        if is_old(call):
            return Reply(200, shapes.write_old_cvm(cvm, self._all.status(cvm), cvm.made_from.host.domain))
        is_told = self._all.now() >= cvm.compose_text_at
        return Reply(200, self._write(cvm) | {"compose_file": cvm.made_from.app_compose if is_told else None})

    def compose_file(self, call: Call) -> Reply:
        """The app-compose file."""
        cvm = self._all.find(call)
        return Reply(200, cvm.made_from.app_compose if self._all.now() >= cvm.compose_text_at else {})

    def compose_text(self, call: Call) -> Reply:
        """The docker-compose text."""
        return Reply(200, self._all.find(call).compose_text)

    def composition(self, call: Call) -> Reply:
        """Containers."""
        cvm = self._all.find(call)
        log = {"log_endpoint": f"https://{call.headers.get('host', '')}/clog"}
        container = {"id": "c1", "names": ["/spokewire"], "image": "x", "state": "running", "status": "Up"} | log
        about = {"is_online": True, "is_public": True, "error": None, "docker_compose_file": cvm.compose_text}
        return Reply(200, about | {"containers": [container]})

    def network(self, call: Call) -> Reply:
        """Addresses."""
        self._all.find(call)
        return Reply(200, {"is_online": True, "is_public": True, "error": None, "public_urls": []})

    def online(self, call: Call) -> Reply:
        """Statistics and attestation: nothing to tell."""
        self._all.find(call)
        return Reply(200, {"is_online": True})

    def log(self, call: Call) -> Reply:
        """What a container wrote; public, without a key."""
        return Reply(200, raw=b"a line\n", headers={"content-type": "text/plain"})

    def batch(self, call: Call) -> Reply:
        """How far boots are."""
        found: dict[str, Any] = {}
        for cvm in self._all.living():
            if cvm.uuid in call.body["vm_uuids"]:
                status = self._all.status(cvm)
                progress = {"running": "done", "starting": "requesting app keys"}.get(status, "")
                error = "Failed to request app keys" if status == "error" else ""
                found[cvm.uuid] = {
                    "vm_uuid": cvm.uuid,
                    "status": status,
                    "boot_progress": progress,
                    "boot_error": error,
                }
        return Reply(200, found)

    def _listed(self) -> list[Cvm]:
        lag = self._all.switches.list_lag_s
        return [cvm for cvm in self._all.living() if self._all.now() - cvm.created_at >= lag]

    def _write(self, cvm: Cvm) -> dict[str, Any]:
        return shapes.write_cvm(cvm, self._all.status(cvm), self._all.now(), cvm.made_from.host.domain)


def is_old(call: Call) -> bool:
    """Whether the caller speaks the older version."""
    return call.headers.get("x-phala-version") == shapes.OLD
