"""The emulated clouds by hand: one command gives a place where both are, with real machines behind them."""

import os
import subprocess
import sys

import pytest

from tests.docs.pages import REPOSITORY

pytestmark = pytest.mark.lab

SCRIPT = """\
curl -s --fail --cacert $SSL_CERT_FILE ${PHALA_CLOUD_API_PREFIX%/api/v1}/_emulator/hosts/18 -d '{"slots": 0}' &&
spokewire deploy && spokewire status
"""


def test_a_command_beside_the_emulated_clouds_deploys_real_machines_where_there_is_room() -> None:
    if os.geteuid() != 0:
        assert not os.environ.get("CI"), "CI must run these tests as root"
        pytest.skip("only root can put the emulators into a lab's internet")
    done = subprocess.run(
        [sys.executable, "-m", "tests.emulators", "--nodes", "1", "--", "sh", "-c", SCRIPT],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"slots": 0' in done.stdout
    assert "on prod5" in done.stderr
    assert "2 of 2 machines are ready." in done.stdout
    assert "demo: connected: 1 nodes and 1 hub connected" in done.stdout
