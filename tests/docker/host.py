"""A computer with Docker on it: a machine of the lab, behind a NAT router or with a public address, that runs a daemon of its own.

The daemon lives in the network and PID namespaces of the lab's machine, so a power cut ends it and all its containers at once, as it would in reality.
"""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from spokewire.lab.machine import LabMachine, Machines
from spokewire.network.names import MachineName
from spokewire.network.spec import Nat
from tests.docker.engine import CGROUP, call, docker
from tests.docker.internet import Internet

START_LIMIT_S = 60.0
_PROJECT = "dstack"


class DockerHost:
    """One such computer. Its images, volumes and containers outlive a power cut; `destroy` removes them."""

    def __init__(self, internet: Internet, name: str, nat: Nat, ca_file: Path) -> None:
        self.name = name
        self._internet = internet
        self._ca_file = ca_file
        self._machines = Machines(internet.world)
        # The path of a Unix socket has at most 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="spokewire-host-"))
        self.machine: LabMachine = self._machines.create(MachineName(name), "bare", nat, None)

    @property
    def address(self) -> str:
        """Where the internet sees it: its own address, or its router's, which lets TCP 8000 through."""
        return str(self.machine.wiring.public_address)

    @property
    def socket(self) -> str:
        """Its daemon, for `docker --host`."""
        return f"unix://{self.folder}/docker.sock"

    @property
    def log(self) -> str:
        """What its daemon said."""
        path = self.folder / "dockerd.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start its daemon, and wait until it answers."""
        assert self.machine.pid is not None
        spaces = self._internet.spaces(self.machine.pid)
        run = self.folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir()
        (run / "daemon.json").write_text("{}")
        options = ["--host", self.socket, "--data-root", f"{self.folder}/data", "--exec-root", f"{run}/exec"]
        options += ["--pidfile", f"{run}/pid", "--config-file", f"{run}/daemon.json", "--cgroup-parent", CGROUP]
        options += ["--bridge", "none", "--iptables=false", "--ip6tables=false", "--userland-proxy=true"]
        options += ["--exec-opt", "native.cgroupdriver=cgroupfs", "--log-level", "info"]
        # Not `ip netns exec`, which hides the control groups; and the process list has to be that of the machine.
        enter = ["nsenter", f"--net={spaces}/net", f"--pid={spaces}/pid", f"--uts={spaces}/uts", "--"]
        bare = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c"]
        script = 'mount -t proc proc /proc && exec dockerd "$@"'
        with (self.folder / "dockerd.log").open("ab") as sink:
            process = subprocess.Popen(
                [*enter, *bare, script, "dockerd", *options],
                env={**os.environ, "SSL_CERT_FILE": str(self._ca_file), "DOCKER_HOST": self.socket},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
            )
        threading.Thread(target=process.wait, name=f"dockerd of {self.name}", daemon=True).start()
        deadline = time.monotonic() + START_LIMIT_S
        while subprocess.run(["docker", "--host", self.socket, "version"], capture_output=True, check=False).returncode:
            assert process.poll() is None, f"dockerd of {self.name} ended: {self.log[-2000:]}"
            assert time.monotonic() < deadline, f"dockerd of {self.name} does not answer: {self.log[-2000:]}"
            time.sleep(0.1)

    def docker(self, *arguments: str, limit_s: float = 300) -> str:
        """Run a docker command on it that must succeed."""
        return docker(*arguments, host=self.socket, limit_s=limit_s)

    def run(self, *command: str) -> str:
        """Run a command in its network."""
        assert self.machine.pid is not None
        return call(["nsenter", f"--net={self._internet.spaces(self.machine.pid)}/net", "--", *command])

    def compose(self, text: str, environment: dict[str, str], limit_s: float = 300) -> str:
        """Bring the services of a compose file up, as a dstack guest does at each boot."""
        file = self.folder / "docker-compose.yml"
        file.write_text(text)
        command = ["docker-compose", "--project-name", _PROJECT, "--file", str(file)]
        around = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "DOCKER_HOST": self.socket}
        return call(
            [*command, "up", "--remove-orphans", "-d", "--build"],
            environment={**around, **environment},
            limit_s=limit_s,
        )

    def tell(self) -> str:
        """What its containers said last, for whoever reads a failure."""
        told = [f"--- {self.name}\n{self.docker('ps', '--all')}"]
        for container in self.docker("ps", "--all", "--quiet").split():
            command = ["docker", "--host", self.socket, "logs", "--tail", "30", container]
            logs = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            told.append(logs.stdout.decode(errors="replace"))
        return "\n".join(told)

    def cut_power(self) -> None:
        """Everything that runs on it ends at once."""
        self._machines.kill(self._machines.find(self.name))

    def boot_again(self) -> None:
        """Switch it on; its disk is as it was."""
        self.machine = self._machines.restart(self._machines.find(self.name))
        self.start()

    def destroy(self) -> None:
        """Remove it with its disk."""
        self._machines.destroy(self._machines.find(self.name))
        shutil.rmtree(self.folder, ignore_errors=True)
