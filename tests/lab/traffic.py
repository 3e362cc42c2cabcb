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
ECHO_QUESTION = struct.pack("!4sBBHQQQ", b"SPWE", 1, 1, 0, 7, 7, 7)
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
        if not network.exec(target, "ss", "-H", "-l", "-u", "-n", f"sport = :{PORT}").out.strip():
            network.script(target, UDP_LISTENER, "0.0.0.0", str(PORT))
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

    def longest_gap_s(self) -> float:
        """The longest time without an answer, up to now."""
        begun_at = float(self._log.read_text().split()[1])
        return max(after - before for before, after in itertools.pairwise([begun_at, *self.answers(), time.time()]))


def connects(network: Network, source: str, address: str, port: int, limit_s: float = 1.5) -> bool:
    """Whether a TCP connection from a machine to an address comes about."""
    return network.python(source, CONNECT, address, str(port), str(limit_s), expect=None).status == 0
