"""The port of a node's own WireGuard, shared: its handshakes are heard as they leave, messages of ours are sent from it, and probes that come to it heard.

The port is WireGuard's, and stays so: packet sockets see what passes it, a raw socket sends from it. To NATs and to hubs both are one.

What we send and what strangers send have a socket each, as in the hub's tap: a flood of datagrams that look like probes fills a queue of its own, which
is read a little at a time.
"""

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable, Iterator

from spokewire.errors import Code, PermanentError
from spokewire.host import clock
from spokewire.relay.filters import DROP_ALL, handshakes_sent, probes_to
from spokewire.relay.places import Endpoint
from spokewire.relay.tap import IPV6_CHECKSUM, UDP_CHECKSUM_OFFSET, UDP_HEAD, attach, open_listener, split_packet

_ROOM_BYTES = 512 * 1024
"""For some two thousand handshakes, as when a node with a thousand peers starts."""
_BATCH = 64
_PROBES_BYTES = 128 * 1024
_PROBES_BATCH = 16
_PROBES_PAUSE_S = 0.02
"""Between two batches: 800 probes a second at most, some percent of a core. A pair that tries eight places sends and gets 80."""
_IPV4_BYTES = 4
_EARLY_S = 10.0
"""From WireGuard's first handshake until its port is known it takes a second or two, on a busy machine more."""
_MAX_EARLY = 2048

Sent = Callable[[bytes, Endpoint], None]


class SharedPort:
    """The sockets for one port. In the event loop `sent` is called with each initiation and response, and where it goes; `probed` with each datagram that begins with `magic`, and where it comes from."""

    def __init__(self, sent: Sent, probed: Sent, magic: bytes) -> None:
        self.port: int | None = None
        """The port that WireGuard has; None while it is not known."""
        self._sent = sent
        self._probed = probed
        self._magic = magic
        self._line: socket.socket | None = None
        self._probes: socket.socket | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._senders: dict[int, socket.socket] = {}
        self._early: deque[tuple[float, int, bytes, Endpoint]] = deque(maxlen=_MAX_EARLY)
        """Handshakes from ports that are not known to be WireGuard's yet: when (monotonic), from which, and what `sent` takes."""

    def open(self, port: int | None) -> None:
        """Listen from now on, if not yet; to this port, if it is known. PermanentError where CAP_NET_RAW is missing.

        What left by the port in the last seconds, before it was known, is heard now.
        """
        if self._line is None:
            self._open()
        if port != self.port:
            if self._probes is not None:
                attach(self._probes, DROP_ALL if port is None else probes_to(port, self._magic))
            self.port = port
            early, since = list(self._early), clock.monotonic() - _EARLY_S
            self._early.clear()
            for at, source, message, to in early:
                if source == port and at >= since:
                    self._sent(message, to)

    def _open(self) -> None:
        try:
            self._line = open_listener(handshakes_sent(), _ROOM_BYTES, outgoing=True)
            self._probes = open_listener(DROP_ALL, _PROBES_BYTES)
            self._senders[4] = _open_sender(socket.AF_INET)
            if socket.has_dualstack_ipv6():
                self._senders[16] = _open_sender(socket.AF_INET6)
        except PermissionError as error:
            self.close()
            raise PermanentError(
                Code.PERMISSION,
                "The agent may not open a packet socket: a change of hubs costs packets, and there are no direct paths.",
                hint="CAP_NET_RAW is needed: run as root, or --cap-add NET_RAW.",
            ) from error
        asyncio.get_running_loop().add_reader(self._line, self._hear, self._line)
        self._await_probes()

    def close(self) -> None:
        """Close the sockets."""
        if self._pause is not None:
            self._pause.cancel()
        for line in (self._line, self._probes):
            if line is not None:
                with contextlib.suppress(RuntimeError):
                    asyncio.get_running_loop().remove_reader(line)
                line.close()
        for sender in self._senders.values():
            sender.close()
        self._line = self._probes = self._pause = self.port = None
        self._senders = {}

    def send(self, message: bytes, to: Endpoint) -> None:
        """Send a message from WireGuard's port; one that cannot be sent is lost, like any other."""
        sender = self._senders.get(len(to.address))
        if sender is None or self.port is None:
            return
        family = socket.AF_INET if len(to.address) == _IPV4_BYTES else socket.AF_INET6
        head = UDP_HEAD.pack(self.port, to.port, UDP_HEAD.size + len(message), 0)
        with contextlib.suppress(OSError):
            sender.sendto(head + message, (socket.inet_ntop(family, to.address), 0))

    def _hear(self, line: socket.socket) -> None:
        for packet in _read(line, _BATCH):
            self._hear_own(*_split_sent(packet))

    def _await_probes(self) -> None:
        if self._probes is not None:
            asyncio.get_running_loop().add_reader(self._probes, self._hear_some_probes, self._probes)

    def _hear_some_probes(self, line: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(line)
        for packet in _read(line, _PROBES_BATCH):
            self._probed(*split_packet(packet))
        self._pause = loop.call_later(_PROBES_PAUSE_S, self._await_probes)

    def _hear_own(self, source: int, message: bytes, to: Endpoint) -> None:
        if source == self.port:
            self._sent(message, to)
        else:
            self._early.append((clock.monotonic(), source, message, to))


def _read(line: socket.socket, count: int) -> Iterator[bytes]:
    """Read what waits, but not more than so many packets."""
    for _ in range(count):
        try:
            yield line.recv(2048)
        except BlockingIOError:
            return
        except OSError:
            continue


def _split_sent(packet: bytes) -> tuple[int, bytes, Endpoint]:
    """Split a packet that the filter accepted into the port that it leaves by, its UDP payload and where it goes."""
    is_v4 = packet[0] >> 4 == 4  # noqa: PLR2004
    head = (packet[0] & 15) * 4 if is_v4 else 40
    address = packet[16:20] if is_v4 else packet[24:40]
    source, port, size, _ = UDP_HEAD.unpack_from(packet, head)
    return source, packet[head + UDP_HEAD.size : head + size], Endpoint(address, port)


def _open_sender(family: socket.AddressFamily) -> socket.socket:
    sender = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_UDP)
    # It would receive a copy of every UDP packet of the machine.
    attach(sender, DROP_ALL)
    sender.setblocking(False)
    if family is socket.AF_INET6:
        sender.setsockopt(socket.IPPROTO_IPV6, IPV6_CHECKSUM, UDP_CHECKSUM_OFFSET)
    return sender
