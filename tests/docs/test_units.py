"""The service units that we ship."""

import subprocess

import pytest

from tests.docs.pages import REPOSITORY

FOLDER = REPOSITORY / "packaging" / "systemd"
UNITS = ["spokewire-node.service", "spokewire-hub.service"]
EXECUTABLE = "/opt/spokewire/.venv/bin/spokewire"


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_accepts_the_unit(unit: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("units") / unit
    path.write_text((FOLDER / unit).read_text().replace(EXECUTABLE, "/bin/true"))
    try:
        done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("systemd-analyze is not installed")
    assert [line for line in done.stderr.splitlines() if "spokewire" in line] == []


@pytest.mark.parametrize("unit", UNITS)
def test_a_restart_of_the_unit_cuts_no_traffic_and_a_hung_daemon_is_noticed(unit: str) -> None:
    lines = (FOLDER / unit).read_text().splitlines()
    wanted = {"Type=notify", "WatchdogSec=30", "Restart=always", "RestartKillSignal=SIGUSR1", "KillMode=process"}
    assert wanted <= set(lines)
    assert f"ExecStart={EXECUTABLE} {unit.removeprefix('spokewire-').removesuffix('.service')} run" in lines
