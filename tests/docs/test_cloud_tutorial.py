"""The tutorial of the clouds, carried out: both clouds are emulated, the machines behind them are real."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.docs.console import matches, parse_steps
from tests.docs.pages import blocks, read
from tests.lab.clouds import Clouds, open_clouds

pytestmark = pytest.mark.lab

LOOKS = ("spokewire status", "spokewire test")
LIMIT_S = 40


def test_the_tutorial_of_the_clouds_does_what_it_shows(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> None:
    steps = [step for block in blocks(read("docs/tutorial/clouds.md"), "console") for step in parse_steps(block.text)]
    assert len(steps) == 7
    with open_clouds(tmp_path_factory.mktemp("tutorial"), cache) as clouds:
        for step in steps:
            print(f"$ {step.command}")
            deadline = time.monotonic() + LIMIT_S
            while True:
                done = run(clouds, step.command)
                as_shown = done.returncode == 0 and matches(step.shown, done.stdout)
                if as_shown or not step.command.startswith(LOOKS) or time.monotonic() > deadline:
                    break
            shown = "\n".join(step.shown)
            assert as_shown, f"status {done.returncode}, shown:\n{shown}\nprinted:\n{done.stdout}\n{done.stderr}"
        assert [*clouds.droplets, *clouds.cvms] == []


def run(clouds: Clouds, command: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the page in a shell at the operator's place."""
    path = f"{Path(sys.executable).parent}:{clouds.environment['PATH']}"
    return subprocess.run(
        clouds.place("bash", "-c", command),
        cwd=clouds.folder,
        env=clouds.environment | {"PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
