"""The tap: how handshakes reach the daemon, and how it sends them on. No key, no copy of data packets.

A packet socket with a classic BPF filter sees messages of types 1 to 3 that arrive for our port; a raw socket sends them from that port. WireGuard's
own socket keeps the port: both see what is for the hub itself.
"""

import asyncio
import ctypes
import socket
import struct
from collections.abc import Callable

from spokewire.errors import Code, PermanentError
from spokewire.relay.switch import Endpoint

Received = Callable[[bytes, Endpoint], None]

_SO_ATTACH_FILTER = 26
_IPV6_CHECKSUM = 7
_PACKET_HOST = 0
_ETH_P_ALL = 0x0003
_UDP_HEAD = struct.Struct("!HHHH")
_UDP_CHECKSUM_OFFSET = 6
_RECEIVE_BYTES = 4 * 1024 * 1024
"""Room for some ten thousand handshakes, so that a crowd that starts at once is not lost while Python is busy."""
_DROP_ALL = [(0x06, 0, 0, 0)]
"""A raw socket receives a copy of every UDP packet of the machine; ours only send."""
_BATCH = 64
"""After that many messages the loop gets a turn."""


def handshake_filter(port: int) -> list[tuple[int, int, int, int]]:
    """A classic BPF program (code, jump if true, jump if false, operand): IPv4 or IPv6, unfragmented UDP to `port`, first byte 1 to 3.

    The packet begins with its IP header. Extension headers of IPv6 are not followed: WireGuard sends none.
    """
    return [
        (0x30, 0, 0, 0),  # ldb [0]
        (0x54, 0, 0, 0xF0),  # and #0xf0
        (0x15, 0, 10, 0x40),  # jeq #0x40: IPv4, else 13
        (0x30, 0, 0, 9),  # ldb [9]: protocol
        (0x15, 0, 17, 17),  # jeq #17: UDP, else drop
        (0x28, 0, 0, 6),  # ldh [6]: fragment offset
        (0x45, 15, 0, 0x1FFF),  # jset: a later fragment, drop
        (0xB1, 0, 0, 0),  # ldxb 4*([0]&0xf)
        (0x48, 0, 0, 2),  # ldh [x + 2]: destination port
        (0x15, 0, 12, port),  # jeq port, else drop
        (0x50, 0, 0, 8),  # ldb [x + 8]: message type
        (0x35, 0, 10, 1),  # jge #1, else drop
        (0x25, 9, 8, 3),  # jgt #3: drop, else accept
        (0x15, 0, 8, 0x60),  # jeq #0x60: IPv6, else drop
        (0x30, 0, 0, 6),  # ldb [6]: next header
        (0x15, 0, 6, 17),  # jeq #17, else drop
        (0x28, 0, 0, 42),  # ldh [42]: destination port
        (0x15, 0, 4, port),  # jeq port, else drop
        (0x30, 0, 0, 48),  # ldb [48]: message type
        (0x35, 0, 2, 1),  # jge #1, else drop
        (0x25, 1, 0, 3),  # jgt #3: drop, else accept
        (0x06, 0, 0, 0xFFFF),  # ret: the whole packet
        (0x06, 0, 0, 0),  # ret #0: drop
    ]


class Tap:
    """The tap on every interface, for one port. `received` is called in the event loop for each message."""

    def __init__(self, port: int, received: Received) -> None:
        self._port = port
        self._received = received
        self._socket: socket.socket | None = None
        self._senders: dict[int, socket.socket] = {}

    def open(self) -> None:
        """Open the sockets; PermanentError where CAP_NET_RAW is missing."""
        try:
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
            _attach(tap, handshake_filter(self._port))
            tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
            self._senders[4] = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
            self._senders[16] = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_UDP)
            self._senders[16].setsockopt(socket.IPPROTO_IPV6, _IPV6_CHECKSUM, _UDP_CHECKSUM_OFFSET)
            for sender in self._senders.values():
                _attach(sender, _DROP_ALL)
        except PermissionError as error:
            raise PermanentError(
                Code.PERMISSION,
                "The relay may not open a packet socket.",
                hint="CAP_NET_RAW is needed: run as root, or --cap-add NET_RAW.",
            ) from error
        tap.setblocking(False)
        _drain(tap)
        self._socket = tap
        asyncio.get_running_loop().add_reader(tap, self._read)

    def close(self) -> None:
        """Close the sockets."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for sender in self._senders.values():
            sender.close()
        self._senders.clear()

    def send(self, message: bytes, to: Endpoint) -> None:
        """Send a message from our port; one that cannot be sent is lost, like any other."""
        head = _UDP_HEAD.pack(self._port, to.port, _UDP_HEAD.size + len(message), 0)
        family = socket.AF_INET if len(to.address) == 4 else socket.AF_INET6  # noqa: PLR2004
        try:
            self._senders[len(to.address)].sendto(head + message, (socket.inet_ntop(family, to.address), 0))
        except OSError:
            return

    def _read(self) -> None:
        for _ in range(_BATCH):
            if self._socket is None:
                return
            try:
                packet, address = self._socket.recvfrom(2048)
            except BlockingIOError:
                return
            except OSError:
                continue
            if address[2] == _PACKET_HOST:
                self._received(*split_packet(packet))


def split_packet(packet: bytes) -> tuple[bytes, Endpoint]:
    """Split a packet that the filter accepted into its UDP payload and where it came from."""
    is_v4 = packet[0] >> 4 == 4  # noqa: PLR2004
    head = (packet[0] & 15) * 4 if is_v4 else 40
    address = packet[12:16] if is_v4 else packet[8:24]
    port, _, size, _ = _UDP_HEAD.unpack_from(packet, head)
    return packet[head + _UDP_HEAD.size : head + size], Endpoint(address, port)


def _drain(tap: socket.socket) -> None:
    """Throw away what arrived before the filter was attached."""
    try:
        while tap.recv(1):
            continue
    except BlockingIOError:
        return


def _attach(tap: socket.socket, program: list[tuple[int, int, int, int]]) -> None:
    instructions = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(instructions)
    tap.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(buffer)))
