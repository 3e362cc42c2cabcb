"""The tap: how handshakes reach the daemon, and how it sends them on. No key, no copy of data packets.

Packet sockets with classic BPF filters hear messages of types 1 to 3 that arrive for our port; a raw socket sends them from that port. WireGuard's
own socket keeps the port: both see what is for the hub itself.

Members and strangers have a socket each. The members' is read at once, always. The strangers' is read a little at a time: there is nothing to
forward for a stranger, only a node that has just moved to be noticed, so what a flood can cost is bounded, and no member's handshake is lost in it.
"""

import asyncio
import contextlib
import ctypes
import errno
import secrets
import socket
import struct
from collections.abc import Callable, Collection

from spokewire.errors import Code, PermanentError
from spokewire.host.logs import log
from spokewire.relay.filters import (
    DROP_ALL,
    MAX_INSTRUCTIONS,
    Instruction,
    all_handshakes,
    handshakes_of_members,
    handshakes_of_strangers,
)
from spokewire.relay.places import Endpoint

Received = Callable[[bytes, Endpoint], None]

_SO_ATTACH_FILTER = 26
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_PACKET_IGNORE_OUTGOING = 23
_IP_FREEBIND = 15
_IPV6_FREEBIND = 78
_PACKET_HOST = 0
_ETH_P_ALL = 0x0003
IPV6_CHECKSUM = 7
UDP_CHECKSUM_OFFSET = 6
"""Where the kernel writes the checksum of a datagram that a raw socket sends over IPv6, where it must have one (RFC 8200 section 8.1)."""
UDP_HEAD = struct.Struct("!HHHH")
_MEMBERS_BYTES = 4 * 1024 * 1024
"""Room for some ten thousand handshakes, so that a crowd that starts at once is not lost while Python is busy."""
_STRANGERS_BYTES = 256 * 1024
_BATCH = 64
"""After that many messages the loop gets a turn."""
_STRANGERS_PAUSE_S = 0.02
"""Between two batches of strangers: 3,200 messages a second at most, some three percent of a core."""


class Tap:
    """The tap on every interface, for one port. `received` is called in the event loop for each message."""

    def __init__(self, port: int, received: Received) -> None:
        self._port = port
        self._received = received
        self._secret = secrets.randbits(32) | 1
        self._known: frozenset[Endpoint] = frozenset()
        self._members: socket.socket | None = None
        self._strangers: socket.socket | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._senders: dict[int, socket.socket] = {}
        self._lost = 0

    def open(self) -> None:
        """Open the sockets, with no member known; PermanentError where CAP_NET_RAW is missing."""
        self._known = frozenset()
        try:
            self._members = open_listener(handshakes_of_members(self._port, (), self._secret), _MEMBERS_BYTES)
            self._strangers = open_listener(handshakes_of_strangers(self._port, (), self._secret), _STRANGERS_BYTES)
        except PermissionError as error:
            raise PermanentError(
                Code.PERMISSION,
                "The relay may not open a packet socket.",
                hint="CAP_NET_RAW is needed: run as root, or --cap-add NET_RAW.",
            ) from error
        asyncio.get_running_loop().add_reader(self._members, self._hear, self._members)
        self._hear_strangers()

    def know(self, members: Collection[Endpoint]) -> None:
        """Hear these endpoints as members from now on. Where the kernel takes no filter for so many, everybody is heard as one."""
        known = frozenset(members)
        if self._members is None or self._strangers is None or known == self._known:
            return
        self._known = known
        arguments = (self._port, known, self._secret)
        try:
            # In this order a new member may be heard twice for a moment, which WireGuard forgives, but not missed.
            attach(self._members, handshakes_of_members(*arguments))
            attach(self._strangers, handshakes_of_strangers(*arguments))
        except OSError as error:
            log.warning("members not told from strangers", members=len(known), error=str(error))
            attach(self._members, all_handshakes(self._port))
            attach(self._strangers, DROP_ALL)

    def send_from(self, v4: str | None, v6: str | None) -> None:
        """Send from these addresses of our own from now on: nodes know the hub by them, and one machine may have several."""
        self._close_senders()
        if v4 is not None:
            self._senders[4] = _open_sender(socket.AF_INET, socket.IPPROTO_IP, _IP_FREEBIND, v4)
        if v6 is not None:
            self._senders[16] = _open_sender(socket.AF_INET6, socket.IPPROTO_IPV6, _IPV6_FREEBIND, v6)
            self._senders[16].setsockopt(socket.IPPROTO_IPV6, IPV6_CHECKSUM, UDP_CHECKSUM_OFFSET)

    def count_lost(self) -> int:
        """How many messages the kernel has dropped so far because more came than are read."""
        for line in (self._members, self._strangers):
            if line is not None:
                self._lost += struct.unpack("=II", line.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))[1]
        return self._lost

    def close(self) -> None:
        """Close the sockets."""
        self.count_lost()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        for line in (self._members, self._strangers):
            if line is not None:
                asyncio.get_running_loop().remove_reader(line)
                line.close()
        self._members = self._strangers = None
        self._close_senders()

    def send(self, message: bytes, to: Endpoint) -> None:
        """Send a message from our port; one that cannot be sent is lost, like any other."""
        head = UDP_HEAD.pack(self._port, to.port, UDP_HEAD.size + len(message), 0)
        family = socket.AF_INET if len(to.address) == 4 else socket.AF_INET6  # noqa: PLR2004
        sender = self._senders.get(len(to.address))
        if sender is not None:
            with contextlib.suppress(OSError):
                sender.sendto(head + message, (socket.inet_ntop(family, to.address), 0))

    def _close_senders(self) -> None:
        for sender in self._senders.values():
            sender.close()
        self._senders.clear()

    def _hear_strangers(self) -> None:
        """Listen for the next stranger."""
        if self._strangers is not None:
            asyncio.get_running_loop().add_reader(self._strangers, self._hear_some_strangers, self._strangers)

    def _hear_some_strangers(self, line: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(line)
        self._hear(line)
        self._pause = loop.call_later(_STRANGERS_PAUSE_S, self._hear_strangers)

    def _hear(self, line: socket.socket) -> None:
        for _ in range(_BATCH):
            try:
                packet, address = line.recvfrom(2048)
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
    port, _, size, _ = UDP_HEAD.unpack_from(packet, head)
    return packet[head + UDP_HEAD.size : head + size], Endpoint(address, port)


def _open_sender(family: socket.AddressFamily, level: int, freebind: int, address: str) -> socket.socket:
    """A raw socket that sends from an address, even while IPv6 still looks for duplicates of it."""
    sender = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_UDP)
    # It would receive a copy of every UDP packet of the machine.
    attach(sender, DROP_ALL)
    sender.setsockopt(level, freebind, 1)
    sender.bind((address, 0))
    return sender


def open_listener(program: list[Instruction], room_bytes: int, *, outgoing: bool = False) -> socket.socket:
    """A packet socket that hears what the program accepts, and nothing that came before it had the program. Not `outgoing`: only what arrives."""
    line = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
    line.setblocking(False)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room_bytes)
    # Else the kernel would copy the head of every packet that leaves, only to ask the program about it.
    line.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, not outgoing)
    attach(line, DROP_ALL)
    with contextlib.suppress(BlockingIOError):
        while True:
            line.recv(1)
    attach(line, program)
    return line


def attach(line: socket.socket, program: list[Instruction]) -> None:
    """Give a socket its filter; OSError if the kernel takes none of that size."""
    if len(program) > MAX_INSTRUCTIONS:
        raise OSError(errno.EINVAL, "too many instructions for a filter")
    instructions = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(instructions)
    line.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(buffer)))
