"""Fixtures that several kinds of tests share."""

import pytest

from tests.emulators.authority import Authority, make_authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A throw-away authority for all emulators of the run."""
    return make_authority(tmp_path_factory.mktemp("authority"))
