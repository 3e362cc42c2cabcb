"""Announcements: the handshakes of our own WireGuard, copied to the hubs that they do not pass, so that every hub has the labels of every session.

So a pair moves from one hub to another without a new handshake, and without losing a packet. What is announced holds nothing that a hub on the path
would not see: a handshake message as it is, for which a hub installs a label and which it forwards to nobody (relay/messages.py).
"""

import base64
from collections import deque
from collections.abc import Callable, Sequence

from spokewire.host import clock
from spokewire.network.documents import Member
from spokewire.network.names import WireGuardKey
from spokewire.relay.messages import Initiation, Response, announce, derive_mac1_key, is_for, parse_message
from spokewire.relay.outgoing import Outgoing
from spokewire.relay.places import Endpoint, parse_endpoint

STEP_S = 1.0
SESSION_S = 180.0
"""No session is older (REJECT_AFTER_TIME, WireGuard paper section 6.1): what was announced before need not be told to a hub that is back."""
MAX_KEPT = 8192
AT_ONCE = 100
"""Announcements in one step to a hub that is back: its bound on handshakes of one node is 200 a second."""


class Announcer:
    """Hears our handshakes and announces them, each twice: the second copy is for a first one that was lost."""

    def __init__(self, observe: Callable[[WireGuardKey], str | None], find_port: Callable[[], int | None]) -> None:
        """`observe` tells a WireGuard peer's endpoint, `find_port` the port of our own WireGuard, both as of the last look."""
        self._observe = observe
        self._find_port = find_port
        self._outgoing = Outgoing(self._hear)
        self._hubs: dict[WireGuardKey, bytes] = {}
        """Every hub's key, and the key of mac1 for messages to it."""
        self._kept: deque[tuple[float, bytes, Endpoint]] = deque(maxlen=MAX_KEPT)
        """What was announced: when (monotonic), the message, and where it went itself."""
        self._again: deque[tuple[bytes, Endpoint]] = deque(maxlen=MAX_KEPT)
        self._returning: deque[tuple[WireGuardKey, bytes]] = deque(maxlen=2 * MAX_KEPT)

    def know(self, hubs: Sequence[Member]) -> None:
        """Announce to these hubs; with one there is nothing to announce."""
        keys = [WireGuardKey(hub.record.wireguard_key) for hub in hubs]
        if list(self._hubs) != keys:
            self._hubs = {key: derive_mac1_key(base64.b64decode(key)) for key in keys}

    def hub_back(self, key: WireGuardKey) -> None:
        """A hub that was away answers again: it has not heard what was announced meanwhile."""
        since = clock.monotonic() - SESSION_S
        self._returning.extend((key, message) for at, message, _ in self._kept if at >= since)

    async def step(self) -> None:
        """Listen to the port that WireGuard has now, and send what is to be sent again. Call it every STEP_S; PermanentError where CAP_NET_RAW is missing."""
        port = self._find_port()
        if len(self._hubs) < 2 or port is None:  # noqa: PLR2004 - with one hub every handshake passes it
            self._outgoing.close()
            return
        if self._outgoing.port != port:
            self._outgoing.open(port)
        again, self._again = self._again, deque(maxlen=MAX_KEPT)
        for message, to in again:
            self._announce(message, to)
        places = self._find_places()
        for _ in range(min(AT_ONCE, len(self._returning))):
            key, message = self._returning.popleft()
            if key in places:
                self._outgoing.send(announce(message), places[key])

    def close(self) -> None:
        """Stop listening."""
        self._outgoing.close()

    def _hear(self, message: bytes, to: Endpoint) -> None:
        parsed = parse_message(message)
        if not isinstance(parsed, Initiation | Response) or any(is_for(parsed, key) for key in self._hubs.values()):
            return
        self._kept.append((clock.monotonic(), message, to))
        self._again.append((message, to))
        self._announce(message, to)

    def _announce(self, message: bytes, to: Endpoint) -> None:
        for place in self._find_places().values():
            if place != to:
                self._outgoing.send(announce(message), place)

    def _find_places(self) -> dict[WireGuardKey, Endpoint]:
        seen = {key: self._observe(key) for key in self._hubs}
        return {key: parse_endpoint(text) for key, text in seen.items() if text is not None}
