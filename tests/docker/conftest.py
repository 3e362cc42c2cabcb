"""What the tests with real containers share. They run beside a daemon of their own: `make test-docker`."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.docker.engine import FOLDER, IMAGE
from tests.docker.internet import OPERATOR, Internet, make_internet
from tests.docker.registry import Shelf
from tests.emulators.authority import Authority, make_authority

NAME = "spokewire/spokewire"


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


@pytest.fixture(scope="session", autouse=True)
def daemon() -> None:
    if "SPOKEWIRE_DOCKER_INSIDE" not in os.environ:
        assert not os.environ.get("CI"), "CI must run these tests beside a daemon: make test-docker"
        pytest.skip("needs a Docker daemon of its own: make test-docker")


@pytest.fixture(scope="session")
def docker_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("docker-authority"), (OPERATOR,))


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory, daemon: None) -> tuple[Shelf, str]:
    """What is served, and the digest of our image."""
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    return shelf, shelf.add_image(IMAGE)


@pytest.fixture(scope="module")
def internet(tmp_path_factory: pytest.TempPathFactory, daemon: None) -> Iterator[Internet]:
    with make_internet(tmp_path_factory.mktemp("internet") / "lab") as made:
        yield made


@pytest.fixture(scope="module")
def release(internet: Internet, shelf: tuple[Shelf, str], docker_authority: Authority) -> Iterator[Release]:
    kept, digest = shelf
    wheel = next((FOLDER / "wheels").glob("spokewire-*.whl"))
    with internet.serve(kept.build({"wheels": FOLDER / "wheels"}), docker_authority) as url:
        yield Release(
            shelf=kept,
            url=url,
            image=f"{url.removeprefix('https://')}/{NAME}@{digest}",
            wheel=f"{url}/wheels/{wheel.name}",
            wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
            authority=docker_authority,
        )


@pytest.fixture(scope="session")
def droplet_files(docker_authority: Authority) -> dict[str, str]:
    """What a droplet of this world finds different: whom it trusts."""
    return {"/etc/ssl/certs/ca-certificates.crt": docker_authority.ca_file.read_text()}
