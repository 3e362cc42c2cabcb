"""Ethernet frames that carry WireGuard data messages, as bytes. Pure."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

ETHERNET_BYTES = 14
IP_BYTES = 20
UDP_BYTES = 8
DATA_HEAD_BYTES = 16
_DATA_TYPE = 4
_UDP = 17
_DONT_FRAGMENT = 0x4000
_TTL = 64


@dataclass(frozen=True)
class Way:
    """Where one frame comes from and goes to: IPv4 address and UDP port of either end, and the receiver index of the message it carries."""

    source: tuple[IPv4Address, int]
    target: tuple[IPv4Address, int]
    index: int


def build_head(macs: tuple[bytes, bytes], way: Way, message_bytes: int) -> bytes:
    """The first 58 bytes of a frame: Ethernet (`macs`: target, source), IPv4, UDP, and the head of a type 4 message.

    Checksums are right for a message whose remaining bytes are zero: what rewrites addresses has to update them.
    """
    udp_bytes = UDP_BYTES + message_bytes
    addresses = way.source[0].packed + way.target[0].packed
    ip = struct.pack("!BBHHHBBH", 0x45, 0, IP_BYTES + udp_bytes, 0, _DONT_FRAGMENT, _TTL, _UDP, 0) + addresses
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    message = struct.pack("<B3xIQ", _DATA_TYPE, way.index, 0)
    ports = struct.pack("!HHH", way.source[1], way.target[1], udp_bytes)
    pseudo = addresses + struct.pack("!BBH", 0, _UDP, udp_bytes)
    udp = ports + struct.pack("!H", checksum(pseudo + ports + b"\0\0" + message) or 0xFFFF)
    return macs[0] + macs[1] + b"\x08\x00" + ip + udp + message


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
