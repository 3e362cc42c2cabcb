"""Hostile senders in the lab: a stranger who floods the hub with as much as one core can send, and members who forge messages.

The messages are laid out here from the WireGuard paper (sections 5.4.2 to 5.4.7); nothing of ours is used.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.lab.world import Network, wait_until

HUB = "203.0.113.1"
PORT = 51820

MESSAGES = """
import hashlib, os, struct
def mac1(covered, key):
    return hashlib.blake2s(covered, key=hashlib.blake2s(b"mac1----" + key).digest(), digest_size=16).digest()
def initiation(sender, key):
    covered = struct.pack("<B3xI", 1, sender) + os.urandom(32 + 48 + 28)
    return covered + mac1(covered, key) + bytes(16)
def response(sender, receiver, key):
    covered = struct.pack("<B3xII", 2, sender, receiver) + os.urandom(32 + 16)
    return covered + mac1(covered, key) + bytes(16)
def data(receiver, counter=0):
    return struct.pack("<B3xIQ", 4, receiver, counter) + os.urandom(48)
"""
FLOODER = (
    MESSAGES
    + """
import base64, ctypes, socket, sys, time
kind, address, port, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
keys = [base64.b64decode(key) for key in sys.argv[5:]]
BATCH, VARIETY = 512, 4096
def guess():
    return int.from_bytes(os.urandom(4), "little")
make = {
    "initiations": lambda turn: initiation(guess(), keys[turn % len(keys)]),
    "data": lambda turn: data(guess()),
    "garbage": lambda turn: bytes([turn % 6]) + os.urandom(turn % 200),
}[kind]
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("length", ctypes.c_size_t)]
class Message(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32), ("vectors", ctypes.POINTER(Vector)),
                ("count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t), ("flags", ctypes.c_int)]
class Header(ctypes.Structure):
    _fields_ = [("message", Message), ("sent", ctypes.c_uint)]
vectors = [Vector(message, len(message)) for message in (make(turn) for turn in range(VARIETY))]
batches = [(Header * BATCH)(*[Header(Message(vectors=ctypes.pointer(vector), count=1)) for vector in vectors[at : at + BATCH]])
           for at in range(0, VARIETY, BATCH)]
sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
lines = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(64)]
for line in lines:
    line.connect((address, port))
try:  # Before all others on this machine; where processes are grouped by session the group has to say so.
    os.nice(-15)
    with open("/proc/self/autogroup", "w") as group:
        group.write("-15")
except OSError:
    pass
print("flooding", flush=True)
begun, own, sent, turn = time.monotonic(), time.process_time(), 0, 0
while time.monotonic() - begun < seconds:
    done = sendmmsg(lines[turn % len(lines)].fileno(), batches[turn % len(batches)], BATCH, 0)
    if done < 0:
        raise OSError(ctypes.get_errno(), "the flood was stopped")
    sent += done
    turn += 1
took, used = time.monotonic() - begun, time.process_time() - own
print("sent", sent, took, used / took, flush=True)
"""
)
COUNTER = """
import socket, sys
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
line.bind(("0.0.0.0", int(sys.argv[1])))
print("counting", flush=True)
line.settimeout(8)
count = 0
try:
    while line.recv(2048) != b"end":
        count += 1
except TimeoutError:
    pass
print("counted", count, flush=True)
"""
SENDER = """
import socket, sys, time
to, rate, count = (sys.argv[1], int(sys.argv[2])), float(sys.argv[3]), int(sys.argv[4])
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
begun = time.monotonic()
for turn in range(count):
    time.sleep(max(0, begun + turn / rate - time.monotonic()))
    line.sendto(bytes(1000), to)
for _ in range(5):
    time.sleep(0.1)
    line.sendto(b"end", to)
"""
FORGER = (
    MESSAGES
    + """
import base64, socket, sys
source_port, key, sender = int(sys.argv[1]), base64.b64decode(sys.argv[2]), int(sys.argv[3])
line = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
message = initiation(sender, key)
if sys.argv[5:] == ["announced"]:
    message = message[:1] + b"\\x01" + message[2:]
line.sendto(struct.pack("!HHHH", source_port, 51820, 8 + len(message), 0) + message, (sys.argv[4], 0))
"""
)
"""It sends a handshake, or the announcement of one, from the port of the machine's own WireGuard, which is why it takes a raw socket."""


@dataclass(frozen=True)
class Sent:
    """What a flood was."""

    messages: int
    seconds: float
    core: float
    """The share of one core that the sender had."""


class Flood:
    """A flood that runs for some seconds."""

    def __init__(self, log: Path) -> None:
        self._log = log

    @classmethod
    def begin(cls, network: Network, machine: str, kind: str, seconds: float, keys: list[str]) -> "Flood":
        return cls(network.script(machine, FLOODER, kind, HUB, str(PORT), str(seconds), *keys))

    def is_running(self) -> bool:
        return "sent" not in self._log.read_text()

    def wait(self) -> Sent:
        wait_until(lambda: not self.is_running(), 30, "the flood has ended")
        _, count, seconds, core = self._log.read_text().splitlines()[-1].split()
        return Sent(int(count), float(seconds), float(core))


@dataclass(frozen=True)
class Flow:
    """A flow of a fixed rate from node-1 to node-2, and what else passed meanwhile."""

    share: float
    """How much of it arrived."""
    switched: int
    """Data packets that the hub's kernel switched."""
    arrived: int
    """Packets of any kind that came to the nodes' network cards."""


def send_flow(network: Network, port: int, rate: float, seconds: float) -> Flow:
    """Send 1,000-byte packets at a fixed rate, and count them at the other end."""
    count = int(rate * seconds)
    log = network.script("node-2", COUNTER, str(port))
    switched, arrived = count_switched(network), count_arrived(network)
    network.python("node-1", SENDER, "10.88.0.12", str(port), str(rate), str(count))
    switched, arrived = count_switched(network) - switched, count_arrived(network) - arrived
    wait_until(lambda: "counted" in log.read_text(), 20, "the flow was counted")
    return Flow(int(log.read_text().split()[-1]) / count, switched, arrived)


def count_switched(network: Network) -> int:
    """How many data packets the hub's kernel has switched."""
    text = network.exec("hub-1", "nft", "list", "counter", "inet", "spokewire_relay_demo", "switched").out
    found = re.search(r"packets (\d+)", text)
    assert found is not None, text
    return int(found[1])


def count_arrived(network: Network) -> int:
    """How many packets came to the nodes."""
    path = "/sys/class/net/eth0/statistics/rx_packets"
    return sum(int(network.exec(f"node-{number}", "cat", path).out) for number in (1, 2, 3))


def labels(network: Network) -> dict[tuple[int, int], int]:
    """The kernel's labels: (who sends, receiver index) to whom they lead."""
    text = network.exec("hub-1", "nft", "list", "map", "inet", "spokewire_relay_demo", "label").out
    found = re.findall(r"0x([0-9a-f]{8}) \. 0x([0-9a-f]+) [^:]*: 0x([0-9a-f]{8})", text)
    swapped = [
        (int(source, 16), bytes.fromhex(index.rjust(8, "0")), int(target, 16)) for source, index, target in found
    ]
    return {(source, int.from_bytes(index, "little")): target for source, index, target in swapped}


def relay_counters(network: Network) -> dict[str, float]:
    """What the hub counts: "forwarded", and refusals by reason."""
    text = network.exec("hub-1", "curl", "-sk", "https://127.0.0.1/metrics", limit_s=5).out
    found = re.findall(
        r'^spokewire_relay_handshakes_(?:refused_total\{reason="([a-z-]+)"\}|forwarded_total) (\S+)$',
        text,
        re.MULTILINE,
    )
    return {reason or "forwarded": float(count) for reason, count in found}


def resident_kb(network: Network) -> int:
    """The memory of the hub's daemon."""
    text = network.exec("hub-1", "cat", f"/proc/{network.daemon('hub-1')}/status").out
    return int(text.partition("VmRSS:")[2].split()[0])


def in_world(network: Network, *command: str) -> None:
    """Run a command in the lab's internet, from where its routers are reached."""
    user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    enter = ["nsenter", *user, "--net", "--mount", "--pid", "--target", str(network.first_process()), "--"]
    subprocess.run([*enter, *command], check=True, timeout=20)
