"""Announcements: the handshakes of our own WireGuard, copied to the hubs that they do not pass, so that every hub has the labels of every session.

So a pair moves from one hub to another without a new handshake, and without losing a packet. What is announced holds nothing that a hub on the path
would not see: a handshake message as it is, for which a hub installs a label and which it forwards to nobody (relay/messages.py).
"""

import base64
from collections import deque
from collections.abc import Callable, Sequence

from spokewire.errors import PermanentError
from spokewire.host import clock
from spokewire.network.documents import Member
from spokewire.network.names import WireGuardKey
from spokewire.node.announced import MAX_KEPT, Announced
from spokewire.relay.messages import Initiation, Response, announce, derive_mac1_key, is_for, parse_message
from spokewire.relay.places import Endpoint, parse_endpoint
from spokewire.relay.sharing import SharedPort

STEP_S = 1.0
AGAIN_S = (1.0, 6.0)
"""So long after the first copy others follow: one may be lost, and a hub may not know the other end yet when both have just joined."""
AT_ONCE = 100
"""Announcements in one step to a hub that is back: its bound on handshakes of one node is 200 a second."""


class Announcer:
    """Hears our handshakes and announces them, each several times."""

    def __init__(
        self,
        port: SharedPort,
        observe: Callable[[WireGuardKey], str | None],
        find_port: Callable[[], int | None],
        announced: Announced,
    ) -> None:
        """`observe` tells a WireGuard peer's endpoint, `find_port` the port of our own WireGuard, both as of the last look."""
        self._port = port
        self._observe = observe
        self._find_port = find_port
        self._hubs: dict[WireGuardKey, bytes] = {}
        """Every hub's key, and the key of mac1 for messages to it."""
        self._announced = announced
        self._again: list[deque[tuple[float, bytes, Endpoint]]] = [deque(maxlen=MAX_KEPT) for _ in AGAIN_S]
        """What is to be sent again, in order: when (monotonic), the message, and where it went itself."""
        self._returning: deque[tuple[WireGuardKey, bytes]] = deque(maxlen=2 * MAX_KEPT)

    def know(self, hubs: Sequence[Member]) -> None:
        """Announce to these hubs. With one there is nothing to announce yet, only to remember."""
        keys = [WireGuardKey(hub.record.wireguard_key) for hub in hubs]
        if list(self._hubs) != keys:
            self._hubs = {key: derive_mac1_key(base64.b64decode(key)) for key in keys}

    def hub_back(self, key: WireGuardKey) -> None:
        """A hub that was away answers again: it has not heard what was announced meanwhile."""
        self._returning.extend((key, message) for message in self._announced.list_fresh())

    async def step(self) -> None:
        """Listen to the port that WireGuard has now, and send what is to be sent again. Call it every STEP_S; PermanentError where CAP_NET_RAW is missing."""
        try:
            self._port.open(self._find_port())
        except PermanentError:
            if len(self._hubs) > 1:
                raise
            return
        for waiting in self._again:
            while waiting and waiting[0][0] <= clock.monotonic():
                _, message, to = waiting.popleft()
                self._announce(message, to)
        places = self._find_places()
        for _ in range(min(AT_ONCE, len(self._returning))):
            key, message = self._returning.popleft()
            if key in places:
                self._port.send(announce(message), places[key])

    def hear(self, message: bytes, to: Endpoint) -> None:
        """Our WireGuard has sent a handshake message."""
        parsed = parse_message(message)
        if not isinstance(parsed, Initiation | Response) or any(is_for(parsed, key) for key in self._hubs.values()):
            return
        now = clock.monotonic()
        self._announced.add(message)
        for waiting, after_s in zip(self._again, AGAIN_S, strict=True):
            waiting.append((now + after_s, message, to))
        self._announce(message, to)

    def _announce(self, message: bytes, to: Endpoint) -> None:
        for place in self._find_places().values():
            if place != to:
                self._port.send(announce(message), place)

    def _find_places(self) -> dict[WireGuardKey, Endpoint]:
        seen = {key: self._observe(key) for key in self._hubs}
        return {key: parse_endpoint(text) for key, text in seen.items() if text is not None}
