"""How the API writes what it has, in each of its two versions."""

from datetime import UTC, datetime
from typing import Any

from tests.emulators.phala.world import SIZES, Cvm, Host, public_hex

OLD, NEW = "2025-10-28", "2026-01-21"


def write_instant(at: float) -> str:
    """ISO 8601."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def write_host(host: Host, slots: int, vcpu: float, memory_mb: float) -> dict[str, Any]:
    """One of `GET /teepods/available`."""
    return {
        "teepod_id": host.id,
        "name": host.name,
        "listed": True,
        "resource_score": 0.9,
        "remaining_vcpu": vcpu,
        "remaining_memory": memory_mb,
        "remaining_cvm_slots": float(slots),
        "remaining_disk": None,
        "images": [write_image(name) for name in host.images],
        "dedicated_for_team_id": None,
        "support_onchain_kms": True,
        "fmspc": "B0C06F000000",
        "device_id": "d" * 64,
        "device_ids": None,
        "region_identifier": host.region,
        "default_kms": "kms_1",
        "kms_list": ["kms_1"],
    }


def write_image(name: str) -> dict[str, Any]:
    """A guest system."""
    version = [int(word) for word in name.rpartition("-")[2].split(".")]
    return {
        "name": name,
        "slug": name,
        "is_dev": "-dev-" in name,
        "version": version,
        "os_image_hash": "0" * 64,
        "requires_gpu": False,
    }


def write_vm(cvm: Cvm, status: str) -> dict[str, Any]:
    """What operations answer with, the commit among them: flat in both versions."""
    made = cvm.made_from
    vcpu, memory, _ = SIZES[made.size]
    return {
        "id": cvm.number,
        "name": cvm.name,
        "status": status,
        "teepod_id": made.host.id,
        "teepod": {"id": made.host.id, "name": made.host.name},
        "user_id": 7,
        "app_id": cvm.app_id,
        "vm_uuid": cvm.uuid,
        "instance_id": cvm.instance_id or None,
        "app_url": None,
        "base_image": made.image,
        "vcpu": vcpu,
        "memory": memory,
        "disk_size": made.disk_gb,
        "manifest_version": 2,
        "version": "v0.5.7",
        "runner": "docker-compose",
        "docker_compose_file": None,
        "features": ["kms", "tproxy-net"],
        "created_at": write_instant(cvm.created_at),
        "encrypted_env_pubkey": public_hex(made.key),
    }


def write_cvm(cvm: Cvm, status: str, now: float, domain: str) -> dict[str, Any]:
    """A CVM of 2026-01-21, as lists have it."""
    made = cvm.made_from
    vcpu, memory, price = SIZES[made.size]
    urls = [{"app": f"https://{cvm.app_id}-8000.{domain}", "instance": f"https://{cvm.instance_id}-8000.{domain}"}]
    busy = status in {"starting", "deleting", "stopping", "restarting"} or now < cvm.busy_until
    return {
        "id": cvm.hashid,
        "name": cvm.name,
        "app_id": cvm.app_id,
        "vm_uuid": cvm.uuid,
        "instance_id": cvm.instance_id or None,
        "resource": {
            "instance_type": made.size,
            "vcpu": vcpu,
            "memory_in_gb": memory / 1024,
            "disk_in_gb": made.disk_gb,
            "gpus": 0,
            "compute_billing_price": price,
            "billing_period": "hourly",
        },
        "node_info": {
            "object_type": "node",
            "id": made.host.id,
            "node_id": None,
            "name": made.host.name,
            "region": made.host.region,
            "device_id": "d" * 64,
            "ppid": None,
            "status": "ONLINE",
            "version": "v0.5.7",
        },
        "os": {
            "name": made.image,
            "version": made.image.rpartition("-")[2],
            "is_dev": "-dev-" in made.image,
            "os_image_hash": "0" * 64,
        },
        "kms_type": "phala",
        "kms_info": {"chain_id": None, "encrypted_env_pubkey": public_hex(made.key)},
        "status": status,
        "in_progress": busy,
        "progress": {"target": "running", "started_at": write_instant(cvm.created_at), "correlation_id": "c-1"}
        if busy
        else None,
        "compose_hash": cvm.compose_hash,
        "gateway": {"base_domain": domain, "cname": f"_.{domain}"},
        "services": [],
        "endpoints": urls if cvm.instance_id else [],
        "public_logs": made.app_compose.get("public_logs", True),
        "public_sysinfo": made.app_compose.get("public_sysinfo", True),
        "public_tcbinfo": made.app_compose.get("public_tcbinfo", True),
        "gateway_enabled": True,
        "secure_time": False,
        "storage_fs": "zfs",
        "created_at": write_instant(cvm.created_at),
        "deleted_at": None,
        "listed": made.listed,
        "project_type": None,
    }


def write_old_cvm(cvm: Cvm, status: str, domain: str) -> dict[str, Any]:
    """A CVM of 2025-10-28: flat, with numbers for ids."""
    made = cvm.made_from
    vcpu, memory, _ = SIZES[made.size]
    return {
        "id": cvm.number,
        "name": cvm.name,
        "status": status,
        "app_id": cvm.app_id,
        "vm_uuid": cvm.uuid,
        "instance_id": cvm.instance_id or None,
        "teepod_id": made.host.id,
        "teepod": {"id": made.host.id, "name": made.host.name, "region_identifier": made.host.region},
        "vcpu": vcpu,
        "memory": memory,
        "disk_size": made.disk_gb,
        "base_image": made.image,
        "encrypted_env_pubkey": public_hex(made.key),
        "gateway_domain": domain,
        "public_urls": [],
        "in_progress": status == "starting",
    }


def write_hosted(cvm: Cvm, status: str) -> dict[str, Any]:
    """A CVM in a list of 2025-10-28."""
    made = cvm.made_from
    vcpu, memory, _ = SIZES[made.size]
    hosted: dict[str, Any] = {
        "id": cvm.uuid,
        "name": cvm.name,
        "status": status,
        "uptime": "1m",
        "app_id": cvm.app_id,
        "instance_id": cvm.instance_id or None,
        "configuration": {
            "name": cvm.name,
            "image": made.image,
            "compose_file": None,
            "vcpu": vcpu,
            "memory": memory,
            "disk_size": made.disk_gb,
            "ports": [],
        },
        "exited_at": "",
        "boot_progress": "done",
        "boot_error": "",
        "shutdown_progress": "",
        "image_version": made.image.rpartition("-")[2],
    }
    return {"hosted": hosted, "name": cvm.name, "status": status, "public_urls": [], "in_progress": False}
