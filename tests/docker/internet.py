"""A lab's small internet as the place where real machines are plugged in, and where the clouds' emulators and the operator are."""

import asyncio
import ctypes
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvicorn

from spokewire.host import processes
from spokewire.lab.plan import LAST, Wiring, configure_machine, wire_public
from spokewire.lab.world import INTERNET, World, start_world
from spokewire.network.spec import Nat
from tests.docker.engine import call
from tests.emulators.authority import Authority
from tests.lab.world import wait_until

T = TypeVar("T")

OPERATOR = str(INTERNET.ip)
"""Where the operator's commands are, and whatever the tests serve."""
FIRST_CONTAINER = 201
"""Above the numbers that a lab gives to its own machines until it has very many."""
_CLONE_NEWNET = 0x40000000


class Internet:
    """The internet of a running lab."""

    def __init__(self, world: World) -> None:
        assert world.pid is not None, "a lab is plugged into from outside"
        self.world = world
        self._pid = world.pid
        self._numbers: set[int] = set()

    @property
    def cables(self) -> list[str]:
        """The command line's beginning that puts a program into this internet, and nowhere else."""
        return ["nsenter", f"--net=/proc/{self._pid}/ns/net", "--"]

    def spaces(self, machine_pid: int) -> Path:
        """The namespaces of a lab machine, whose process id is as the lab counts."""
        return Path(f"/proc/{self._pid}/root/proc/{machine_pid}/ns")

    def plug_in(self, pid: int, number: int | None = None) -> Wiring:
        """Give the network namespace of a process (as we count) a public address in this internet: the next free one, or that of a number."""
        number = number or next(n for n in range(FIRST_CONTAINER, LAST) if n not in self._numbers)
        self._numbers.add(number)
        wiring = Wiring(number, Nat.NONE)
        self._ip(self.cables, wire_public(wiring, pid))
        self._ip(["nsenter", f"--net=/proc/{pid}/ns/net", "--"], configure_machine(wiring))
        return wiring

    def unplug(self, wiring: Wiring) -> None:
        """Take the cable out; its number is free then."""
        subprocess.run([*self.cables, "ip", "link", "del", wiring.uplink], capture_output=True, check=False)
        self._numbers.discard(wiring.number)

    def run(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str] = {}, limit_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run one of our commands as the operator, whose machine is in this internet."""
        return subprocess.run(
            [*self.cables, sys.executable, "-m", "spokewire", *command],
            cwd=folder,
            env={**os.environ, "NO_COLOR": "1", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )

    def inside(self, act: Callable[[], T]) -> T:
        """Do something in a thread that is in this internet; a socket that is made there stays there."""
        results: list[T] = []

        def enter() -> None:
            with Path(f"/proc/{self._pid}/ns/net").open() as space:
                if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            results.append(act())

        thread = threading.Thread(target=enter, name="in the lab's internet")
        thread.start()
        thread.join(30)
        assert results, "nothing was done in the lab's internet"
        return results[0]

    @contextmanager
    def serve(self, app: Any, authority: Authority | None = None, port: int = 0) -> Iterator[str]:
        """Serve an ASGI application at the operator's address, over TLS with an authority; yield its URL."""
        listener = self.inside(lambda: socket.create_server((OPERATOR, port), backlog=128))
        config = uvicorn.Config(
            app,
            ssl_certfile=None if authority is None else str(authority.certificate_file),
            ssl_keyfile=None if authority is None else str(authority.key_file),
            log_config=None,
            log_level=logging.CRITICAL,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(_serve(server, listener)), name="served", daemon=True)
        thread.start()
        try:
            yield f"{'http' if authority is None else 'https'}://{OPERATOR}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
            listener.close()
        assert not thread.is_alive(), "the server does not end"

    def _ip(self, prefix: Sequence[str], commands: str) -> None:
        call([*prefix, "ip", "-batch", "-"], stdin=commands.encode())


@contextmanager
def make_internet(folder: Path) -> Iterator[Internet]:
    """A lab without machines, for as long as the block lasts."""
    world = start_world(folder)
    try:
        yield Internet(world)
    finally:
        world.stop()
        # A command of ours would end now, and its children be taken over; the tests go on, so their ends are collected.
        wait_until(_all_ended, 10, "every process of the lab has ended")


async def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    await server.serve([listener])
    # A machine that lost power does not say that it is gone: its connection would be waited for.
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    await asyncio.sleep(0)


def _all_ended() -> bool:
    for pid in list(processes._children):
        processes.is_alive(pid, 0)
    return not processes._children
