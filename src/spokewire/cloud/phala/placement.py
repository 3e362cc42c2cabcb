"""On which host a machine is put. Pure.

What the spec allows is tried in its order: sizes first, and of each size regions in order. Within a region machines of one network are spread over
hosts, so that the loss of a host takes as few of them as can be; between equals the host with the most room wins.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from spokewire.cloud.phala.answers import FIRST_WITH_NFTABLES, Host, InstanceType, parse_version


@dataclass(frozen=True)
class Wish:
    """What of a spec decides where a machine can be."""

    types: tuple[InstanceType, ...]
    regions: tuple[str, ...]
    """In order of preference, in lower case; empty for any."""
    image: str
    """The guest system by its exact name: a remote party verifies its hash."""
    disk_gb: int


@dataclass(frozen=True)
class Place:
    """A host and a size that fit."""

    host: Host
    size: InstanceType


def choose_place(
    hosts: Sequence[Host],
    wish: Wish,
    ours: Mapping[int, int],
    pending: Mapping[int, Sequence[InstanceType]],
    refused: Collection[tuple[int, str]],
) -> Place | None:
    """The best place for one more machine; None if nothing fits.

    `ours`: how many machines of the network are, or will be, on each host. `pending`: sizes that were promised on a host and are not yet in its
    figures. `refused`: host and size that were tried for this machine and refused.
    """
    for size in wish.types:
        fitting = []
        for host in hosts:
            promised = pending.get(host.id, ())
            rank = region_rank(host.region, wish.regions)
            if rank is None or not _offers(host, wish.image) or (host.id, size.id) in refused:
                continue
            if _has_room(host, size, wish.disk_gb, promised):
                key = (rank, ours.get(host.id, 0), -(host.slots - len(promised)), -host.vcpu, host.id)
                fitting.append((key, Place(host, size)))
        if fitting:
            return min(fitting, key=lambda found: found[0])[1]
    return None


def region_rank(region: str, wanted: Sequence[str]) -> int | None:
    """How far down the spec's list a region stands; None if it is not on it."""
    if not wanted:
        return 0
    return wanted.index(region) if region in wanted else None


def explain_lack(hosts: Sequence[Host], wish: Wish, refusal: str) -> str:
    """Why no place was found, in half a sentence: the nearest reason that is true of all hosts."""
    if refusal:
        return refusal
    if not hosts:
        return "Phala Cloud offers no host to this workspace now"
    in_region = [host for host in hosts if region_rank(host.region, wish.regions) is not None]
    if not in_region:
        known = ", ".join(sorted({host.region for host in hosts if host.region})) or "none named"
        return f"no host is in {' or '.join(wish.regions)} (there are: {known})"
    if not any(_offers(host, wish.image) for host in in_region):
        known = ", ".join(sorted({image.name for host in in_region for image in host.images})) or "none"
        return f"no host offers the image {wish.image} (there are: {known})"
    sizes = " or ".join(size.id for size in wish.types)
    return f"none of {len(in_region)} hosts has room for {sizes} with {wish.disk_gb} GB"


def find_place_faults(hosts: Sequence[Host], wish: Wish) -> list[tuple[str, str, str]]:
    """What of a wish no host can ever fulfil, as far as the list tells: each as key of the spec, problem, and what there is.

    That hosts are full is no fault: room comes and goes. An empty list says nothing about names.
    """
    if not hosts:
        return []
    regions = sorted({host.region for host in hosts if host.region})
    unknown = [region for region in wish.regions if region not in regions]
    if unknown:
        return [("regions", f"Phala Cloud has no host in {region}", _one_of(regions)) for region in unknown]
    near = [host for host in hosts if region_rank(host.region, wish.regions) is not None]
    if any(_offers(host, wish.image) for host in near):
        return []
    where = f" in {' or '.join(wish.regions)}" if wish.regions else ""
    images = sorted({image.name for host in near for image in host.images})
    return [("os_image", f"no host{where} offers {wish.image}", _one_of(images))]


def _one_of(names: Sequence[str]) -> str:
    return f"one of {', '.join(names)}" if names else "none: nothing is offered"


def find_image_fault(name: str) -> str:
    """Why a node cannot run on an image, as far as its name tells; "" if it can. Images for development are taken when the spec names one."""
    version = parse_version(name)
    if version and version < FIRST_WITH_NFTABLES:
        first = ".".join(map(str, FIRST_WITH_NFTABLES))
        return f"{name} has no nf_tables in its kernel, which the node's firewall needs: the first that has is {first}"
    return ""


def _offers(host: Host, image: str) -> bool:
    return any(offered.name == image for offered in host.images)


def _has_room(host: Host, size: InstanceType, disk_gb: int, promised: Sequence[InstanceType]) -> bool:
    return (
        host.disk_gb - disk_gb * len(promised) >= disk_gb
        and host.slots - len(promised) >= 1
        and host.vcpu - sum(other.vcpu for other in promised) >= size.vcpu
        and host.memory_mb - sum(other.memory_mb for other in promised) >= size.memory_mb
    )
