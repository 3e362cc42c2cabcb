"""The WireGuard device: in the kernel where it can be, else a `wireguard-go` process under our supervision.

wireguard-go runs in the foreground (its own daemon mode is unreliable) in a session of its own, so it outlives a killed agent and is adopted
by the next one: its sessions go on.
"""

import asyncio
from enum import StrEnum
from pathlib import Path

from spokewire.errors import Code, PermanentError, TemporaryError
from spokewire.host import clock, files, processes
from spokewire.host.journal import Journal
from spokewire.host.links import Links
from spokewire.host.logs import log

SOCKETS = Path("/var/run/wireguard")
"""Where wireguard-go listens for `wg`, one socket for each interface name."""
TUN = Path("/dev/net/tun")
START_TIMEOUT_S = 10.0
"""It takes some 20 ms on an idle machine; this is for one that starts everything at once."""


class Implementation(StrEnum):
    """Which WireGuard carries the packets."""

    KERNEL = "kernel"
    USER_SPACE = "wireguard-go"


class Device:
    """The WireGuard device of one interface name."""

    def __init__(self, name: str, links: Links, journal: Journal) -> None:
        self.name = name
        self._links = links
        self._journal = journal
        self.made = 0
        """How often it was made since the start."""

    async def ensure(self) -> Implementation:
        """Make the device if it is not there; an existing one of ours is kept with its sessions."""
        link = await asyncio.to_thread(self._links.observe, self.name)
        if link is not None:
            if self._journal.is_damaged:
                # Only a daemon of ours has had a journal in this folder, so an interface of our name is its work.
                self._journal.write("device", self.name)
            if ("device", self.name) not in self._journal:
                raise PermanentError(
                    Code.DEVICE_UNAVAILABLE,
                    f"An interface called {self.name} exists that is not ours.",
                    hint=f"Remove it (ip link del {self.name}) or give the network another name.",
                )
            if link.kind == "wireguard":
                return Implementation.KERNEL
            if self._running() is not None:
                return Implementation.USER_SPACE
        await asyncio.to_thread(self._clear)
        return await self._make()

    def remove(self) -> None:
        """Remove the device and its process, if they are there."""
        self._clear()
        self._journal.cross_out("device", self.name)

    async def remake(self) -> None:
        """Make the device anew, whatever state it is in: the process behind it is killed, which a stopped or deaf one cannot refuse."""
        await asyncio.to_thread(self._clear)
        await self._make()

    async def wait_for_end(self) -> None:
        """Wait until the wireguard-go process ends; for ever with an in-kernel device or none."""
        running = self._running()
        if running is None:
            await asyncio.Event().wait()
            return
        await processes.wait_for_end(*running)

    async def _make(self) -> Implementation:
        self._journal.write("device", self.name)
        self.made += 1
        if await asyncio.to_thread(self._links.add_wireguard, self.name):
            return Implementation.KERNEL
        if not processes.installed("wireguard-go"):
            raise PermanentError(
                Code.DEVICE_UNAVAILABLE,
                "This kernel has no WireGuard, and wireguard-go is not installed.",
                hint="Install it: apt-get install wireguard-go.",
            )
        if not await asyncio.to_thread(TUN.exists):
            raise PermanentError(
                Code.DEVICE_UNAVAILABLE,
                "/dev/net/tun is missing, which wireguard-go needs.",
                hint="Load the module (modprobe tun) or hand the device to the container (--device /dev/net/tun).",
            )
        await self._start_user_space()
        return Implementation.USER_SPACE

    async def _start_user_space(self) -> None:
        pid = processes.spawn(["wireguard-go", "-f", self.name])
        started = processes.start_time(pid)
        if started is not None:
            self._journal.write("process", f"wireguard-go {self.name}", f"{pid} {started}")
        deadline = clock.monotonic() + START_TIMEOUT_S
        while not await asyncio.to_thread((SOCKETS / f"{self.name}.sock").exists):
            if started is None or not processes.is_alive(pid, started):
                raise TemporaryError(
                    Code.DEVICE_UNAVAILABLE,
                    f"wireguard-go ended as soon as it was started for {self.name}.",
                    hint="See `spokewire doctor`: /dev/net/tun and NET_ADMIN are needed.",
                )
            if clock.monotonic() > deadline:
                processes.end(pid, started)
                raise TemporaryError(
                    Code.DEVICE_UNAVAILABLE,
                    f"wireguard-go did not bring {self.name} up within {START_TIMEOUT_S:.0f} s.",
                )
            await asyncio.sleep(0.01)
        log.info("device made", interface=self.name, device=Implementation.USER_SPACE)

    def _running(self) -> tuple[int, int] | None:
        value = self._journal.value("process", f"wireguard-go {self.name}")
        if value is None:
            return None
        pid, started = map(int, value.split())
        return (pid, started) if processes.is_alive(pid, started) else None

    def _clear(self) -> None:
        running = self._running()
        if running is not None:
            processes.end(*running)
        self._journal.cross_out("process", f"wireguard-go {self.name}")
        if ("device", self.name) in self._journal:
            self._links.delete(self.name)
            files.remove(SOCKETS / f"{self.name}.sock")
