"""The kernel's filters, run by an interpreter of classic BPF that knows no more than linux/filter.h says."""

import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from spokewire.relay.filters import (
    MAX_INSTRUCTIONS,
    Instruction,
    all_handshakes,
    handshakes_of_members,
    handshakes_of_strangers,
    handshakes_sent,
    probes_to,
)
from spokewire.relay.messages import announce
from spokewire.relay.places import Endpoint
from tests.unit.relay.test_messages import initiation, response

PORT = 51820
SECRET = 0x9E3779B1
MEMBER_V4 = Endpoint(bytes([203, 0, 113, 11]), 40001)
MEMBER_V6 = Endpoint(bytes.fromhex("20010db8000000000000000000000011"), 40002)
MEMBERS = [MEMBER_V4, MEMBER_V6]
INCOMING, OUTGOING = 0, 4
PACKET_TYPE = 2**32 - 0x1000 + 4
"""SKF_AD_OFF + SKF_AD_PKTTYPE (linux/filter.h)."""


def packet(
    source: Endpoint, payload: bytes = b"\x01\0\0\0" + bytes(144), *, port: int = PORT, options: int = 0
) -> bytes:
    """An IP packet with UDP inside (RFC 791, 8200, 768)."""
    udp = struct.pack("!HHHH", source.port, port, 8 + len(payload), 0) + payload
    if len(source.address) == 16:
        return struct.pack("!IHBB", 6 << 28, len(udp), 17, 64) + source.address + bytes(16) + udp
    head = struct.pack("!BBHHHBBH", 0x45 + options, 0, 20 + 4 * options + len(udp), 1, 0, 64, 17, 0)
    return head + source.address + bytes(4) + bytes(4 * options) + udp


def run(program: Sequence[Instruction], data: bytes, kind: int = INCOMING) -> bool:
    """Whether the program accepts a packet of a kind (linux/if_packet.h), which it may ask for."""
    at, a, x, memory = 0, 0, 0, [0] * 16

    def load(offset: int, size: int) -> int:
        return kind if offset == PACKET_TYPE else int.from_bytes(data[offset : offset + size], "big")

    steps: dict[int, Callable[[int], int]] = {
        0x20: lambda k: load(k, 4),
        0x28: lambda k: load(k, 2),
        0x30: lambda k: load(k, 1),
        0x40: lambda k: load(x + k, 4),
        0x48: lambda k: load(x + k, 2),
        0x50: lambda k: load(x + k, 1),
        0x54: lambda k: a & k,
        0x24: lambda k: a * k & 0xFFFFFFFF,
        0x0C: lambda k: a + x + k & 0xFFFFFFFF,
    }
    tests: dict[int, Callable[[int], bool]] = {
        0x15: lambda k: a == k,
        0x25: lambda k: a > k,
        0x35: lambda k: a >= k,
        0x45: lambda k: bool(a & k),
    }
    while True:
        code, if_true, if_false, k = program[at]
        assert 0 <= if_true < 256
        assert 0 <= if_false < 256
        at += 1
        match code:
            case 0x06:
                return k > 0
            case 0x05:
                at += k
            case 0x02:
                memory[k] = a
            case 0x61:
                x = memory[k]
            case 0x07 | 0x01:
                x = a if code == 0x07 else k
            case 0xB1:
                x = 4 * (data[k] & 15)
            case _ if code in tests:
                at += if_true if tests[code](k) else if_false
            case _:
                a = steps[code](k)


def ears(data: bytes, members: Sequence[Endpoint] = MEMBERS) -> list[str]:
    """Which of the two sockets hear a packet."""
    programs = {
        "members": handshakes_of_members(PORT, members, SECRET),
        "strangers": handshakes_of_strangers(PORT, members, SECRET),
    }
    return [name for name, program in programs.items() if run(program, data)]


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_a_members_handshake_is_heard_as_a_members(member: Endpoint, kind: int) -> None:
    assert ears(packet(member, bytes([kind]) + bytes(91))) == ["members"]


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("message", [initiation(), response()], ids=["initiation", "response"])
def test_a_members_announcement_is_heard_as_a_members_and_a_strangers_as_a_strangers(
    member: Endpoint, message: bytes
) -> None:
    assert ears(packet(member, announce(message))) == ["members"]
    assert ears(packet(replace(member, port=member.port + 1), announce(message))) == ["strangers"]


@pytest.mark.parametrize(
    "stranger",
    [
        Endpoint(MEMBER_V4.address, MEMBER_V4.port + 1),
        Endpoint(bytes([203, 0, 113, 12]), MEMBER_V4.port),
        Endpoint(MEMBER_V6.address, MEMBER_V6.port + 1),
        Endpoint(MEMBER_V6.address[:-1] + b"\x12", MEMBER_V6.port),
        Endpoint(b"\x21" + MEMBER_V6.address[1:], MEMBER_V6.port),
    ],
)
def test_anybody_elses_handshake_is_heard_as_a_strangers(stranger: Endpoint) -> None:
    assert ears(packet(stranger)) == ["strangers"]
    assert run(all_handshakes(PORT), packet(stranger))


@pytest.mark.parametrize(
    "data",
    [
        packet(MEMBER_V4, b"\x04" + bytes(40)),
        packet(MEMBER_V6, b"\x04" + bytes(40)),
        packet(MEMBER_V4, b"\x00" + bytes(40)),
        packet(MEMBER_V4, port=PORT + 1),
        packet(MEMBER_V6, port=PORT + 1),
        packet(MEMBER_V4)[:9] + b"\x06" + packet(MEMBER_V4)[10:],
        packet(MEMBER_V4)[:6] + b"\x00\x01" + packet(MEMBER_V4)[8:],
        b"\x55" + packet(MEMBER_V4)[1:],
    ],
)
def test_what_is_no_handshake_for_our_port_is_not_heard_at_all(data: bytes) -> None:
    assert ears(data) == []
    assert not run(all_handshakes(PORT), data)


def test_ip_options_do_not_hide_a_member() -> None:
    assert ears(packet(MEMBER_V4, options=3)) == ["members"]


@pytest.mark.parametrize("count", [0, 1, 16, 17, 33, 1000, 3000])
def test_every_one_of_many_members_is_known_and_the_program_fits_into_the_kernel(count: int) -> None:
    dice = random.Random(count)
    members = [Endpoint(dice.randbytes(dice.choice([4, 16])), dice.randrange(1, 65536)) for _ in range(count)]
    program = handshakes_of_members(PORT, members, SECRET)
    assert len(program) <= MAX_INSTRUCTIONS
    assert all(run(program, packet(member)) for member in members)
    strangers = [Endpoint(dice.randbytes(4), dice.randrange(1, 65536)) for _ in range(200)]
    assert not any(run(program, packet(stranger)) for stranger in strangers if stranger not in members)


OURS_V4, OURS_V6 = Endpoint(bytes([192, 168, 1, 2]), PORT), replace(MEMBER_V6, port=PORT)
MAGIC = b"SPWD"


@pytest.mark.parametrize("source", [OURS_V4, OURS_V6], ids=["v4", "v6"])
@pytest.mark.parametrize("message", [initiation(), response()], ids=["initiation", "response"])
def test_a_handshake_that_leaves_this_machine_is_heard_and_one_that_comes_is_not(
    source: Endpoint, message: bytes
) -> None:
    assert run(handshakes_sent(), packet(source, message, port=4000), OUTGOING)
    assert not run(handshakes_sent(), packet(source, message, port=4000), INCOMING)


@pytest.mark.parametrize(
    "data",
    [
        packet(OURS_V4, announce(initiation())),
        packet(OURS_V6, announce(response())),
        packet(OURS_V4, MAGIC + bytes(32)),
        packet(OURS_V4, b"\x03\0\0\0" + bytes(60)),
        packet(OURS_V4, b"\x04\0\0\0" + bytes(40)),
        packet(OURS_V6, b"\x04\0\0\0" + bytes(40)),
        packet(OURS_V4, initiation())[:9] + b"\x06" + packet(OURS_V4, initiation())[10:],
        packet(OURS_V6, initiation())[:6] + b"\x06" + packet(OURS_V6, initiation())[7:],
        packet(OURS_V4, initiation())[:6] + b"\x00\x01" + packet(OURS_V4, initiation())[8:],
        b"\x55" + packet(OURS_V4, initiation())[1:],
    ],
    ids=["announcement", "announcement v6", "probe", "cookie", "data", "data v6", "tcp", "tcp v6", "fragment", "ip 5"],
)
def test_our_own_announcements_and_all_else_that_leaves_is_not_heard(data: bytes) -> None:
    assert not run(handshakes_sent(), data, OUTGOING)


@pytest.mark.parametrize("options", [0, 1, 2, 10])
def test_ip_options_do_not_hide_a_handshake_that_leaves_nor_a_probe_that_comes(options: int) -> None:
    assert run(handshakes_sent(), packet(OURS_V4, initiation(), options=options), OUTGOING)
    assert run(probes_to(PORT, MAGIC), packet(MEMBER_V4, MAGIC + bytes(32), options=options), INCOMING)


@pytest.mark.parametrize("source", MEMBERS, ids=["v4", "v6"])
def test_a_probe_is_heard_if_it_comes_to_our_port_and_begins_as_one(source: Endpoint) -> None:
    program, probe = probes_to(PORT, MAGIC), MAGIC + bytes(32)
    assert run(program, packet(source, probe), INCOMING)
    assert not run(program, packet(source, probe), OUTGOING)
    assert not run(program, packet(source, b"SPWE" + bytes(32)), INCOMING)
    assert not run(program, packet(source, probe, port=PORT + 1), INCOMING)
    assert not run(program, packet(source, initiation()), INCOMING)


@pytest.mark.parametrize("kind", [1, 2, 3, 6, 7])
def test_a_probe_for_everybody_or_for_somebody_else_is_not_heard(kind: int) -> None:
    """Broadcast, multicast, another host's, and what this machine sends to itself (linux/if_packet.h)."""
    assert not run(probes_to(PORT, MAGIC), packet(MEMBER_V4, MAGIC + bytes(32)), kind)


@pytest.mark.parametrize(
    "data",
    [
        packet(MEMBER_V4, MAGIC + bytes(32))[:9] + b"\x06" + packet(MEMBER_V4, MAGIC + bytes(32))[10:],
        packet(MEMBER_V6, MAGIC + bytes(32))[:6] + b"\x06" + packet(MEMBER_V6, MAGIC + bytes(32))[7:],
        packet(MEMBER_V4, MAGIC + bytes(32))[:6] + b"\x00\x01" + packet(MEMBER_V4, MAGIC + bytes(32))[8:],
        b"\x55" + packet(MEMBER_V4, MAGIC + bytes(32))[1:],
    ],
    ids=["tcp", "tcp v6", "fragment", "ip 5"],
)
def test_what_is_no_first_piece_of_a_datagram_is_no_probe(data: bytes) -> None:
    assert not run(probes_to(PORT, MAGIC), data, INCOMING)
