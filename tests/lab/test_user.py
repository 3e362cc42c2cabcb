"""A user who is not root has the same demo, through user namespaces."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import spokewire
from tests.lab.conftest import MakeNetwork
from tests.lab.leftovers import nothing_left
from tests.lab.world import measured

pytestmark = pytest.mark.lab

SEES_TUN = """
set -eu
mount -n -t tmpfs -o mode=755 tun /mnt
mknod -m 0666 /mnt/tun c 10 200
mount -n --bind /mnt/tun /dev/net/tun
exec setpriv --reuid 65534 --regid 65534 --clear-groups sh -c 'exec "$@"' sh "$@"
"""
"""Debian's /dev/net/tun is open to everybody; a container's may not be. The copy is seen by this process and its children only.

The inner shell starts the program with no rights left: setpriv itself would still reach where the user cannot.
"""


@pytest.fixture
def home(cache: Path) -> Iterator[Path]:
    """A folder that the user owns, where every other folder of a test is closed to it."""
    if os.geteuid() != 0:
        pytest.skip("not root: every other lab test runs as an ordinary user already")
    folder = Path("/var/tmp") / f"spokewire-user-{os.getpid()}"
    (folder / "tmp").mkdir(parents=True)
    shutil.chown(folder / "tmp", 65534, 65534)
    yield folder
    shutil.rmtree(folder)


def test_a_user_without_root_runs_the_same_demo_and_nothing_is_left(make_network: MakeNetwork, home: Path) -> None:
    network = make_network()
    settings = network.environment | {"TMPDIR": str(home / "tmp"), "HOME": str(home / "tmp")}
    python = python_for_user(home, settings)
    if python is None:
        reason = f"user 65534 cannot run {sys.executable}, and there is no other Python {sys.version_info.major}.{sys.version_info.minor}"
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)
    with nothing_left(network):
        begun = time.monotonic()
        done = as_user([python, "-m", "spokewire", "demo"], settings)
        measured("demo without root", time.monotonic() - begun)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 of 6 pairs proved their traffic: UDP echo, TCP, checksum." in done.stdout
    assert list((home / "tmp").iterdir()) == []


def as_user(command: list[str], settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    argv = ["unshare", "--mount", "sh", "-c", SEES_TUN, "sh", *command]
    return subprocess.run(argv, cwd="/", env=settings, capture_output=True, text=True, timeout=120, check=False)


def python_for_user(home: Path, settings: dict[str, str]) -> str | None:
    """A Python with the product and its packages that the user can run; None if this machine has none."""
    if runs(sys.executable, "import spokewire", settings):
        return sys.executable
    # Our own interpreter, or its packages, lie where the user cannot go: another interpreter and a copy do as well.
    same = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    if not runs("/usr/bin/python3", same, settings):
        return None
    packages = home / "packages"
    for place in (path for path in sys.path if path.endswith("site-packages")):
        shutil.copytree(place, packages, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.pth", "__pycache__"))
    shutil.copytree(Path(spokewire.__file__).parent, packages / "spokewire", dirs_exist_ok=True)
    settings["PYTHONPATH"] = str(packages)
    return "/usr/bin/python3" if runs("/usr/bin/python3", "import spokewire", settings) else None


def runs(python: str, program: str, settings: dict[str, str]) -> bool:
    return as_user([python, "-c", program], settings).returncode == 0
