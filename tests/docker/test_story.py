"""The field reports' story with real cloud-init, real systemd, the real image and the user_data and compose text as the clouds get them."""

from collections.abc import Iterator

import pytest

from tests.docker.internet import Internet
from tests.docker.machinery import Release, make_machinery
from tests.lab.clouds import Clouds, Machinery, open_clouds
from tests.lab.story import play

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def clouds(internet: Internet, release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clouds]:
    def make(internet: Internet) -> Machinery:
        return make_machinery(internet, release)

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
