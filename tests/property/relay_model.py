"""What a sealed relay must do, from the WireGuard paper and docs/relay.md alone: an oracle that shares no line with the relay's own code.

Section numbers are those of the paper "WireGuard: Next Generation Kernel Network Tunnel" (Donenfeld).
"""

import hashlib
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

Key = bytes
Place = tuple[bytes, int]
"""An IP address, packed, and a port."""

LIFETIME_S = 240.0
RATE, BURST = 200.0, 2000.0
PER_PAIR, SPARE = 6, 64


class Kind(Enum):
    """The first byte of a message, and its length (5.4.2, 5.4.3, 5.4.7)."""

    INITIATION = (1, 148)
    RESPONSE = (2, 92)
    COOKIE_REPLY = (3, 64)


@dataclass(frozen=True)
class Said:
    """What a sender means to say, and the bytes of it."""

    kind: Kind
    packet: bytes
    sender: int = 0
    receiver: int = 0
    to: Key | None = None
    """Whose public key made mac1 (5.4.4); None: nobody's."""
    is_sound: bool = True
    """Whether it is a message of WireGuard's at all, or the announcement of one."""
    is_announcement: bool = False


def initiation(sender: int, to: Key, filling: bytes) -> Said:
    """5.4.2: type, 3 zero bytes, sender, ephemeral 32, static 32 + 16, timestamp 12 + 16, mac1 16, mac2 16."""
    covered = struct.pack("<B3xI", 1, sender) + _fill(filling, 32 + 48 + 28)
    return Said(Kind.INITIATION, covered + _mac1(covered, to) + bytes(16), sender=sender, to=to)


def response(sender: int, receiver: int, to: Key, filling: bytes) -> Said:
    """5.4.3: type, 3 zero bytes, sender, receiver, ephemeral 32, empty 0 + 16, mac1 16, mac2 16."""
    covered = struct.pack("<B3xII", 2, sender, receiver) + _fill(filling, 32 + 16)
    return Said(Kind.RESPONSE, covered + _mac1(covered, to) + bytes(16), sender=sender, receiver=receiver, to=to)


def cookie_reply(receiver: int, filling: bytes) -> Said:
    """5.4.7: type, 3 zero bytes, receiver, nonce 24, cookie 16 + 16."""
    return Said(Kind.COOKIE_REPLY, struct.pack("<B3xI", 3, receiver) + _fill(filling, 24 + 32), receiver=receiver)


def announce(said: Said) -> Said:
    """docs/relay.md: the copy of an initiation or a response for other hubs, whose second byte is 1. There is no announcement of a cookie reply."""
    packet = said.packet[:1] + b"\1" + said.packet[2:]
    return replace(said, packet=packet, is_announcement=True, is_sound=said.kind is not Kind.COOKIE_REPLY)


def garble(said: Said, how: str, at: int) -> Said:
    """Spoil a message in one way; `at` chooses the place."""
    packet = bytearray(said.packet)
    match how:
        case "cut":
            return replace(said, packet=bytes(packet[: at % len(packet)]), is_sound=False)
        case "longer":
            return replace(said, packet=bytes(packet) + bytes(1 + at % 32), is_sound=False)
        case "reserved":
            packet[1 + at % 3] = 2 + at % 254
            return replace(said, packet=bytes(packet), is_sound=False)
        case "type":
            others = [number for number in range(256) if number != said.kind.value[0]]
            packet[0] = others[at % len(others)]
            return replace(said, packet=bytes(packet), is_sound=False)
        case _:
            packet[-32 + at % 16] ^= 1 + at % 255
            return replace(said, packet=bytes(packet), to=None)


def is_handshake(packet: bytes) -> bool:
    """Whether bytes are a message of types 1 to 3 at all, or an announcement."""
    known = {kind.value for kind in Kind}
    return (packet[:1] + packet[2:4] + bytes([len(packet)])) in {bytes([kind, 0, 0, size]) for kind, size in known}


def _mac1(covered: bytes, to: Key) -> bytes:
    """5.4.4: Mac(Hash(Label-Mac1 || public key of the receiver), all bytes before); 5.4: Mac is keyed BLAKE2s with 16 bytes."""
    key = hashlib.blake2s(b"mac1----" + to).digest()
    return hashlib.blake2s(covered, digest_size=16, key=key).digest()


def _fill(filling: bytes, size: int) -> bytes:
    return hashlib.shake_128(filling).digest(size)


@dataclass(frozen=True)
class Passed:
    """The message goes on to a place; the sender's index may have become a label."""

    to: Place
    label: tuple[tuple[int, int], int] | None


@dataclass(frozen=True)
class Noted:
    """The sender's index has become a label, and nothing goes on."""

    label: tuple[tuple[int, int], int]


FOR_HUB = "for the hub"
Outcome = Passed | Noted | str
"""Without `Passed` and `Noted`: FOR_HUB, or the reason of a refusal."""


@dataclass
class Model:
    """Who is a member, who is where, and which index leads to whom."""

    hub_key: Key
    keys: dict[int, Key] = field(default_factory=dict)
    places: dict[int, Place] = field(default_factory=dict)
    labels: dict[tuple[int, int], tuple[int, float]] = field(default_factory=dict)
    """(who sends, receiver index) -> (who claimed that index towards them, until when)."""
    allowance: dict[int, tuple[float, float]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    passed: int = 0
    noted: int = 0

    def change_members(self, keys: Mapping[int, Key]) -> set[tuple[int, int]]:
        """Exactly these are members now; return the labels that this ends."""
        gone = {number for number in self.keys if keys.get(number) != self.keys[number]}
        over = {label for label, (owner, _) in self.labels.items() if label[0] in gone or owner in gone}
        for label in over:
            del self.labels[label]
        for number in gone:
            self.places.pop(number, None)
            self.allowance.pop(number, None)
        self.keys = dict(keys)
        return over

    def report(self, seen: Mapping[int, Place]) -> None:
        """WireGuard says where members are. Whoever is at a place and still is, keeps it; else the first who is said to be there has it."""
        claims = {number: place for number, place in seen.items() if number in self.keys}
        first = {place: number for number, place in reversed(claims.items())}
        winners = first | {place: number for number, place in self.places.items() if claims.get(number) == place}
        arrived = {number: place for place, number in winners.items()}
        stayed = {n: place for n, place in self.places.items() if n not in arrived and place not in winners}
        self.places = stayed | arrived

    def live_labels(self, now: float) -> dict[tuple[int, int], int]:
        """The labels that hold now, and whom each leads to."""
        return {label: owner for label, (owner, until) in self.labels.items() if until > now}

    def who_is_at(self, place: Place) -> int | None:
        """The member at a place."""
        return next((number for number, where in self.places.items() if where == place), None)

    def hear(self, said: Said, source: Place, now: float) -> Outcome:
        """What the relay must do with a message."""
        outcome = self._judge(said, source, now)
        if isinstance(outcome, Passed):
            self.passed += 1
        elif isinstance(outcome, Noted):
            self.noted += 1
        elif outcome != FOR_HUB:
            self.refused[outcome] += 1
        return outcome

    def _judge(self, said: Said, source: Place, now: float) -> Outcome:
        if not said.is_sound:
            return "malformed"
        if said.to == self.hub_key and not said.is_announcement:
            return FOR_HUB
        member = self.who_is_at(source)
        if member is None:
            return "unknown-source"
        return self._switch(said, member, now) if self._allow(member, now) else "rate"

    def _switch(self, said: Said, member: int, now: float) -> Outcome:
        asked = next((number for number, key in self.keys.items() if key == said.to), None)
        if said.is_announcement or said.kind is Kind.INITIATION:
            return self._claim(said, member, asked, now)
        target = self.live_labels(now).get((member, said.receiver))
        if said.kind is Kind.RESPONSE:
            return self._claim(said, member, target if target == asked else None, now)
        if target is None or target not in self.places:
            return "no-target"
        return Passed(self.places[target], None) if self._same_family(member, target) else "mixed-family"

    def _claim(self, said: Said, member: int, target: int | None, now: float) -> Outcome:
        """Who is greeted must be here for a message to pass, but not for an announcement."""
        if target is None or target == member or not (said.is_announcement or target in self.places):
            return "no-target"
        if target in self.places and not self._same_family(member, target):
            return "mixed-family"
        label, live = (target, said.sender), self.live_labels(now)
        if live.get(label, member) != member:
            return "label-taken"
        if label not in live and list(live.values()).count(member) >= PER_PAIR * len(self.keys) + SPARE:
            return "label-limit"
        self.labels[label] = (member, now + LIFETIME_S)
        return Noted((label, member)) if said.is_announcement else Passed(self.places[target], (label, member))

    def _allow(self, member: int, now: float) -> bool:
        left, at = self.allowance.get(member, (BURST, now))
        left = min(BURST, left + (now - at) * RATE)
        self.allowance[member] = (left - 1 if left >= 1 else left, now)
        return left >= 1

    def _same_family(self, one: int, other: int) -> bool:
        return len(self.places[one][0]) == len(self.places[other][0])
