"""Docker's machines behind the emulated clouds, and what they install."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.docker.cvms import DockerCvms
from tests.docker.droplets import DockerDroplets
from tests.docker.engine import FOLDER, IMAGE
from tests.docker.internet import OPERATOR, Internet
from tests.docker.registry import Shelf
from tests.emulators.authority import Authority, make_authority

NAME = "spokewire/spokewire"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class Release:
    """What machines in the lab's internet install."""

    shelf: Shelf
    url: str
    image: str
    """The image by digest."""
    wheel: str
    wheel_sha256: str
    authority: Authority

    @property
    def table(self) -> str:
        """The `[release]` table of a spec."""
        return f'[release]\nwheel = "{self.wheel}"\nwheel_sha256 = "{self.wheel_sha256}"\nimage = "{self.image}"\n'

    @property
    def droplet_files(self) -> dict[str, str]:
        """What a droplet of this world finds different: whom it trusts, and where its packages come from."""
        index = f"[global]\nno-index = true\nfind-links = {self.url}/wheels/\ncert = {CERTIFICATES}\n"
        return {CERTIFICATES: self.authority.ca_file.read_text(), "/etc/pip.conf": index}


@dataclass
class DockerMachinery:
    """Containers with systemd, and computers with Docker."""

    release: str
    droplets: DockerDroplets
    cvms: DockerCvms

    def close(self) -> None:
        """Remove what is left."""
        self.cvms.close()
        self.droplets.close()


def make_machinery(internet: Internet, release: Release) -> DockerMachinery:
    """Nothing runs at first."""
    droplets = DockerDroplets(internet, release.droplet_files)
    return DockerMachinery(release.table, droplets, DockerCvms(internet, release.authority.ca_file))


@contextmanager
def serve_release(internet: Internet, shelf: Shelf, digest: str, authority: Authority) -> Iterator[Release]:
    """Serve our image and wheels in a lab's internet."""
    wheel = next((FOLDER / "wheels").glob("spokewire-*.whl"))
    with internet.serve(shelf.build({"wheels": FOLDER / "wheels"}), authority) as url:
        yield Release(
            shelf=shelf,
            url=url,
            image=f"{url.removeprefix('https://')}/{NAME}@{digest}",
            wheel=f"{url}/wheels/{wheel.name}",
            wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
            authority=authority,
        )


@contextmanager
def open_release(internet: Internet, folder: Path) -> Iterator[Release]:
    """The same with a shelf and an authority of its own."""
    shelf = Shelf(folder / "shelf")
    authority = make_authority(folder / "release-tls", (OPERATOR,))
    with serve_release(internet, shelf, shelf.add_image(IMAGE), authority) as release:
        yield release
