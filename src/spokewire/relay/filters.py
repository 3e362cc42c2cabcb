"""What the kernel lets through to the tap: classic BPF programs. Pure.

Two sockets share the messages of types 1 to 3: one hears those that come from where a member is, the other all the rest. So a flood of strangers
fills a queue of its own, and no member's handshake waits behind it.

A program sees a packet from its IP header on. Extension headers of IPv6 are not followed: WireGuard sends none.
"""

from collections.abc import Collection

from spokewire.relay.places import Endpoint

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand (linux/filter.h). Jumps count the instructions that are left out."""

MAX_INSTRUCTIONS = 4096
"""The kernel's limit (BPF_MAXINSNS): enough for some 3,000 members."""
DROP_ALL: list[Instruction] = [(0x06, 0, 0, 0)]

_LEAF = 16
"""So many members are compared one after the other at the end of each search."""
_KEY_MASK = 0x7FFFFFFF
"""The kernel needs two of its own instructions for an operand with the highest bit."""
_DROP: Instruction = (0x06, 0, 0, 0)
_ACCEPT: Instruction = (0x06, 0, 0, 0xFFFF)
_PACKET_TYPE, _PACKET_HOST, _PACKET_OUTGOING = 0xFFFFF004, 0, 4
"""SKF_AD_OFF + SKF_AD_PKTTYPE of linux/filter.h: the packet's type where its bytes would be; the types are those of linux/if_packet.h."""


def handshakes_of_members(port: int, members: Collection[Endpoint], secret: int) -> list[Instruction]:
    """Messages of types 1 to 3 to our port that come from these endpoints, and hardly any other: see `_hash`."""
    return _program(port, members, secret, (_ACCEPT, _DROP))


def handshakes_of_strangers(port: int, members: Collection[Endpoint], secret: int) -> list[Instruction]:
    """Those that the other program leaves, with the same arguments."""
    return _program(port, members, secret, (_DROP, _ACCEPT))


def all_handshakes(port: int) -> list[Instruction]:
    """Messages of types 1 to 3 to our port, from wherever they come."""
    return _program(port, (), 1, (_ACCEPT, _ACCEPT))


def _program(
    port: int, members: Collection[Endpoint], secret: int, answers: tuple[Instruction, Instruction]
) -> list[Instruction]:
    keys = {size: sorted({_hash(m, secret) for m in members if len(m.address) == size}) for size in (4, 16)}
    v4 = [*_udp_v4(port), *_hash_v4(secret), *_search(keys[4], answers)]
    v6 = [*_udp_v6(port), *_hash_v6(secret), *_search(keys[16], answers)]
    return [
        (0x30, 0, 0, 0),  # ldb [0]
        (0x54, 0, 0, 0xF0),  # and #0xf0: the IP version
        (0x15, 1, 0, 0x40),  # jeq #0x40: IPv4
        (0x05, 0, 0, len(v4)),  # ja
        *v4,
        *_require(0x15, 0x60),  # jeq #0x60: IPv6
        *v6,
    ]


def _udp_v4(port: int) -> list[Instruction]:
    return [
        (0x30, 0, 0, 9),  # ldb [9]: protocol
        *_require(0x15, 17),
        (0x28, 0, 0, 6),  # ldh [6]: fragment offset
        (0x45, 0, 1, 0x1FFF),  # jset: a later fragment
        _DROP,
        (0xB1, 0, 0, 0),  # ldxb 4*([0]&0xf)
        (0x48, 0, 0, 2),  # ldh [x + 2]: destination port
        *_require(0x15, port),
        (0x50, 0, 0, 8),  # ldb [x + 8]: message type
        *_require(0x35, 1),
        (0x25, 0, 1, 3),  # jgt #3
        _DROP,
    ]


def _udp_v6(port: int) -> list[Instruction]:
    return [
        (0x30, 0, 0, 6),  # ldb [6]: next header
        *_require(0x15, 17),
        (0x28, 0, 0, 42),  # ldh [42]: destination port
        *_require(0x15, port),
        (0x30, 0, 0, 48),  # ldb [48]: message type
        *_require(0x35, 1),
        (0x25, 0, 1, 3),  # jgt #3
        _DROP,
    ]


def _require(code: int, operand: int) -> list[Instruction]:
    return [(code, 1, 0, operand), _DROP]


def _hash(endpoint: Endpoint, secret: int) -> int:
    """31 bits for an endpoint; without the secret nobody can tell which other endpoints have the same, and the switch compares whole ones anyway."""
    value = 0
    for at in range(0, len(endpoint.address), 4):
        value = (value + int.from_bytes(endpoint.address[at : at + 4], "big")) * secret & 0xFFFFFFFF
    return value + endpoint.port & _KEY_MASK


def _hash_v4(secret: int) -> list[Instruction]:
    return [
        (0x48, 0, 0, 0),  # ldh [x + 0]: source port
        (0x02, 0, 0, 0),  # st M[0]
        (0x20, 0, 0, 12),  # ld [12]: source address
        (0x24, 0, 0, secret),  # mul
        (0x61, 0, 0, 0),  # ldx M[0]
        (0x0C, 0, 0, 0),  # add x
        (0x54, 0, 0, _KEY_MASK),  # and
    ]


def _hash_v6(secret: int) -> list[Instruction]:
    words: list[Instruction] = []
    for at in (12, 16, 20):
        words += [
            (0x07, 0, 0, 0),  # tax
            (0x20, 0, 0, at),  # ld: the next word of the source address
            (0x0C, 0, 0, 0),  # add x
            (0x24, 0, 0, secret),  # mul
        ]
    return [
        (0x20, 0, 0, 8),  # ld [8]: the first word
        (0x24, 0, 0, secret),
        *words,
        (0x07, 0, 0, 0),  # tax
        (0x28, 0, 0, 40),  # ldh [40]: source port
        (0x0C, 0, 0, 0),  # add x
        (0x54, 0, 0, _KEY_MASK),  # and
    ]


def _search(keys: list[int], answers: tuple[Instruction, Instruction]) -> list[Instruction]:
    """Binary search for the accumulator: `answers` if it is among the sorted keys, and if not."""
    found, missing = answers
    if len(keys) <= _LEAF:
        return [*((0x15, len(keys) - at, 0, key) for at, key in enumerate(keys)), missing, found]
    middle = len(keys) // 2
    left, right = _search(keys[:middle], answers), _search(keys[middle:], answers)
    return [(0x35, 0, 1, keys[middle]), (0x05, 0, 0, len(left)), *left, *right]  # jge to the right half


def handshakes_sent() -> list[Instruction]:
    """What this machine sends of WireGuard's types 1 and 2, followed by three zero bytes, from whichever port: WireGuard shakes hands as soon as it has a port, so before that is known."""
    words = [(0x15, 1, 0, 0x01000000), (0x15, 0, 1, 0x02000000), _ACCEPT, _DROP]
    return [(0x28, 0, 0, _PACKET_TYPE), *_require(0x15, _PACKET_OUTGOING), *_first_word([], words)]  # ldh #pkttype


def probes_to(port: int, magic: bytes) -> list[Instruction]:
    """What comes to this machine, to a port of it, and begins with `magic`, of four bytes."""
    to_port = [(0x48, 0, 0, 2), *_require(0x15, port)]  # ldh [x + 2]: destination port
    heard = _first_word(to_port, [*_require(0x15, int.from_bytes(magic, "big")), _ACCEPT])
    return [(0x28, 0, 0, _PACKET_TYPE), *_require(0x15, _PACKET_HOST), *heard]


def _first_word(check: list[Instruction], then: list[Instruction]) -> list[Instruction]:
    """With X at the UDP head, `check` it; then load the first four bytes of the datagram, and go on with `then`."""
    v4 = [
        (0x30, 0, 0, 9),  # ldb [9]: protocol
        *_require(0x15, 17),
        (0x28, 0, 0, 6),  # ldh [6]: fragment offset
        (0x45, 0, 1, 0x1FFF),  # jset: a later fragment
        _DROP,
        (0xB1, 0, 0, 0),  # ldxb 4*([0]&0xf)
        *check,
        (0x40, 0, 0, 8),  # ld [x + 8]
        *then,
    ]
    v6 = [
        (0x30, 0, 0, 6),  # ldb [6]: next header
        *_require(0x15, 17),
        (0x01, 0, 0, 40),  # ldx #40
        *check,
        (0x40, 0, 0, 8),  # ld [x + 8]
        *then,
    ]
    return [
        (0x30, 0, 0, 0),  # ldb [0]
        (0x54, 0, 0, 0xF0),  # and #0xf0: the IP version
        (0x15, 1, 0, 0x40),  # jeq #0x40: IPv4
        (0x05, 0, 0, len(v4)),  # ja
        *v4,
        *_require(0x15, 0x60),  # jeq #0x60: IPv6
        *v6,
    ]
