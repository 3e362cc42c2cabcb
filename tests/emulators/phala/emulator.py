"""The API: who may call, what is made, what is refused. The paths for looking only are in `reading.py`."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from spokewire.cloud.phala.seal import unseal
from spokewire.host import clock
from tests.emulators.contract import OPENAPI_FOLDER, Contract
from tests.emulators.machines import CvmBackend
from tests.emulators.phala import shapes
from tests.emulators.phala.making import Making
from tests.emulators.phala.reading import add_reading
from tests.emulators.phala.refusing import refuse
from tests.emulators.phala.world import SIZES, Cvm, Host, Provision, Switches, default_hosts, hash_compose, make_hex
from tests.emulators.service import Call, Emulator, RefusedError, Reply

KEY = "phak_test"


def load_description() -> Contract:
    """The vendor's description, and ours of what its tools call beside it."""
    document = json.loads((OPENAPI_FOLDER / "phala.json").read_text())
    more = json.loads((OPENAPI_FOLDER / "phala-more.json").read_text())
    document["paths"] |= more["paths"]
    document["components"]["schemas"] |= more["schemas"]
    for path, methods in more["answers"].items():
        for method, answers in methods.items():
            document["paths"][path][method]["responses"] |= answers
    # OAuth is for people in browsers; openapi-core does not know it, and warns.
    del document["components"]["securitySchemes"]["OAuth2AuthorizationCodeBearer"]
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        operation["security"] = [{"APIKeyHeader": []}]
    return Contract(document)


class PhalaEmulator(Emulator):
    """Phala Cloud. `now` is the clock that lags, deletions and starts are measured with."""

    def __init__(
        self, backend: CvmBackend, *, now: Callable[[], float] = clock.wall, hosts: list[Host] | None = None
    ) -> None:
        super().__init__(load_description(), undescribed=["/clog"])
        self.backend, self.now = backend, now
        self.hosts = default_hosts() if hosts is None else hosts
        self.switches = Switches()
        self.cvms: list[Cvm] = []
        self.provisions: dict[tuple[str, str], Provision] = {}
        self.ids: list[tuple[str, str]] = []
        """Pairs of hashid and uuid for the next CVMs, in place of made ones."""
        self._making = Making(self)
        add_reading(self)
        self.route("DELETE", "/api/v1/cvms/{cvm_id}", self.delete)
        self.route("PATCH", "/api/v1/cvms/{cvm_id}", self.update)
        self.route("PATCH", "/api/v1/cvms/{cvm_id}/envs", self.update)
        for verb in ("start", "stop", "shutdown", "restart"):
            self.route("POST", f"/api/v1/cvms/{{cvm_id}}/{verb}", self.operate)

    # What stands before every call

    def authorize(self, call: Call) -> None:
        """A browser check, a version, a key."""
        if call.path == "/clog":
            return
        agent = call.headers.get("user-agent", "")
        if not agent or agent.startswith("Python-urllib"):
            raise RefusedError(Reply(403, raw=b"error code: 1010", headers={"server": "cloudflare"}))
        if call.headers.get("authorization", "").startswith("Bearer"):
            raise RefusedError(refuse(401, message="Invalid or expired token"))
        if call.headers.get("x-api-key") != KEY:
            raise RefusedError(refuse(401, message="Invalid API key"))
        if call.headers.get("x-phala-version") not in (shapes.OLD, shapes.NEW):
            raise RefusedError(refuse(400, message="Unsupported API version"))

    def refuse_request(self, faults: Any) -> Reply:
        """The shape of FastAPI's."""
        return Reply(422, {"detail": [{"type": "value_error", "loc": ["body"], "msg": f, "input": {}} for f in faults]})

    def missing(self, call: Call) -> Reply:
        """The same for a path."""
        return refuse(404, message="Not Found")

    def decorate(self, call: Call, reply: Reply) -> Reply:
        """Every answer has a number; errors are sometimes wrapped."""
        headers = {"X-Request-ID": f"req-{len(self.log) + 1}"} | dict(reply.headers)
        body = reply.body
        if self.switches.wraps_errors and isinstance(body, dict) and "error_code" in body:
            body = {"detail": body}
        return replace(reply, body=body, headers=headers)

    def control(self, call: Call) -> Reply:
        """`GET /_emulator/cvms`, `GET` and `PATCH /_emulator/switches`, `PATCH /_emulator/hosts/{id}`, beside those of all emulators."""
        if call.path == "/_emulator/cvms":
            return Reply(
                200,
                [
                    {"name": c.name, "uuid": c.uuid, "status": self.status(c), "host": c.made_from.host.name}
                    for c in self.cvms
                ],
            )
        if call.path == "/_emulator/switches":
            for key, value in (call.body or {}).items():
                setattr(self.switches, key, set(value) if isinstance(getattr(self.switches, key), set) else value)
            return Reply(200, {k: sorted(v) if isinstance(v, set) else v for k, v in vars(self.switches).items()})
        if call.path.startswith("/_emulator/hosts/"):
            host = next(host for host in self.hosts if host.id == int(call.path.rpartition("/")[2]))
            for key, value in (call.body or {}).items():
                setattr(host, key, value)
            return Reply(200, {"id": host.id, "slots": host.slots})
        return super().control(call)

    # What there is

    def living(self) -> list[Cvm]:
        """Those that are not gone. What is over is forgotten here."""
        for cvm in list(self.cvms):
            if self._is_over(cvm):
                self.cvms.remove(cvm)
                self.backend.destroy(cvm.name)
        return self.cvms

    def _is_over(self, cvm: Cvm) -> bool:
        hangs = cvm.never_ends and cvm.made_from.host.id in self.switches.deletion_never_ends_on
        return (
            cvm.deleting_at is not None and not hangs and self.now() - cvm.deleting_at >= self.switches.delete_takes_s
        )

    def status(self, cvm: Cvm) -> str:
        """What the API says of it."""
        if cvm.deleting_at is not None:
            return "deleting"
        if cvm.forced:
            return cvm.forced
        if not cvm.switched_on:
            return "stopped"
        if cvm.never_ends:
            return "starting"
        state = self.backend.state(cvm.name)
        if state == "running" and not cvm.instance_id:
            cvm.instance_id = make_hex(["instance", cvm.uuid, cvm.app_id], 40)
        return state

    def find(self, call: Call) -> Cvm:
        """The CVM that a path means, by any of its identifiers."""
        word = call.parts["cvm_id"]
        for cvm in self.living():
            if word.replace("-", "") == cvm.uuid or word in (
                cvm.name,
                cvm.hashid,
                f"app_{cvm.app_id}",
                cvm.app_id,
                f"instance_{cvm.instance_id}",
            ):
                if self.now() - cvm.created_at < self.switches.early_404_s:
                    break
                return cvm
        raise RefusedError(refuse(404, "03-001", "CVM not found"))

    def room(self, host: Host) -> tuple[int, float, float]:
        """Slots, vCPU and MB that are left on a host."""
        sizes = [SIZES[cvm.made_from.size] for cvm in self.living() if cvm.made_from.host is host]
        return host.slots - len(sizes), host.vcpu - sum(s[0] for s in sizes), host.memory_mb - sum(s[1] for s in sizes)

    def plant(self, name: str, compose: str, **changes: Any) -> Cvm:
        """Put a CVM there that somebody else made."""
        return self._making.plant(name, compose, **changes)

    # Life

    def operate(self, call: Call) -> Reply:
        """Start, stop, shutdown, restart."""
        cvm, verb = self.find(call), call.path.rpartition("/")[2]
        if verb != "stop":
            self._refuse_busy(cvm)
        cvm.busy_until = 0.0
        if verb in ("start", "restart"):
            if not self.switches.is_post_paid and float(self.switches.balance) <= 0:
                return refuse(400, message="Insufficient balance")
            cvm.starts += 1
            if not cvm.switched_on or verb == "restart":
                cvm.switched_on, cvm.forced = True, ""
                self.backend.boot(cvm.name, cvm.compose_text, cvm.env)
            return Reply(200, shapes.write_vm(cvm, "starting" if verb == "start" else "restarting"))
        if not cvm.never_ends:
            cvm.switched_on = False
        return Reply(200, shapes.write_vm(cvm, "stopping" if verb == "stop" else "shutting_down"))

    def delete(self, call: Call) -> Reply:
        """It takes its time."""
        cvm = self.find(call)
        self._refuse_busy(cvm)
        if cvm.deleting_at is None:
            cvm.deleting_at = self.now()
        self.living()
        return Reply(204)

    def update(self, call: Call) -> Reply:
        """Changes are taken, and carried out at once. An environment is replaced as a whole, and its names are part of what is measured."""
        cvm = self.find(call)
        self._refuse_busy(cvm)
        body, changed = call.body, False
        if body.get("encrypted_env"):
            try:
                env = unseal(body["encrypted_env"], cvm.made_from.key)
            except ValueError as error:
                return refuse(400, message=f"encrypted_env: {error}")
            compose = cvm.made_from.app_compose
            allowed = compose.get("allowed_envs", [])
            compose |= {k: body[k] for k in ("docker_compose_file", "allowed_envs") if body.get(k) is not None}
            compose |= {"allowed_envs": body["env_keys"]} if body.get("env_keys") is not None else {}
            changed, cvm.compose_hash = compose["allowed_envs"] != allowed, hash_compose(compose)
            cvm.env = {key: value for key, value in env.items() if key in compose.get("allowed_envs", [])}
        answer = {"status": "in_progress", "message": "Update initiated", "correlation_id": "c-2"}
        return Reply(202, answer | ({"allowed_envs_changed": changed} if call.path.endswith("/envs") else {}))

    def _refuse_busy(self, cvm: Cvm) -> None:
        if self.now() < cvm.busy_until:
            raise RefusedError(refuse(409, message="Another operation is in progress"))
