"""WireGuard's messages as a relay sees them: the few fields that are not encrypted (WireGuard paper sections 5.4.2 to 5.4.7).

Every message begins with its type (1 byte) and three zero bytes. Integers are little endian. Lengths are exact.

An *announcement* is ours: the copy of a handshake message for the hubs that the message itself does not pass, with the first of the zero bytes set to 1.
A WireGuard that gets one drops it, because these bytes must be zero.
"""

import hashlib
import struct
from dataclasses import dataclass
from typing import NewType

Index = NewType("Index", int)
"""A sender or receiver index: 32 bits, chosen at random by the machine whose session it names."""

INITIATION_BYTES = 148
RESPONSE_BYTES = 92
COOKIE_REPLY_BYTES = 64
DATA_HEAD_BYTES = 16
TAG_BYTES = 16
"""The Poly1305 tag that ends every sealed field."""
MAC_BYTES = 16
_MACS_BYTES = 2 * MAC_BYTES
"""mac1 and mac2 end an initiation and a response."""
_PLAIN, _ANNOUNCED = b"\0\0\0", b"\1\0\0"
"""What follows the type of a message, and of an announcement."""


@dataclass(frozen=True)
class Initiation:
    """Type 1. `sender` names the session at its sender; `mac1` was keyed with the public key of whom it is for, over `covered`."""

    sender: Index
    covered: bytes
    mac1: bytes


@dataclass(frozen=True)
class Response:
    """Type 2. `receiver` is the initiation's sender index; `sender` names the session at the responder."""

    sender: Index
    receiver: Index
    covered: bytes
    mac1: bytes


@dataclass(frozen=True)
class CookieReply:
    """Type 3: a responder under load asks for proof of address. It carries no mac1."""

    receiver: Index


@dataclass(frozen=True)
class Data:
    """Type 4: an encrypted packet of a session."""

    receiver: Index


Message = Initiation | Response | CookieReply | Data


def parse_message(packet: bytes) -> Message | None:
    """Parse a UDP payload; None if it is no message of WireGuard's."""
    if len(packet) < DATA_HEAD_BYTES or packet[1:4] != _PLAIN:
        return None
    match packet[0], len(packet):
        case 1, 148:
            return Initiation(_index(packet, 4), packet[:-_MACS_BYTES], packet[-_MACS_BYTES:-MAC_BYTES])
        case 2, 92:
            return Response(
                _index(packet, 4), _index(packet, 8), packet[:-_MACS_BYTES], packet[-_MACS_BYTES:-MAC_BYTES]
            )
        case 3, 64:
            return CookieReply(_index(packet, 4))
        case 4, size if size >= DATA_HEAD_BYTES + TAG_BYTES and size % 16 == 0:
            return Data(_index(packet, 4))
        case _:
            return None


def announce(message: bytes) -> bytes:
    """The announcement of an initiation or a response of WireGuard's own; ValueError for anything else."""
    announcement = message[:1] + _ANNOUNCED + message[4:]
    if restore(announcement) != message:
        raise ValueError("Only initiations and responses are announced.")
    return announcement


def restore(announcement: bytes) -> bytes | None:
    """The message that is announced, as its mac1 covers it; None if this is no announcement."""
    message = announcement[:1] + _PLAIN + announcement[4:]
    is_announced = announcement[1:4] == _ANNOUNCED and isinstance(parse_message(message), Initiation | Response)
    return message if is_announced else None


def derive_mac1_key(public_key: bytes) -> bytes:
    """The key of mac1 for messages to the owner of a public key: Hash("mac1----" and the key) (paper section 5.4.4)."""
    return hashlib.blake2s(b"mac1----" + public_key).digest()


def is_for(message: Initiation | Response, mac1_key: bytes) -> bool:
    """Whether a handshake message is for the owner of a mac1 key. This proves nothing about its sender: public keys are public."""
    return hashlib.blake2s(message.covered, key=mac1_key, digest_size=MAC_BYTES).digest() == message.mac1


def _index(packet: bytes, offset: int) -> Index:
    return Index(struct.unpack_from("<I", packet, offset)[0])
