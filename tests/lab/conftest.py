"""Fixtures of the tests that build real networks. Where namespaces cannot be made they are skipped with the reason; in CI that is a failure."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.world import COMMAND, Network, environment

MakeNetwork = Callable[..., Network]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where compiled modules are kept, for all commands under test; the fixture skips where there can be no lab."""
    folder = tmp_path_factory.mktemp("compiled")
    doctor = subprocess.run(
        [*COMMAND, "doctor", "--json"], env=environment(folder), capture_output=True, text=True, check=False
    )
    assert doctor.stdout, doctor.stderr
    checks = json.loads(doctor.stdout)["checks"]
    missing = "; ".join(
        f"{check['name']}: {check['found']}" for check in checks if not check["ok"] and check["name"] != "address plan"
    )
    if missing:
        assert not os.environ.get("CI"), f"CI must run these tests, but this machine cannot: {missing}"
        pytest.skip(f"no lab on this machine: {missing}")
    return folder


@pytest.fixture(scope="module")
def make_module_network(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[MakeNetwork]:
    """Makes networks that the tests of a file share; all of them are removed at its end."""
    yield from _make_networks(tmp_path_factory, cache)


@pytest.fixture
def make_network(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[MakeNetwork]:
    """Makes networks for one test, and removes them after it."""
    yield from _make_networks(tmp_path_factory, cache)


def _make_networks(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[MakeNetwork]:
    made: list[Network] = []

    def make(*tables: str) -> Network:
        made.append(Network(tmp_path_factory.mktemp("network"), cache, *tables))
        return made[-1]

    yield make
    for network in made:
        network.close()
