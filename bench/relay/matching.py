"""What a handshake costs the switch: finding its target by mac1 among many nodes."""

import hashlib
import os
import struct
import time

from bench.relay.rounds import Figures, table
from spokewire.relay.messages import MAC_BYTES, derive_mac1_key
from spokewire.relay.places import Endpoint
from spokewire.relay.switch import Forward, Refusal, Switch

SIZES = {100: 0.5, 1000: 2.0}
"""Nodes, and the most milliseconds that a handshake may take."""
MESSAGES = 200
_COVERED_BYTES = 116
_SPACING_S = 10.0
"""Between messages by the switch's own clock: none of its limits is reached."""


def measure_matching(count: int) -> str:
    """Milliseconds for one initiation, median of each round's messages; the table."""
    rows: list[tuple[str, ...]] = [
        ("ms for one initiation", "a pair that spoke last", "the first of a pair", "for nobody that is known", "target")
    ]
    for nodes, most in SIZES.items():
        figures = Figures()
        for _ in range(count):
            _measure(nodes, figures)
        rows.append((f"{nodes:,} nodes", *(figures.show(case, 3) for case in figures.cases), f"{most:g}"))
    return table(*rows)


def _measure(nodes: int, figures: Figures) -> None:
    keys = {number: os.urandom(32) for number in range(11, 11 + nodes)}
    places = {number: Endpoint(struct.pack("!I", 0xCB007100 + number), 51820) for number in keys}
    last = 10 + nodes
    for case, senders, target in (
        ("recent", [11], keys[12]),
        ("first", list(range(11, 10 + nodes)), keys[last]),
        ("nobody", [11], os.urandom(32)),
    ):
        switch = Switch(os.urandom(32))
        switch.set_nodes(keys)
        switch.set_endpoints(places)
        times = []
        for number in range(min(MESSAGES, MESSAGES if len(senders) == 1 else len(senders))):
            packet = _initiation(target)
            now = number * _SPACING_S
            begun = time.perf_counter()
            decision = switch.handle(packet, places[senders[number % len(senders)]], now)
            times.append((time.perf_counter() - begun) * 1000)
            expected = Refusal.NO_TARGET if case == "nobody" else Forward
            if decision is not expected and not isinstance(decision, Forward):
                raise SystemExit(f"{case}: {decision}")
            switch.expire(now)
        figures.add(case, sorted(times)[len(times) // 2])


def _initiation(target: bytes) -> bytes:
    covered = b"\x01\0\0\0" + os.urandom(_COVERED_BYTES - 4)
    mac1 = hashlib.blake2s(covered, key=derive_mac1_key(target), digest_size=MAC_BYTES).digest()
    return covered + mac1 + bytes(MAC_BYTES)
