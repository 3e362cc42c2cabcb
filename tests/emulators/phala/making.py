"""The two steps in which a CVM is made."""

from typing import TYPE_CHECKING, Any

from spokewire.cloud.phala.seal import unseal
from tests.emulators.phala import shapes
from tests.emulators.phala.refusing import refuse
from tests.emulators.phala.world import SIZES, Cvm, Host, Provision, app_key, hash_compose, make_hex, public_hex
from tests.emulators.service import Call, RefusedError, Reply

if TYPE_CHECKING:
    from tests.emulators.phala.emulator import PhalaEmulator

CACHE_S = 14 * 86_400
MAX_TEXT = 200 * 1024


class Making:
    """Handlers of both steps."""

    def __init__(self, emulator: "PhalaEmulator") -> None:
        self._all = emulator
        self._made = 0
        self._apps = 0
        emulator.route("POST", "/api/v1/cvms/provision", self.provision)
        emulator.route("POST", "/api/v1/cvms", self.commit)

    def provision(self, call: Call) -> Reply:
        """The first step: nothing is made."""
        body = call.body
        compose = body["compose_file"]
        text = (compose.get("docker_compose_file") or "") + (compose.get("pre_launch_script") or "")
        if len(text.encode()) > MAX_TEXT:
            return refuse(400, "01-003", "The compose file is too large")
        if self._all.switches.name_is_checked_at == "provision":
            self._refuse_double(body["name"])
        size, host = body.get("instance_type"), self._choose_host(body)
        if size is None:
            return refuse(400, "02-008", "instance_type, or vcpu and memory, are needed")
        if size not in SIZES:
            return refuse(400, "02-001", f"Unknown instance type {size}")
        image = body.get("image") or next(
            i for i in host.images if ("-dev-" in i) is (body.get("prefer_dev") is not False)
        )
        if image not in host.images:
            return refuse(400, "02-010", f"OS image {image} not found")
        if self._all.switches.room_is_checked_at == "provision":
            self._refuse_full(host, size)
        self._apps += 1
        app_id = make_hex(["app", self._apps], 40)
        made = Provision(
            body["name"],
            host,
            size,
            body.get("disk_size") or 20,
            image,
            compose,
            app_key(app_id),
            body.get("listed", True),
            self._all.now(),
        )
        digest = hash_compose(compose)
        self._all.provisions[app_id, digest] = made
        answer = {
            "app_id": app_id,
            "app_env_encrypt_pubkey": public_hex(made.key),
            "compose_hash": digest,
            "kms_info": {"id": "kms_1"},
            "fmspc": "B0C06F000000",
            "device_id": "d" * 64,
            "os_image_hash": "0" * 64,
            "instance_type": size,
            "teepod_id": host.id,
            "node_id": host.id,
            "kms_id": "kms_1",
        }
        return Reply(200, answer)

    def commit(self, call: Call) -> Reply:
        """The second step. Asked again for the same app and hash it answers with the machine that it made."""
        body = call.body
        app_id, digest = body["app_id"], body["compose_hash"]
        for cvm in self._all.living():
            if cvm.app_id == app_id:
                if cvm.compose_hash != digest:
                    return refuse(409, "03-007", "app_id is active with another compose file")
                return Reply(200, shapes.write_vm(cvm, "starting"))
        made = self._all.provisions.get((app_id, digest))
        if made is None or self._all.now() - made.at > CACHE_S:
            return refuse(422, message="Provision not found or expired")
        self._refuse_poor()
        self._refuse_double(made.name)
        self._refuse_full(made.host, made.size)
        try:
            env = unseal(body.get("encrypted_env") or "", made.key) if body.get("encrypted_env") else {}
        except ValueError as error:
            return refuse(400, message=f"encrypted_env: {error}")
        allowed = made.app_compose.get("allowed_envs", [])
        cvm = self._make(made, app_id, digest, {key: value for key, value in env.items() if key in allowed})
        answer = shapes.write_vm(cvm, "starting")
        return Reply(200, answer | ({"vm_uuid": None} if self._all.switches.commit_without_uuid else {}))

    def _refuse_poor(self) -> None:
        if not self._all.switches.is_post_paid and float(self._all.switches.balance) < 1:
            words = "Insufficient balance. You need at least $1 to launch a CVM."
            raise RefusedError(refuse(400, "04-001", words))
        if len(self._all.living()) >= self._all.switches.machine_limit:
            raise RefusedError(refuse(400, "04-002", "Maximum number of CVMs reached"))

    def _make(self, made: Provision, app_id: str, digest: str, env: dict[str, str]) -> Cvm:
        self._made += 1
        now, switches = self._all.now(), self._all.switches
        hashid, uuid = (
            self._all.ids.pop(0) if self._all.ids else (f"cvm_{self._made:06}", make_hex(["uuid", self._made], 32))
        )
        cvm = Cvm(
            self._made, hashid, uuid, app_id, digest, made, now, env, compose_text_at=now + switches.compose_lag_s
        )
        cvm.switched_on = not switches.stopped_after_commit
        cvm.never_ends = made.host.id in switches.starting_never_ends_on
        cvm.forced = "error" if made.host.id in switches.fails_on else ""
        cvm.busy_until = now + switches.busy_after_commit_s
        self._all.cvms.append(cvm)
        if cvm.switched_on and not cvm.never_ends and not cvm.forced:
            self._all.backend.boot(cvm.name, cvm.compose_text, env)
        return cvm

    def plant(self, name: str, compose: str, **changes: Any) -> Cvm:
        """Put a CVM there that somebody else made."""
        app_id = make_hex(["planted", name, len(self._all.cvms)], 40)
        host = changes.pop("host", self._all.hosts[0])
        made = Provision(
            name,
            host,
            "tdx.small",
            20,
            host.images[0],
            {"docker_compose_file": compose},
            app_key(app_id),
            True,
            self._all.now(),
        )
        cvm = self._make(made, app_id, hash_compose(made.app_compose), {})
        for key, value in changes.items():
            setattr(cvm, key, value)
        return cvm

    def _choose_host(self, body: dict[str, Any]) -> Host:
        region = (body.get("region") or "").lower()
        for host in self._all.hosts:
            if body.get("teepod_id") in (None, host.id) and region in ("", host.region):
                return host
        details = [{"field": "region", "value": body.get("region"), "message": "No teepod found"}]
        raise RefusedError(refuse(400, "02-002", "No available resources match your requirements", details=details))

    def _refuse_full(self, host: Host, size: str) -> None:
        slots, vcpu, memory = self._all.room(host)
        if slots < 1:
            raise RefusedError(refuse(400, "02-005", f"Node {host.name} has no free CVM slots"))
        if vcpu < SIZES[size][0]:
            raise RefusedError(refuse(400, "02-003", f"Node {host.name} lacks vCPU"))
        if memory < SIZES[size][1]:
            raise RefusedError(refuse(400, "02-004", f"Node {host.name} lacks memory"))

    def _refuse_double(self, name: str) -> None:
        if any(cvm.name == name for cvm in self._all.living()):
            raise RefusedError(refuse(409, "01-004", f"A CVM with the name {name} already exists"))
