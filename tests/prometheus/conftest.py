"""Where a real Prometheus is found. `make test-prometheus` fetches Debian's; without one these tests are skipped, in CI they fail."""

import os
import shutil
from pathlib import Path

import pytest

from tests.lab.conftest import cache, make_module_network

__all__ = ["cache", "make_module_network", "prometheus", "promtool"]


@pytest.fixture(scope="session")
def promtool() -> Path:
    return _find("promtool")


@pytest.fixture(scope="session")
def prometheus() -> Path:
    return _find("prometheus")


def _find(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        assert not os.environ.get("CI"), f"CI must run these tests, but {name} is not there: make test-prometheus"
        pytest.skip(f"{name} is not installed: make test-prometheus")
    return Path(found)
