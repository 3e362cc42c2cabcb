"""Both clouds, emulated, with real machines behind them, for use by hand.

    sudo .venv/bin/python -m tests.emulators                       a shell in which spokewire finds both clouds
    sudo .venv/bin/python -m tests.emulators -- spokewire deploy   one command instead of a shell
    sudo tools/docker sh -c 'tools/image && tools/wheels && exec .venv/bin/python -m tests.emulators --machines docker'

The clouds, their machines and the shell are in a small internet of their own, which this computer's network knows nothing of: a droplet's address is reached from
there and nowhere else. That is why the emulators that are started alone (python -m tests.emulators.digitalocean) have no machines. All of it ends with the shell.

Machines of the lab carry out the user_data and our service of the compose text as processes; Docker's run real cloud-init, systemd, and all of the compose file.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.docker.internet import Internet, make_internet
from tests.lab.clouds import Clouds, Machinery, open_clouds

HELLO = """\
Two emulated clouds are here, with an operator's spec in {folder}. Try: spokewire deploy; spokewire status; spokewire test; spokewire destroy
What they were asked:      curl --cacert $SSL_CERT_FILE $SPOKEWIRE_DIGITALOCEAN_ENDPOINT/_emulator/log
The same of Phala Cloud:   curl --cacert $SSL_CERT_FILE ${{PHALA_CLOUD_API_PREFIX%/api/v1}}/_emulator/log
No room on a host there:   curl --cacert $SSL_CERT_FILE ${{PHALA_CLOUD_API_PREFIX%/api/v1}}/_emulator/hosts/18 -d '{{"slots": 0}}'
Other nasty behaviour:     curl --cacert $SSL_CERT_FILE ${{PHALA_CLOUD_API_PREFIX%/api/v1}}/_emulator/switches -d '{{"delete_takes_s": 30}}'
Ctrl-D ends all of it.
"""


def main(words: Sequence[str]) -> int:
    """Run the shell or the command; its exit status, or 1 when something was said that a vendor's description does not know."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.emulators", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=3, help="how many nodes the spec wants at first")
    parser.add_argument("--machines", choices=["lab", "docker"], default="lab", help="what runs behind the clouds")
    parser.add_argument("command", nargs="*", help="what to run instead of a shell")
    chosen = parser.parse_args(words)
    if os.geteuid() != 0:
        parser.error("needs root: machines are put into namespaces from outside")
    with tempfile.TemporaryDirectory(prefix="spokewire-clouds-") as name:
        folder = Path(name)
        with MACHINES[chosen.machines](folder) as clouds:
            clouds.want(nodes=chosen.nodes)
            return run(clouds, chosen.command)


def run(clouds: Clouds, command: Sequence[str]) -> int:
    """Run a command, or the user's shell, at the operator's place."""
    if not command:
        print(HELLO.format(folder=clouds.folder), flush=True)
    path = f"{Path(sys.executable).parent}:{clouds.environment['PATH']}"
    done = subprocess.run(
        clouds.place(*(command or [os.environ.get("SHELL", "/bin/sh")])),
        cwd=clouds.folder,
        env=clouds.environment | {"PATH": path},
        check=False,
    )
    broken = [*clouds.digitalocean.violations, *clouds.phala.violations]
    for emulator in (clouds.digitalocean, clouds.phala):
        emulator.violations.clear()
    for violation in broken:
        print(f"not as the vendor describes it: {violation}", file=sys.stderr)
    return done.returncode or int(bool(broken))


@contextmanager
def open_lab(folder: Path) -> Iterator[Clouds]:
    """Machines of the lab."""
    with open_clouds(folder, folder / "compiled") as clouds:
        yield clouds


@contextmanager
def open_docker(folder: Path) -> Iterator[Clouds]:
    """Docker's, beside the daemon that tools/docker has started."""
    from tests.docker.machinery import make_machinery, open_release

    def make(internet: Internet) -> Machinery:
        return machinery

    with make_internet(folder / "internet") as internet, open_release(internet, folder) as release:
        machinery = make_machinery(internet, release)
        with open_clouds(folder, folder / "compiled", make, internet=internet) as clouds:
            yield clouds


MACHINES: dict[str, Callable[[Path], AbstractContextManager[Clouds]]] = {"lab": open_lab, "docker": open_docker}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
