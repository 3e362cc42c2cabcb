"""What the tests with real containers share. They run beside a daemon of their own: `make test-docker`."""

import os
from collections.abc import Iterator

import pytest

from tests.docker.engine import IMAGE
from tests.docker.internet import OPERATOR, Internet, make_internet
from tests.docker.machinery import Release, serve_release
from tests.docker.registry import Shelf
from tests.emulators.authority import Authority, make_authority


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
    with serve_release(internet, *shelf, docker_authority) as release:
        yield release
