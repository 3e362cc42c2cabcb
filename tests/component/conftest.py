"""An emulated account at each cloud: fresh for each test, behind a server that serves all tests of a module."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.component import phala
from tests.component.phala import Cloud, OpenCloud
from tests.emulators.authority import Authority
from tests.emulators.digitalocean.case import Case, open_stage


@pytest.fixture(scope="module")
def droplet_stage(authority: Authority) -> Iterator[Callable[[], AbstractContextManager[Case]]]:
    with open_stage(authority) as open_account:
        yield open_account


@pytest.fixture
def case(droplet_stage: Callable[[], AbstractContextManager[Case]]) -> Iterator[Case]:
    """An account at DigitalOcean."""
    with droplet_stage() as case:
        yield case


@pytest.fixture(scope="module")
def cvm_stage(authority: Authority) -> Iterator[OpenCloud]:
    with phala.open_stage(authority) as open_one:
        yield open_one


@pytest.fixture
def cloud(cvm_stage: OpenCloud, tmp_path: Path) -> Iterator[Cloud]:
    """A workspace at Phala Cloud."""
    with cvm_stage(tmp_path) as cloud:
        yield cloud
