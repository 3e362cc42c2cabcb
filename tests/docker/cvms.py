"""Confidential VMs that are real: each a computer with Docker behind a NAT router, which runs the compose text it was given, with the images that the text names."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spokewire.errors import SpokewireError
from spokewire.lab.plan import STATUS_PORT
from spokewire.network.spec import Nat
from tests.docker.host import DockerHost
from tests.docker.internet import Internet


@dataclass
class _Cvm:
    compose: str
    env: dict[str, str]
    state: str = "starting"
    error: str = ""
    host: DockerHost | None = None
    works: threading.Thread | None = None


class DockerCvms:
    """A `CvmBackend`. Booting goes on in a thread of its own; what goes wrong there is in `errors`."""

    def __init__(self, internet: Internet, ca_file: Path, nat: Nat = Nat.PORT_RESTRICTED) -> None:
        self._internet, self._ca_file, self._nat = internet, ca_file, nat
        self._cvms: dict[str, _Cvm] = {}
        self.errors: dict[str, str] = {}
        """Why a machine is in the state `error`."""

    def boot(self, name: str, compose: str, env: Mapping[str, str]) -> None:
        """Start a machine."""
        cvm = self._cvms[name] = _Cvm(compose, dict(env))
        self._work(name, cvm)

    def state(self, name: str) -> str:
        """What the host says of it."""
        return self._cvms[name].state if name in self._cvms else "stopped"

    def status_url(self, name: str) -> str | None:
        """The router before it lets port 8000 through, as the gateway does."""
        cvm = self._cvms.get(name)
        return None if cvm is None or cvm.host is None else f"http://{cvm.host.address}:{STATUS_PORT}"

    def destroy(self, name: str) -> None:
        """Remove a machine with its disk."""
        cvm = self._cvms.pop(name, None)
        if cvm is None:
            return
        self._finish(cvm)
        if cvm.host is not None:
            cvm.host.destroy()

    def restart(self, name: str) -> None:
        """Cut its power and switch it on again; its disk stays."""
        cvm = self._cvms[name]
        self._finish(cvm)
        if cvm.host is not None:
            cvm.host.cut_power()
        cvm.state = "starting"
        self._work(name, cvm)

    def host(self, name: str) -> DockerHost:
        """The computer behind a machine, to look into it."""
        found = self._cvms[name].host
        assert found is not None, f"{name} has not started: {self.errors.get(name, '')}"
        return found

    def wait(self, name: str) -> None:
        """Until it has booted; fails with the reason if it cannot."""
        self._finish(self._cvms[name])
        assert self.state(name) == "running", self.errors.get(name, "")

    def tell(self) -> str:
        """What all of them said last, for whoever reads a failure."""
        hosts = [cvm.host for cvm in self._cvms.values() if cvm.host is not None]
        return "\n".join([*(f"{name}: {why}" for name, why in self.errors.items()), *(host.tell() for host in hosts)])

    def close(self) -> None:
        """Remove all of them."""
        for name in list(self._cvms):
            self.destroy(name)

    def _work(self, name: str, cvm: _Cvm) -> None:
        cvm.works = threading.Thread(target=self._start, args=(name, cvm), name=f"boot of {name}", daemon=True)
        cvm.works.start()

    def _start(self, name: str, cvm: _Cvm) -> None:
        try:
            if cvm.host is None:
                cvm.host = DockerHost(self._internet, name, self._nat, self._ca_file)
                cvm.host.start()
            else:
                cvm.host.boot_again()
            cvm.host.compose(cvm.compose, cvm.env)
        except (AssertionError, OSError, SpokewireError) as error:
            self.errors[name], cvm.state = str(error), "error"
        else:
            cvm.state = "running"

    def _finish(self, cvm: _Cvm) -> None:
        if cvm.works is not None:
            cvm.works.join(300)
            assert not cvm.works.is_alive(), "a machine does not come to an end of its boot"
