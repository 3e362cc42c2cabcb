"""Telling the supervisor how we are, if it is systemd: sd_notify(3) is a datagram, no library."""

import contextlib
import os
import socket
from collections.abc import Mapping

READY = "READY=1"
ALIVE = "WATCHDOG=1"
STOPPING = "STOPPING=1"


class Supervisor:
    """Where to send words about us. Without NOTIFY_SOCKET in the environment nobody wants to hear them."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        # A name that begins with @ is in the kernel's namespace of abstract sockets, whose names begin with a zero byte (unix(7)).
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        self._is_watching = bool(environment.get("WATCHDOG_USEC"))

    def tell(self, word: str) -> None:
        """Send a word; one that cannot be sent is lost. It never waits: a supervisor that hangs must not hang us."""
        if not self._address or (word == ALIVE and not self._is_watching):
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(word.encode(), self._address)
