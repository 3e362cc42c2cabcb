"""Looking, before anything is made, whether it can be."""

from collections.abc import Mapping, Sequence

from spokewire.cloud.digitalocean.api import Api
from spokewire.cloud.digitalocean.droplets import Size
from spokewire.cloud.digitalocean.refusals import limit_reached
from spokewire.cloud.digitalocean.words import list_choices
from spokewire.errors import Code, InputError, PermanentError
from spokewire.network.cloudspec import DropletSpec

_MANY = 12
"""More names than this help nobody to choose."""


def check_account(api: Api, *, more: bool) -> None:
    """The account may make droplets, and if there will be more of them, it has room for at least one."""
    account = api.read_account()
    if account.get("status") == "locked":
        raise PermanentError(
            Code.CLOUD_REFUSED,
            f"The account at DigitalOcean is locked: {account.get('status_message') or 'no reason is given'}.",
            hint="Ask DigitalOcean's support.",
        )
    limit, existing = account.get("droplet_limit"), api.count_droplets()
    if more and isinstance(limit, int) and existing >= limit:
        raise limit_reached(f": it has {existing} of {limit}")


def judge_choices(
    droplet: DropletSpec, sizes: Sequence[Size], regions: Mapping[str, bool]
) -> dict[tuple[str, str], str]:
    """Why each size in each region cannot be had now, in the spec's order; "" if it can, as far as the lists say."""
    known = {size.slug: size for size in sizes}

    def judge(region: str, size: str) -> str:
        if not regions.get(region, False):
            return "the region takes no new droplets" if region in regions else "there is no such region"
        if size not in known:
            return "there is no such size"
        found = known[size]
        return "" if found.available and region in found.regions else "this size is not available there"

    return {choice: judge(*choice) for choice in list_choices(droplet)}


def check_choices(name: str, droplet: DropletSpec, sizes: Sequence[Size], regions: Mapping[str, bool]) -> None:
    """Every name exists, and at least one choice can be had now."""
    known = {size.slug for size in sizes}
    _check_known("size", [size for size in droplet.sizes if size not in known], known)
    _check_known("region", [region for region in droplet.regions if region not in regions], set(regions))
    choices = judge_choices(droplet, sizes, regions)
    if all(choices.values()):
        reasons = "; ".join(f"{size} in {region}: {problem}" for (region, size), problem in choices.items())
        raise PermanentError(
            Code.NO_CAPACITY,
            f"DigitalOcean has no room for {name} ({reasons}).",
            hint="Run spokewire deploy again later, or allow more sizes or regions in the spec.",
        )


def check_image(droplet: DropletSpec, api: Api) -> None:
    """The image exists."""
    images = api.list_images()
    if droplet.os_image not in images:
        close = {image for image in images if image.partition("-")[0] == droplet.os_image.partition("-")[0]}
        _check_known("image", [droplet.os_image], close or images)


def find_key(droplet: DropletSpec, api: Api) -> int | None:
    """The id of the SSH key that the spec names, by name or fingerprint; None if it names none."""
    if droplet.ssh_key is None:
        return None
    keys = api.list_keys()
    for key in keys:
        if droplet.ssh_key in (key.get("name"), key.get("fingerprint")):
            return int(key["id"])
    names = ", ".join(sorted(str(key.get("name")) for key in keys)[:_MANY]) or "none"
    raise InputError(
        Code.CLOUD_REFUSED,
        f"The account at DigitalOcean has no SSH key {droplet.ssh_key!r}.",
        hint=f"It has: {names}.",
    )


def _check_known(what: str, unknown: Sequence[str], known: set[str]) -> None:
    if unknown:
        some = ", ".join(sorted(known)[:_MANY]) + (", …" if len(known) > _MANY else "")
        raise InputError(Code.CLOUD_REFUSED, f"DigitalOcean has no {what} {unknown[0]!r}.", hint=f"It has: {some}.")
