"""Both emulated clouds with machines that run nothing, beside the real command line."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.emulators.authority import Authority
from tests.emulators.digitalocean.emulator import TOKEN, DigitalOcean
from tests.emulators.machines import NullCvms, NullDroplets
from tests.emulators.phala.emulator import KEY, PhalaEmulator
from tests.emulators.serve import serve
from tests.lab.clouds import LabMachinery, make_spec

HERE = "127.0.0.1"


class NearDroplets(NullDroplets):
    """Droplets at an address where nothing listens, so that whoever asks there is refused at once."""

    def boot(self, name: str, user_data: str) -> str:
        super().boot(name, user_data)
        return HERE


def near_spec(nodes: int) -> str:
    """A hub and so many nodes; nothing listens at the hub's port."""
    return make_spec(LabMachinery.release, nodes).replace('regions = ["fra1"]', 'regions = ["fra1"]\napi_port = 1')


@dataclass
class Desk:
    """An operator's folder, and two accounts that are empty at first."""

    folder: Path
    digitalocean: DigitalOcean
    phala: PhalaEmulator
    environment: dict[str, str]

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "spokewire", *words],
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @property
    def machines(self) -> list[str]:
        """Everything in both accounts that costs money."""
        droplets, now = self.digitalocean.droplets, self.digitalocean.clock()
        found = [droplet.name for droplet in droplets.every.values() if not droplets.is_gone(droplet, now)]
        with self.phala.lock:
            return sorted([*found, *(cvm.name for cvm in self.phala.living())])


@contextmanager
def open_desk(authority: Authority, folder: Path, nodes: int = 1) -> Iterator[Desk]:
    """Serve both until the block ends; what broke a vendor's description fails the test."""
    digitalocean, phala = DigitalOcean(time.time, NearDroplets()), PhalaEmulator(NullCvms())
    digitalocean.switches.active_after_s = 0.0
    (folder / "spokewire.toml").write_text(near_spec(nodes))
    with serve(digitalocean, authority) as first, serve(phala, authority) as second:
        environment = {
            "PATH": os.environ["PATH"],
            "RES_OPTIONS": os.environ["RES_OPTIONS"],
            "HOME": str(folder),
            "NO_COLOR": "1",
            "SSL_CERT_FILE": str(authority.ca_file),
            "DIGITALOCEAN_TOKEN": TOKEN,
            "SPOKEWIRE_DIGITALOCEAN_ENDPOINT": first.url,
            "PHALA_CLOUD_API_KEY": KEY,
            "PHALA_CLOUD_API_PREFIX": f"{second.url}/api/v1",
        }
        yield Desk(folder, digitalocean, phala, environment)
    assert [*digitalocean.violations, *phala.violations] == []
