"""Phala Cloud's API, call by call. Its version is pinned, so that the shapes of its answers do not move under us.

Source: docs.phala.com, "Phala Cloud API 0.1.0", and the requests of the vendor's own command line.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from spokewire.cloud.http import AmbiguousError, CloudClient, RefusalError, Secret, Service
from spokewire.cloud.phala import answers
from spokewire.cloud.phala.answers import Account, Boot, Cvm, Host, InstanceType, Provisioned, Room
from spokewire.cloud.phala.credentials import Access
from spokewire.cloud.phala.refusals import Meaning, judge, translate
from spokewire.cloud.phala.words import explain
from spokewire.cloud.waiting import Clock, Pace
from spokewire.errors import Code, TemporaryError

VERSION = "2026-01-21"
PAGE_SIZE = 100
MAX_PAGES = 100
BUSY_LIMIT_S, BUSY_INTERVAL_S = 60.0, 3.0
"""How long another operation on the same machine is waited for."""
PROVISION_TRIES = 3


class Api:
    """The calls that we make; may be used by several threads. Refusals come as they are: what one means depends on what was asked."""

    def __init__(
        self,
        access: Access,
        *,
        clock: Clock | None = None,
        pace: Pace | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers: dict[str, str | Secret] = {"X-API-Key": access.key, "X-Phala-Version": VERSION}
        service = Service("Phala Cloud", access.endpoint, headers, explain)
        self._client = CloudClient(service, clock=clock, pace=pace, transport=transport)
        self.clock = self._client.clock

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def account(self) -> Account:
        """Who is calling; raises what `translate` makes of a key that is not accepted."""
        return answers.parse_account(self._ask("auth/me"))

    def room(self, account: Account) -> Room:
        """What the workspace may still make; unknown where the API does not say."""
        if not account.workspace:
            return Room()
        try:
            return answers.parse_room(self._client.get(f"workspaces/{account.workspace}/quotas"))
        except (RefusalError, TemporaryError):
            return Room()

    def hosts(self) -> tuple[Host, ...]:
        """Hosts with what is left on them."""
        return answers.parse_hosts(self._ask("teepods/available"))

    def instance_types(self) -> dict[str, InstanceType]:
        """Sizes with their prices, by id."""
        return answers.parse_instance_types(self._ask("instance-types"))

    def cvms(self) -> list[Cvm]:
        """Every CVM of the workspace, whoever made it."""
        return list(self._pages())

    def _pages(self) -> Iterator[Cvm]:
        seen = set[str]()
        for page in range(1, MAX_PAGES + 1):
            found, pages = answers.parse_page(self._ask("cvms/paginated", {"page": page, "page_size": PAGE_SIZE}))
            # Something made or removed between two pages shifts the rest: one may come twice.
            yield from (cvm for cvm in found if cvm.uuid not in seen)
            seen |= {cvm.uuid for cvm in found}
            if page >= pages:
                return

    def cvm(self, uuid: str) -> Cvm | None:
        """One CVM with its compose text; None if there is none."""
        data = self._find(f"cvms/{uuid}")
        return None if data is None else answers.parse_cvm(data)

    def compose_text(self, uuid: str) -> str | None:
        """The compose text of a CVM; None if the API has none."""
        return answers.parse_compose_text(self._find(f"cvms/{uuid}/compose_file"))

    def boot(self, uuid: str) -> Boot:
        """How far a CVM's boot is. It only explains: without an answer it is empty."""
        try:
            return answers.parse_boot(self._client.post("status/batch", {"vm_uuids": [uuid]}), uuid)
        except (RefusalError, TemporaryError):
            return Boot()

    def provision(self, wish: dict[str, Any]) -> Provisioned:
        """The first step of a creation. It makes no machine and costs nothing, so that without a clear answer it may be asked again."""
        for attempt in range(PROVISION_TRIES):
            try:
                made = answers.parse_provisioned(self._client.post("cvms/provision", wish))
            except AmbiguousError:
                if attempt == PROVISION_TRIES - 1:
                    raise
                self.clock.sleep(2.0**attempt)
                continue
            break
        else:
            raise AssertionError("the loop ends with an answer or an error")
        if not (made.app_id and made.compose_hash and made.key):
            raise TemporaryError(
                Code.CLOUD_UNREACHABLE,
                "Phala Cloud's answer to a provisioning has no app id, hash or key.",
                hint="Run the command again.",
            )
        return made

    def commit(self, made: Provisioned, sealed: str) -> Cvm:
        """The second step: it makes the machine. Sent once; AmbiguousError means look."""
        body = {"app_id": made.app_id, "compose_hash": made.compose_hash, "encrypted_env": sealed}
        return answers.parse_cvm(self._client.post("cvms", body))

    def start(self, uuid: str) -> None:
        """Switch a stopped CVM on."""
        self._operate(f"cvms/{uuid}/start")

    def stop(self, uuid: str) -> None:
        """Switch a CVM off at once; this also ends an operation that hangs."""
        self._operate(f"cvms/{uuid}/stop")

    def delete(self, uuid: str) -> None:
        """Ask for a CVM's removal, which takes its time; that it is gone already is no error."""
        for attempt, gone_s in enumerate(self.clock.watch(BUSY_LIMIT_S, BUSY_INTERVAL_S)):
            try:
                self._client.delete(f"cvms/{uuid}")
            except RefusalError as refusal:
                meaning = judge(refusal)
                if meaning is Meaning.GONE:
                    return
                if meaning is not Meaning.BUSY or gone_s >= BUSY_LIMIT_S:
                    raise translate(refusal) from refusal
                if attempt == 0:
                    # Only a stop ends what is under way.
                    self.stop(uuid)
            else:
                return

    def _operate(self, path: str) -> None:
        """An operation that may be sent again, because it asks for a state and not for a change."""
        for gone_s in self.clock.watch(BUSY_LIMIT_S, BUSY_INTERVAL_S):
            try:
                self._client.post(path, None)
            except RefusalError as refusal:
                meaning = judge(refusal)
                if meaning is Meaning.GONE:
                    return
                if meaning is not Meaning.BUSY or gone_s >= BUSY_LIMIT_S:
                    raise translate(refusal) from refusal
            except AmbiguousError:
                if gone_s >= BUSY_LIMIT_S:
                    raise
            else:
                return

    def _find(self, path: str) -> Any:
        try:
            return self._client.get(path)
        except RefusalError as refusal:
            if judge(refusal) is Meaning.GONE:
                return None
            raise translate(refusal) from refusal

    def _ask(self, path: str, query: dict[str, str | int] | None = None) -> Any:
        try:
            return self._client.get(path, query)
        except RefusalError as refusal:
            raise translate(refusal) from refusal


def wish_of(name: str, host: Host, size: InstanceType, image: str, disk_gb: int) -> dict[str, Any]:
    """What is asked for in the first step, but for the compose file.

    The server's defaults are not ours: it would list the machine publicly and may choose an image for development.
    """
    return {
        "name": name,
        "instance_type": size.id,
        "disk_size": disk_gb,
        "image": image,
        "prefer_dev": False,
        "teepod_id": host.id,
        "listed": False,
        "kms": "PHALA",
    }


def compose_file_of(text: str, allowed_envs: Sequence[str]) -> dict[str, Any]:
    """The measured part of a wish. Logs of containers are not shown to the world: what the user's own services write there is not for us to say."""
    return {
        "name": "",
        "docker_compose_file": text,
        "allowed_envs": list(allowed_envs),
        "public_logs": False,
        "public_sysinfo": False,
        "public_tcbinfo": True,
    }
