"""From what Phala Cloud says of a CVM to what a provider says of a machine. Pure."""

import hashlib

from spokewire.cloud.phala.answers import FAILED, Cvm
from spokewire.cloud.phala.compose import STATUS_PORT
from spokewire.cloud.provider import Machine, MachineState
from spokewire.network.cloudspec import CvmSpec
from spokewire.network.names import MachineName

START_LIMIT_S = 600.0
"""A start takes 90 to 180 s, most of it for the images; the vendor's own tests wait ten minutes. Starts were seen that never end."""
UNKNOWN = "?"
_PARTS = 5


def describe_machine(name: MachineName, cvm: Cvm, now: float) -> Machine:
    """A CVM of ours as a machine."""
    return Machine(name, "node", judge_state(cvm, now), shape_of(cvm), status_url=status_url(cvm))


def judge_state(cvm: Cvm, now: float) -> MachineState:
    """What a CVM's status means. A word that we do not know is a change under way; one that never booted and had its time is of no use."""
    if cvm.status in FAILED:
        # One that has run before has something on its disk: it is switched on, not thrown away.
        return MachineState.STOPPED if cvm.instance_id else MachineState.INCOMPLETE
    if cvm.status == "running":
        return MachineState.RUNNING
    if cvm.status == "stopped" and not cvm.is_busy:
        return MachineState.STOPPED
    if cvm.instance_id:
        return MachineState.RUNNING
    had_its_time = cvm.created_at is not None and now - cvm.created_at > START_LIMIT_S
    return MachineState.INCOMPLETE if had_its_time else MachineState.PENDING


def status_url(cvm: Cvm) -> str | None:
    """Where the gateway leads to the node's status server; None before it can. The instance, because an app may have several."""
    name = cvm.instance_id or cvm.app_id
    return f"https://{name}-{STATUS_PORT}.{cvm.domain}" if name and cvm.domain else None


def shape_of(cvm: Cvm) -> str:
    """What a CVM was built from, as far as the API tells."""
    disk = UNKNOWN if cvm.disk_gb is None else f"{cvm.disk_gb} GB"
    return ", ".join(
        (cvm.instance_type or UNKNOWN, cvm.region or UNKNOWN, disk, cvm.image or UNKNOWN, _digest(cvm.compose))
    )


def wanted_shape(spec: CvmSpec, compose: str | None, existing: str) -> str:
    """What the spec asks for, told as `shape_of` tells the machine that exists: where the spec allows several, or the API is silent, as it is.

    `compose` None: it is not known yet (there is no root key).
    """
    parts = existing.split(", ")
    if len(parts) != _PARTS:
        parts = [UNKNOWN] * _PARTS
    size, region, disk, image, digest = parts
    wanted = (
        size if size in (*spec.instance_types, UNKNOWN) else spec.instance_types[0],
        region if not spec.regions or region in (*spec.regions, UNKNOWN) else spec.regions[0],
        disk if disk == UNKNOWN else f"{spec.disk_gb} GB",
        image if image == UNKNOWN else spec.os_image,
        digest if compose is None or digest == UNKNOWN else _digest(compose),
    )
    return ", ".join(wanted)


def _digest(compose: str | None) -> str:
    """A short name of a compose text. Space at its ends may be lost on the way to the API and back."""
    return UNKNOWN if compose is None else f"compose {hashlib.sha256(compose.strip().encode()).hexdigest()[:8]}"
