"""How things of ours are called at DigitalOcean, so that they are found again and nobody else's are taken for them. Pure.

Tags (letters, digits, `:`, `-`, `_`; 255 characters; case is not told apart):

    spokewire                       every droplet of ours
    spokewire:NETWORK               every droplet of a network
    spokewire:NETWORK:hub:NAME      one machine; its firewall goes by it
    spokewire:NETWORK:id:ID         the root key that its token came from
    spokewire:NETWORK:shape:DIGEST  what it was built from, as far as DigitalOcean does not say it
    spokewire:NETWORK:reserved      a droplet that is reached by a reserved IP
    spokewire:NETWORK:ip:A-B-C-D:NAME  on nothing: the reserved IP that is kept for a machine
"""

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address

from spokewire.cloud.digitalocean.droplets import Droplet
from spokewire.network.cloudspec import DropletSpec
from spokewire.network.names import MachineName, NetworkId, is_machine_name
from spokewire.network.spec import MachineSpec

EVERYBODY = "spokewire"
_KINDS = frozenset({"hub", "id", "shape", "ip"})
"""What stands after the network in our tags."""
_MARK = re.compile(r"([0-9]{1,3}(?:-[0-9]{1,3}){3}):([a-z0-9-]+)")


@dataclass(frozen=True)
class Words:
    """The names of one network's things."""

    network: str
    identity: NetworkId | None = None
    """The root key's; None where it is not known, and the network's name decides."""

    @property
    def tag(self) -> str:
        """The network's tag."""
        return f"{EVERYBODY}:{self.network}"

    def resource_name(self, name: MachineName) -> str:
        """The name of a droplet and of its firewall."""
        return f"{EVERYBODY}-{self.network}-{name}"

    def hub_tag(self, name: MachineName) -> str:
        """The tag of one machine."""
        return f"{self.tag}:hub:{name}"

    def id_tag(self, identity: NetworkId) -> str:
        """The tag that says which root key the machine belongs to."""
        return f"{self.tag}:id:{identity}"

    def shape_tag(self, digest: str) -> str:
        """The tag that says what the machine was built from."""
        return f"{self.tag}:shape:{digest}"

    @property
    def reserved_tag(self) -> str:
        """The tag of a droplet that is not complete without a reserved IP."""
        return f"{self.tag}:reserved"

    def mark(self, address: str, name: MachineName) -> str:
        """The tag that keeps a reserved IP for a machine."""
        return f"{self.tag}:ip:{address.replace('.', '-')}:{name}"

    def droplet_tags(self, name: MachineName, identity: NetworkId, digest: str) -> list[str]:
        """All tags of a droplet."""
        return [EVERYBODY, self.tag, self.hub_tag(name), self.id_tag(identity), self.shape_tag(digest)]

    def awaits_reserved_ip(self, droplet: Droplet) -> bool:
        """Whether a droplet is to have a reserved IP."""
        return self.reserved_tag in {tag.lower() for tag in droplet.tags}

    def find_name(self, resource: str, tags: Collection[str]) -> MachineName | None:
        """Whose droplet or firewall it is; None if it is not of this network. Its name must be exactly ours, and it must carry our tag for that name."""
        name = resource.removeprefix(f"{EVERYBODY}-{self.network}-")
        if name == resource or not is_machine_name(name):
            return None
        found = MachineName(name)
        return found if self.hub_tag(found) in {tag.lower() for tag in tags} else None

    def find_droplet_name(self, droplet: Droplet) -> MachineName | None:
        """The same for a droplet, which must carry the network's tag and the root key's too."""
        return self.find_claimed_name(droplet) if self.identity in (None, self.find_identity(droplet)) else None

    def find_claimed_name(self, droplet: Droplet) -> MachineName | None:
        """The same, whichever root key it belongs to: there may be another network of this name in the account."""
        tags = {tag.lower() for tag in droplet.tags}
        return self.find_name(droplet.name, tags) if {EVERYBODY, self.tag} <= tags else None

    def find_digest(self, droplet: Droplet) -> str:
        """What its shape tag says; "" without one."""
        return self._find(droplet, self.shape_tag(""))

    def find_identity(self, droplet: Droplet) -> NetworkId:
        """Which root key it belongs to; "" if it does not say."""
        return NetworkId(self._find(droplet, self.id_tag(NetworkId(""))))

    def is_ours(self, tag: str) -> bool:
        """Whether a tag is one that we make for this network. Others may begin like ours, and are somebody's own."""
        kind, _, rest = tag.lower().removeprefix(f"{self.tag}:").partition(":")
        if tag.lower() == self.tag or tag.lower() == self.reserved_tag:
            return True
        return tag.lower().startswith(f"{self.tag}:") and kind in _KINDS and rest != ""

    def find_hubs(self, tags: Collection[str]) -> list[MachineName]:
        """The machines that have a tag."""
        prefix = self.hub_tag(MachineName(""))
        found = (tag.lower().removeprefix(prefix) for tag in tags if tag.lower().startswith(prefix))
        return [MachineName(name) for name in found if is_machine_name(name)]

    def find_marks(self, tags: Collection[str]) -> dict[str, MachineName]:
        """The reserved IPs that these tags keep, each with its machine."""
        found = {}
        for tag in tags:
            match = _MARK.fullmatch(tag.lower().removeprefix(f"{self.tag}:ip:"))
            if match is None or not tag.lower().startswith(f"{self.tag}:ip:") or not is_machine_name(match[2]):
                continue
            address = match[1].replace("-", ".")
            if _is_address(address):
                found[address] = MachineName(match[2])
        return found

    def _find(self, droplet: Droplet, prefix: str) -> str:
        return next((tag.lower().removeprefix(prefix) for tag in droplet.tags if tag.lower().startswith(prefix)), "")


def describe_shape(region: str, size: str, digest: str) -> str:
    """What a droplet is built from, for people and for comparison."""
    return f"{size} in {region}, build {digest}"


def list_choices(droplet: DropletSpec) -> list[tuple[str, str]]:
    """Region and size of each attempt, in order: every size of a region before the next region."""
    return [(region, size) for region in droplet.regions for size in droplet.sizes]


def digest_rest(spec: MachineSpec, wheel_sha256: str) -> str:
    """A digest of what else a droplet is built from: image, ports, key, reserved IP, release.

    The image is in it because a droplet does not keep the name of its image: that goes to the next version of it.
    """
    assert spec.droplet is not None
    parts = [
        spec.droplet.os_image,
        spec.api_port,
        sorted(spec.open_ports),
        spec.droplet.ssh_key,
        spec.droplet.reserved_ip,
        wheel_sha256,
        sorted(spec.tags),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _is_address(text: str) -> bool:
    try:
        return str(IPv4Address(text)) == text
    except ValueError:
        return False
