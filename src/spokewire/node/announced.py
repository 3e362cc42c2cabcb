"""The handshakes that were announced lately, on disk too: an agent that begins anew would know nothing of sessions that are older than itself.

A hub that comes back, or is new, has heard no handshake of theirs. Nothing of it is secret: every line is a message as it went over the internet.
"""

import base64
import binascii
from collections import deque
from pathlib import Path

from spokewire.errors import SpokewireError
from spokewire.host import clock, files
from spokewire.host.logs import log
from spokewire.relay.messages import Initiation, Response, parse_message

SESSION_S = 180.0
"""No session is older (REJECT_AFTER_TIME, WireGuard paper section 6.1): what was announced before need not be told to anybody."""
MAX_KEPT = 8192
LINES_PER_MESSAGE = 4
"""The file is written anew when it has so many times more lines than messages are kept."""


class Announced:
    """Messages of the last SESSION_S, the newest MAX_KEPT of them. A disk that takes nothing costs no more than what is said above."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = deque(_read(path), maxlen=MAX_KEPT)
        """When each was announced, in steady seconds, and the message."""
        self._lines = 0
        self._write()

    def add(self, message: bytes) -> None:
        """Keep a message that is announced now."""
        now = clock.steady()
        self._kept.append((now, message))
        if self._lines >= LINES_PER_MESSAGE * MAX_KEPT:
            self._write()
            return
        self._lines += 1
        try:
            files.append(self._path, _format(now, message))
        except SpokewireError as error:
            log.debug("handshake not kept", error=error.message)

    def list_fresh(self) -> list[bytes]:
        """The messages of sessions that may still run, the oldest first."""
        since = clock.steady() - SESSION_S
        return [message for at, message in self._kept if at >= since]

    def _write(self) -> None:
        self._lines = len(self._kept)
        try:
            files.write(self._path, "".join(_format(at, message) for at, message in self._kept))
        except SpokewireError as error:
            log.debug("handshakes not kept", error=error.message)


def _read(path: Path) -> list[tuple[float, bytes]]:
    """What the file holds of the last SESSION_S. After a reboot the steady clock begins anew, and what seems to come is of before."""
    try:
        lines = (files.read(path) or "").splitlines()
    except SpokewireError as error:
        log.warning("kept handshakes unreadable", error=error.message)
        return []
    now = clock.steady()
    found = [entry for line in lines if (entry := _parse(line)) is not None]
    return [(at, message) for at, message in found if now - SESSION_S <= at <= now]


def _format(at: float, message: bytes) -> str:
    return f"{at} {base64.b64encode(message).decode()}\n"


def _parse(line: str) -> tuple[float, bytes] | None:
    """None for a line that was not written to its end, or that somebody has spoilt."""
    at, _, text = line.partition(" ")
    try:
        message = base64.b64decode(text, validate=True)
        return (float(at), message) if isinstance(parse_message(message), Initiation | Response) else None
    except (ValueError, binascii.Error):
        return None
