"""Emulators that are started by hand say what runs behind them, and how to have real machines there."""

import subprocess
import sys

import pytest

from tests.docs.pages import REPOSITORY


@pytest.mark.parametrize("module", ["tests.emulators", "tests.emulators.digitalocean", "tests.emulators.phala"])
def test_the_help_says_how_to_have_real_machines(module: str) -> None:
    command = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "python -m tests.emulators" in done.stdout.replace("\n", " ")
    assert "real machines" in " ".join(done.stdout.split())
