"""Traffic of our own between machines of the lab, written from what a user would run, not from the agent's code."""

import itertools
import struct
import time
from pathlib import Path

from tests.lab.world import Network, wait_until

LISTENER = """
import socket, sys, threading
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listening", flush=True)
def serve(connection):
    while data := connection.recv(4096):
        connection.sendall(data)
while True:
    threading.Thread(target=serve, args=server.accept()[:1], daemon=True).start()
"""
UDP_LISTENER = """
import socket, sys
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.bind((sys.argv[1], int(sys.argv[2])))
print("listening", flush=True)
while True:
    data, source = line.recvfrom(2048)
    print("received", *source, data.decode(), flush=True)
    line.sendto(data, source)
"""
ASKER = """
import socket, sys, time
address, port, source, own, question = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), bytes.fromhex(sys.argv[5])
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
line.bind((source, own))
line.settimeout(0.02)
print("begun", time.time(), flush=True)
while True:
    try:
        line.sendto(question, (address, port))
        if line.recvfrom(64)[1] == (address, port):
            print("answer", time.time(), flush=True)
    except OSError:
        pass
    time.sleep(0.02)
"""
FLOW = """
import socket, sys, time
address, port, spacing_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.connect((address, port))
print("begun", flush=True)
number, due, waiting, gone = 0, time.monotonic(), {}, set()
while True:
    now = time.monotonic()
    if now >= due:
        line.send(str(number).encode())
        waiting[number] = now
        number, due = number + 1, max(due + spacing_s, now - spacing_s)
    line.settimeout(max(0.001, due - time.monotonic()))
    try:
        waiting.pop(int(line.recv(64)), None)
    except TimeoutError:
        pass
    for one in [one for one, at in waiting.items() if at < now - 2]:
        print("lost", one, round(time.time(), 3), flush=True)
        del waiting[one]
    if number % 50 == 0:
        print("sent", number, "waiting", len(waiting), flush=True)
"""
ANSWERING = """
import socket, ssl, sys, time
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
print("begun", flush=True)
before = None
while True:
    try:
        with socket.create_connection((sys.argv[1], 443), 0.2) as plain, context.wrap_socket(plain) as line:
            line.settimeout(0.5)
            line.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: hub\\r\\nConnection: close\\r\\n\\r\\n")
            answers = line.recv(64).split()[1:2] == [b"200"]
    except OSError:
        answers = False
    if answers is not before:
        print("answers" if answers else "silent", time.time(), flush=True)
        before = answers
    time.sleep(0.05)
"""
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])).close()
except OSError as error:
    print(type(error).__name__)
    sys.exit(1)
"""
PORT = 7007


ECHO_PORT = 51821
ECHO_QUESTION = struct.pack("!4sBBHQQQI", b"SPWE", 1, 1, 0, 7, 7, 7, 0)
"""What the echo service of hubs and nodes answers to, if it comes from the same port."""


LOOK = "wg show; ip -o address; ip route; ss -unap; nft list ruleset; ps -ef | cut -c1-120"
"""What tells why traffic does not flow."""


class Traffic:
    """UDP questions from one machine to another's address, some fifty a second, until the network is removed."""

    def __init__(self, network: Network, source: str, log: Path) -> None:
        self._network, self._source, self._log = network, source, log

    @classmethod
    def begin(cls, network: Network, source: str, target: str, address: str) -> "Traffic":
        """Traffic to a listener of our own on a node."""
        listen(network, target)
        return cls(network, source, network.script(source, ASKER, address, str(PORT), "0.0.0.0", "0", b"ask".hex()))

    @classmethod
    def begin_echo(cls, network: Network, source: str, own_address: str, address: str) -> "Traffic":
        """Traffic to the echo service of a hub, from a machine whose own agent does not run."""
        port = str(ECHO_PORT)
        log = network.script(source, ASKER, address, port, own_address, port, ECHO_QUESTION.hex())
        return cls(network, source, log)

    def answers(self) -> list[float]:
        """When each answer came, in seconds since 1970."""
        lines = self._log.read_text().rpartition("\n")[0].splitlines()
        return [float(line.split()[1]) for line in lines if line.startswith("answer ")]

    def wait_for_answers(self, count: int, limit_s: float) -> None:
        """Wait for so many more answers."""
        wanted = len(self.answers()) + count
        try:
            wait_until(lambda: len(self.answers()) >= wanted, limit_s, f"{count} more answers")
        except AssertionError:
            for machine in (self._source, "hub-1"):
                print(machine, self._network.exec(machine, "sh", "-c", LOOK, expect=None).text)
            raise

    def wait_for_answer(self, after: float, limit_s: float) -> float:
        """Wait for the first answer after an instant; return when it came."""
        return wait_until(lambda: next((at for at in self.answers() if at > after), None), limit_s, "an answer")

    def longest_gap_s(self) -> float:
        """The longest time without an answer, up to now."""
        begun_at = float(self._log.read_text().split()[1])
        return max(after - before for before, after in itertools.pairwise([begun_at, *self.answers(), time.time()]))


class Flow:
    """Numbered UDP datagrams at a steady pace to a listener that sends each back, until the network is removed; none may be lost."""

    def __init__(self, network: Network, source: str, target: str, address: str, spacing_s: float = 0.01) -> None:
        listen(network, target)
        self._log = network.script(source, FLOW, address, str(PORT), str(spacing_s))

    def sent(self) -> int:
        """How many were sent, in steps of fifty."""
        found = [int(line.split()[1]) for line in self._lines() if line.startswith("sent ")]
        return found[-1] if found else 0

    def wait_for(self, count: int, limit_s: float) -> None:
        """Wait until so many more were sent."""
        wanted = self.sent() + count
        wait_until(lambda: self.sent() >= wanted, limit_s, f"{count} more datagrams were sent")

    def lost(self) -> list[str]:
        """What did not come back within two seconds."""
        return [line for line in self._lines() if line.startswith("lost ")]

    def lost_since(self, at: float) -> int:
        """How many that were sent since an instant did not come back within two seconds."""
        return sum(float(line.split()[2]) >= at + 2 for line in self.lost())

    def _lines(self) -> list[str]:
        return self._log.read_text().rpartition("\n")[0].splitlines()


class ApiWatch:
    """Asks a hub's API some ten times a second whether it is there, from another machine."""

    def __init__(self, network: Network, machine: str, address: str = "203.0.113.1") -> None:
        self._log = network.script(machine, ANSWERING, address)

    def wait_for_answer(self, after: float, limit_s: float) -> float:
        """Wait until it has answered again after an instant; return when, in seconds since 1970."""
        return wait_until(lambda: self._first("answers", after), limit_s, "the hub's API answers")

    def _first(self, word: str, after: float) -> float | None:
        lines = [line.split() for line in self._log.read_text().rpartition("\n")[0].splitlines()]
        return next((float(line[1]) for line in lines if line[0] == word and float(line[1]) > after), None)


def listen(network: Network, machine: str) -> None:
    """Start the listener of this module on a machine, if it does not run."""
    if not network.exec(machine, "ss", "-H", "-l", "-u", "-n", f"sport = :{PORT}").out.strip():
        network.script(machine, UDP_LISTENER, "0.0.0.0", str(PORT))


def connects(network: Network, source: str, address: str, port: int, limit_s: float = 1.5) -> bool:
    """Whether a TCP connection from a machine to an address comes about."""
    return network.python(source, CONNECT, address, str(port), str(limit_s), expect=None).status == 0
