"""rtnetlink(7): requests to the kernel about links, addresses and routes, as far as we need them.

Our own, because a general library for it took 10 MB of each agent's memory, and a tenth of a second of its start. Numbers are those of
linux/netlink.h, linux/rtnetlink.h, linux/if_link.h and linux/if_addr.h.
"""

import os
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Generic, Self, TypeVar

from spokewire.errors import Code, TemporaryError

_HEADER = struct.Struct("=IHHII")
"""nlmsghdr: length, type, flags, sequence, port."""
_ATTRIBUTE = struct.Struct("=HH")
"""nlattr: length, type."""
_ERROR = struct.Struct("=i")
_NUMBER = struct.Struct("=I")
_REQUEST, _ACK, _DUMP, _CREATE_NEW = 0x1, 0x4, 0x300, 0x600
_DUMP_INTERRUPTED = 0x10
_TYPE_MASK = 0x3FFF
"""An attribute's type without NLA_F_NESTED and NLA_F_NET_BYTEORDER."""
_ATTEMPTS = 5
_BUFFER = 1 << 20
"""The kernel sends at most 32 KiB at once."""


class Kind(IntEnum):
    """What a message is about."""

    ERROR = 2
    DONE = 3
    NEW_LINK = 16
    DELETE_LINK = 17
    GET_LINK = 18
    NEW_ADDRESS = 20
    DELETE_ADDRESS = 21
    GET_ADDRESS = 22
    NEW_ROUTE = 24
    GET_ROUTE = 26


@dataclass(frozen=True)
class LinkHead:
    """The fixed head of a message about a link: ifinfomsg."""

    family: int = 0
    device: int = 0
    index: int = 0
    flags: int = 0
    change: int = 0
    layout: ClassVar[struct.Struct] = struct.Struct("=BxHiII")


@dataclass(frozen=True)
class AddressHead:
    """The fixed head of a message about an address: ifaddrmsg."""

    family: int = 0
    prefix: int = 0
    flags: int = 0
    scope: int = 0
    index: int = 0
    layout: ClassVar[struct.Struct] = struct.Struct("=BBBBi")


@dataclass(frozen=True)
class RouteHead:
    """The fixed head of a message about a route: rtmsg."""

    family: int = 0
    destination_prefix: int = 0
    source_prefix: int = 0
    tos: int = 0
    table: int = 0
    protocol: int = 0
    scope: int = 0
    type: int = 0
    flags: int = 0
    layout: ClassVar[struct.Struct] = struct.Struct("=BBBBBBBBI")


Head = TypeVar("Head", LinkHead, AddressHead, RouteHead)


@dataclass(frozen=True)
class Entry(Generic[Head]):
    """One link, address or route: its fixed head, and its attributes by number."""

    head: Head
    attributes: Mapping[int, bytes]

    def number(self, attribute: int) -> int | None:
        """An attribute that is a 32-bit number."""
        data = self.attributes.get(attribute)
        return None if data is None else int(_NUMBER.unpack_from(data)[0])

    def text(self, attribute: int) -> str:
        """An attribute that is text; "" if it is missing."""
        return self.attributes.get(attribute, b"").partition(b"\0")[0].decode(errors="replace")


class Route:
    """A netlink socket of the network namespace that we run in. OSError of a call carries the kernel's errno."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def get(self, kind: Kind, head: Head, attributes: bytes = b"") -> Entry[Head]:
        """Ask for the one thing that the head or an attribute names."""
        return self._ask(kind, _ACK, head, attributes)[0]

    def dump(self, kind: Kind, head: Head) -> list[Entry[Head]]:
        """Ask for everything of a kind, all of one moment; TemporaryError if it keeps changing under our eyes."""
        for _ in range(_ATTEMPTS):
            try:
                return self._ask(kind, _DUMP, head, b"")
            except InterruptedError:
                continue
        raise TemporaryError(Code.BUSY, "This machine's links and routes change too quickly to be read.")

    def change(self, kind: Kind, head: Head, attributes: bytes = b"", *, create: bool = False) -> None:
        """Change something, and wait until the kernel has done so; with `create` it must be new."""
        self._ask(kind, _ACK | (_CREATE_NEW if create else 0), head, attributes)

    def _ask(self, kind: Kind, flags: int, head: Head, attributes: bytes) -> list[Entry[Head]]:
        self._sequence += 1
        layout, make = type(head).layout, type(head)
        payload = layout.pack(*vars(head).values()) + attributes
        length = _HEADER.size + len(payload)
        self._socket.send(_HEADER.pack(length, kind, _REQUEST | flags, self._sequence, 0) + payload)
        found: list[Entry[Head]] = []
        is_whole = True
        while True:
            for answer, answer_flags, sequence, body in split_messages(self._socket.recv(_BUFFER)):
                if sequence != self._sequence:
                    continue
                is_whole = is_whole and not answer_flags & _DUMP_INTERRUPTED
                if answer in (Kind.ERROR, Kind.DONE):
                    _raise_error(body)
                    if not is_whole:
                        raise InterruptedError
                    return found
                found.append(Entry(make(*layout.unpack_from(body)), parse_attributes(body[layout.size :])))


def split_messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """The messages of what the kernel sent at once: type, flags, sequence number, body."""
    while len(data) >= _HEADER.size:
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data)
        if length < _HEADER.size:
            return
        yield kind, flags, sequence, data[_HEADER.size : length]
        data = data[_aligned(length) :]


def parse_attributes(data: bytes) -> dict[int, bytes]:
    """The attributes of a message, or those nested in an attribute."""
    found = {}
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE_MASK] = data[_ATTRIBUTE.size : length]
        data = data[_aligned(length) :]
    return found


def format_attribute(kind: int, value: bytes | str | int) -> bytes:
    """One attribute: bytes as they are (attributes in an attribute among them), text with its final zero, a number as 32 bits."""
    if isinstance(value, str):
        value = value.encode() + b"\0"
    elif isinstance(value, int):
        value = _NUMBER.pack(value)
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(_aligned(length) - length)


def _raise_error(body: bytes) -> None:
    """An error's number is negative; 0 is the acknowledgement, and the end of a dump that went well."""
    number = -_ERROR.unpack_from(body)[0] if len(body) >= _ERROR.size else 0
    if number > 0:
        raise OSError(number, os.strerror(number))


def _aligned(length: int) -> int:
    return (length + 3) & ~3
