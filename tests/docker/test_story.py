"""The field reports' story with real cloud-init, real systemd, the real image and the user_data and compose text as the clouds get them."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.docker.conftest import Release
from tests.docker.cvms import DockerCvms
from tests.docker.droplets import DockerDroplets
from tests.docker.internet import Internet
from tests.lab.clouds import Clouds, Machinery, open_clouds
from tests.lab.story import play

pytestmark = pytest.mark.docker


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


@pytest.fixture(scope="module")
def clouds(
    internet: Internet, release: Release, droplet_files: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Clouds]:
    index = (
        f"[global]\nno-index = true\nfind-links = {release.url}/wheels/\ncert = /etc/ssl/certs/ca-certificates.crt\n"
    )
    table = (
        f'[release]\nwheel = "{release.wheel}"\nwheel_sha256 = "{release.wheel_sha256}"\nimage = "{release.image}"\n'
    )

    def make(internet: Internet) -> Machinery:
        droplets = DockerDroplets(internet, {**droplet_files, "/etc/pip.conf": index})
        return DockerMachinery(table, droplets, DockerCvms(internet, release.authority.ca_file))

    cache = tmp_path_factory.mktemp("compiled")
    with open_clouds(tmp_path_factory.mktemp("clouds"), cache, make, internet=internet) as clouds:
        yield clouds


def test_two_of_three_nodes_fit_and_the_third_is_added_when_there_is_room_and_destroy_leaves_nothing(
    clouds: Clouds,
) -> None:
    play(clouds)
    assert clouds.run("destroy", "--force", "--json").data == {
        "destroyed": ["hub-1", "node-1", "node-2", "node-3"],
        "left": [],
    }
    assert [*clouds.droplets, *clouds.cvms] == []
