"""Two emulated clouds in a lab's small internet, with real machines behind them, and the operator's commands beside them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

from spokewire.deploy.folder import lab_folder
from spokewire.lab.world import World
from tests.docker.internet import OPERATOR, Internet, make_internet
from tests.emulators.authority import Authority, make_authority
from tests.emulators.digitalocean.emulator import TOKEN, DigitalOcean
from tests.emulators.machines import CvmBackend, DropletBackend
from tests.emulators.phala.emulator import KEY, PhalaEmulator
from tests.emulators.phala.world import Host
from tests.emulators.service import Call, Emulator
from tests.lab.cloud_machines import LabCvms, LabDroplets
from tests.lab.gateway import Gateway, serve_inside
from tests.lab.world import Outcome

IMAGE = "registry.example.com/spokewire@sha256:" + "a" * 64
WHEEL, WHEEL_SHA256 = "https://example.com/spokewire-0.1.0-py3-none-any.whl", "0" * 64
HOSTS = ("prod9", "prod5")


class Machinery(Protocol):
    """What runs behind the emulators: machines of the lab, or Docker's."""

    @property
    def release(self) -> str:
        """The `[release]` table that these machines can install."""
        ...

    @property
    def droplets(self) -> DropletBackend:
        """What droplets are."""
        ...

    @property
    def cvms(self) -> CvmBackend:
        """What CVMs are."""
        ...

    def close(self) -> None:
        """Remove what is left."""
        ...


@dataclass
class LabMachinery:
    """Machines of the lab: quick."""

    world: World
    release: str = f'[release]\nwheel = "{WHEEL}"\nwheel_sha256 = "{WHEEL_SHA256}"\nimage = "{IMAGE}"\n'

    def __post_init__(self) -> None:
        self.droplets, self.cvms = LabDroplets(self.world, WHEEL_SHA256), LabCvms(self.world)

    def close(self) -> None:
        """They go with their lab."""


@dataclass
class Clouds:
    """Both accounts, and one operator with a folder."""

    internet: Internet
    digitalocean: DigitalOcean
    phala: PhalaEmulator
    machinery: Machinery
    folder: Path
    names: Path
    environment: dict[str, str]
    killed_after: int = 0
    outputs: list[str] = field(default_factory=list)
    """All that commands printed, for whoever looks for secrets in it."""

    @property
    def spec(self) -> Path:
        """The operator's spokewire.toml."""
        return self.folder / "spokewire.toml"

    def want(self, *tables: str, nodes: int = 3) -> None:
        """Write the spec: a hub on DigitalOcean, so many nodes on Phala, and these tables."""
        self.spec.write_text(make_spec(self.machinery.release, nodes, *tables))

    def command(self, *arguments: str) -> list[str]:
        """The command line of one of our commands at the operator's place."""
        return self.place(sys.executable, "-m", "spokewire", *arguments)

    def place(self, *words: str) -> list[str]:
        """A command line, carried out at the operator's place with the operator's resolver."""
        bind = 'mount --bind "$0" /etc/hosts && exec "$@"'
        alone = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", bind, str(self.names)]
        return [*self.internet.cables, *alone, *words]

    def run(self, *arguments: str, expect: int | None = 0, limit_s: float = 180, folder: Path | None = None) -> Outcome:
        """Run a command to its end; it must end with the expected exit status (None: any)."""
        begun = time.monotonic()
        done = subprocess.run(
            self.command(*arguments),
            cwd=folder or self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
        outcome = Outcome(done.returncode, done.stdout, done.stderr, time.monotonic() - begun)
        self.outputs.append(outcome.text)
        print(f"{outcome.seconds:7.2f} s  spokewire {' '.join(arguments)}: {outcome.status}")
        if expect is not None:
            assert outcome.status == expect, f"{arguments} ended with {outcome.status}:\n{outcome.text}"
        return outcome

    def run_until(self, emulator: Emulator, method: str, path: str, *arguments: str) -> None:
        """Run a command and kill it (SIGKILL) when a request has been carried out, before it is answered."""
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        told = emulator.after_call

        def kill(number: int, call: Call) -> None:
            told(number, call)
            if call.method == method and re.fullmatch(path, call.path):
                process.send_signal(signal.SIGKILL)
                process.wait(20)

        emulator.after_call = kill
        try:
            assert process.wait(120) == -signal.SIGKILL, f"{method} {path} was not sent"
        finally:
            emulator.after_call = told

    def status(self) -> Any:
        """`spokewire status --json`."""
        return self.run("status", "--json", expect=None).data

    @property
    def droplets(self) -> list[str]:
        """The names of all droplets of the account."""
        every, now = self.digitalocean.droplets, self.digitalocean.clock()
        return sorted(droplet.name for droplet in every.every.values() if not every.is_gone(droplet, now))

    @property
    def cvms(self) -> list[str]:
        """The names of all CVMs of the workspace."""
        with self.phala.lock:
            return sorted(cvm.name for cvm in self.phala.living())

    def creates(self) -> dict[str, int]:
        """How often each machine was asked for, by name."""
        counts: dict[str, int] = {}
        for call in self.digitalocean.calls("POST", "/v2/droplets"):
            counts[call.body["name"]] = counts.get(call.body["name"], 0) + 1
        for call in self.phala.calls("POST", "/api/v1/cvms"):
            name = next(
                made.name for (app_id, _), made in self.phala.provisions.items() if app_id == call.body["app_id"]
            )
            counts[name] = counts.get(name, 0) + 1
        return counts

    def changes_since(self, marks: tuple[int, int]) -> list[str]:
        """Every request since `mark` that changed something, as the emulators' logs tell."""
        entries = [*self.digitalocean.log[marks[0] :], *self.phala.log[marks[1] :]]
        asking = ("/api/v1/status/batch",)
        return [str(e) for e in entries if e.call.method != "GET" and e.call.path not in asking]

    def mark(self) -> tuple[int, int]:
        """Where the logs are now."""
        return len(self.digitalocean.log), len(self.phala.log)


def make_spec(release: str, nodes: int = 3, *tables: str) -> str:
    """The field reports' network."""
    return f"""\
[network]
name = "demo"

{release}
[[hubs]]
name = "hub-1"
provider = "digitalocean"
regions = ["fra1"]

[[nodes]]
name = "node"
count = {nodes}
provider = "phala"
{"".join(tables)}"""


def make_environment(cache: Path, authority: Authority, digitalocean: str, phala: str) -> dict[str, str]:
    """What the operator's commands find around them."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SPOKEWIRE_", "PYTHON", "SSL_"))}
    return kept | {
        "PYTHONPYCACHEPREFIX": str(cache),
        "NO_COLOR": "1",
        "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
        "SSL_CERT_FILE": str(authority.ca_file),
        "DIGITALOCEAN_TOKEN": TOKEN,
        "SPOKEWIRE_DIGITALOCEAN_ENDPOINT": digitalocean,
        "PHALA_CLOUD_API_KEY": KEY,
        "PHALA_CLOUD_API_PREFIX": f"{phala}/api/v1",
    }


@contextmanager
def open_clouds(
    folder: Path,
    cache: Path,
    make_machinery: Callable[[Internet], Machinery] = lambda internet: LabMachinery(internet.world),
    *,
    internet: Internet | None = None,
    beside_lab: bool = False,
) -> Iterator[Clouds]:
    """A small internet that has two clouds; they last as long as the block, and must have been spoken to as their vendors describe.

    With `beside_lab` it is that of the network's own lab, for networks that have machines there too; or it is one that exists.
    """
    if os.geteuid() != 0:
        assert not os.environ.get("CI"), "CI must run these tests as root"
        pytest.skip("only root can put the emulators into a lab's internet")
    operator = folder / "operator"
    operator.mkdir()
    with ExitStack() as stack:
        if internet is None:
            place = lab_folder(operator / "spokewire.toml") if beside_lab else folder / "internet"
            internet = stack.enter_context(make_internet(place))
        machinery = make_machinery(internet)
        stack.callback(machinery.close)
        hosts = [Host(18 + number, name, "us-west-1") for number, name in enumerate(HOSTS)]
        digitalocean, phala = DigitalOcean(time.time, machinery.droplets), PhalaEmulator(machinery.cvms, hosts=hosts)
        digitalocean.switches.active_after_s = 0.5
        names = folder / "hosts"
        gateway = Gateway(phala, names)
        gateway.tell(0, Call("", "", {}, {}))
        internet.world.run(["mount", "-n", "--bind", str(names), "/etc/hosts"])
        phala.after_call = gateway.tell
        authority = make_authority(folder / "tls", (OPERATOR, *(f"*.{host.domain}" for host in hosts)))
        urls = [
            stack.enter_context(serve_inside(internet, app, authority, port))
            for app, port in ((digitalocean, 0), (phala, 0), (gateway, 443))
        ]
        environment = make_environment(cache, authority, urls[0], urls[1])
        yield Clouds(internet, digitalocean, phala, machinery, operator, names, environment)
        assert [*digitalocean.violations, *phala.violations] == []


def read_modes(folder: Path) -> dict[str, int]:
    """The permissions of every file below a folder, by its path."""
    return {str(path): path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}


def read_plan(outcome: Outcome) -> list[dict[str, Any]]:
    """The plan of `deploy --json`."""
    plan: list[dict[str, Any]] = json.loads(outcome.out)["plan"]
    return plan


def names_of(actions: Sequence[dict[str, Any]], verb: str) -> list[str]:
    """The machines that a plan does something to."""
    return [action["name"] for action in actions if action["verb"] == verb]
