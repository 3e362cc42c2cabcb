"""Droplets that are real: containers with systemd and cloud-init, which carry out the user_data that they were given."""

import io
import json
import tarfile
from dataclasses import dataclass, field

from spokewire.lab.plan import Wiring
from tests.docker.engine import docker
from tests.docker.internet import Internet

FULL, BARE = "spokewire-droplet:full", "spokewire-droplet:bare"
"""With the packages that a hub needs, and without."""
_CONFIG = "var/lib/cloud/seed/config_drive/openstack/latest"
"""Where cloud-init's ConfigDrive looks for a drive that is a folder."""
_OPTIONS = (
    "--network=none",
    # This machine may not give SYS_RESOURCE to anybody; systemd does without.
    "--cap-add=ALL",
    "--cap-drop=SYS_RESOURCE",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined",
    "--cgroupns=host",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
    "--device=/dev/net/tun",
    "--tmpfs=/run",
    "--tmpfs=/run/lock",
    "--tmpfs=/tmp",
)


@dataclass
class DockerDroplets:
    """A `DropletBackend`. `files` are put on a machine before its first boot, by their path: what a droplet of the test's world has and a real one has not."""

    internet: Internet
    files: dict[str, str] = field(default_factory=dict)
    image: str = FULL
    _cables: dict[str, Wiring] = field(default_factory=dict)

    def boot(self, name: str, user_data: str) -> str:
        """Start a machine; its public address is there at once."""
        container = self.container(name)
        docker("create", "--name", container, "--hostname", name, *_OPTIONS, self.image)
        drive = {
            f"{_CONFIG}/user_data": user_data,
            f"{_CONFIG}/meta_data.json": json.dumps({"uuid": container, "hostname": name, "name": name}),
            f"{_CONFIG}/vendor_data.json": json.dumps({"cloud-init": "#cloud-config\nmanage_etc_hosts: true\n"}),
        }
        docker("cp", "-", f"{container}:/", stdin=_pack({**drive, **self.files}))
        return self._switch_on(name)

    def destroy(self, name: str) -> None:
        """Remove a machine."""
        wiring = self._cables.pop(name, None)
        if wiring is not None:
            self.internet.unplug(wiring)
            docker("rm", "--force", "--volumes", self.container(name))

    def reboot(self, name: str) -> None:
        """Switch a machine off and on again; its disk and its address stay."""
        docker("kill", self.container(name))
        before = self._cables[name]
        self.internet.unplug(before)
        self._switch_on(name, before.number)

    def tell(self) -> str:
        """What all of them wrote to their journals last, for whoever reads a failure."""
        journal = ("journalctl", "--no-pager", "--lines=60", "--unit=spokewire-*", "--unit=cloud-*")
        return "\n".join(f"--- {name}\n{self.run(name, *journal)}" for name in self._cables)

    def close(self) -> None:
        """Remove all of them."""
        for name in list(self._cables):
            self.destroy(name)

    def run(self, name: str, *command: str) -> str:
        """Run a command on a machine, which must succeed."""
        return docker("exec", self.container(name), *command)

    @staticmethod
    def container(name: str) -> str:
        """The container that is the machine."""
        return f"droplet-{name}"

    def _switch_on(self, name: str, number: int | None = None) -> str:
        docker("start", self.container(name))
        pid = int(docker("inspect", "--format", "{{.State.Pid}}", self.container(name)))
        self._cables[name] = wiring = self.internet.plug_in(pid, number)
        return str(wiring.public_address)


def _pack(files: dict[str, str]) -> bytes:
    """A tar archive of files for root alone."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for path, text in files.items():
            data = text.encode()
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode = len(data), 0o644 if path.startswith("/etc/") else 0o600
            archive.addfile(member, io.BytesIO(data))
    return sink.getvalue()
