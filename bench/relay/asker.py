"""Where datagrams begin. Run in node-1: `python -m bench.relay.asker ADDRESS rtt COUNT` or `... rate SECONDS`.

rtt: one question after the other; prints the median and the 99th percentile in microseconds.
rate: at most WINDOW datagrams of 64 bytes are on their way, so the rate is what the path carries without loss; prints datagrams a second that
arrived, and the share that was lost.
"""

import socket
import statistics
import sys
import time

from bench.relay.answerer import COUNT, PORT

BYTES = 64
WINDOW = 256
_ASK_EVERY = 32
_LOST_AFTER_S = 0.2
_FIRST_S = 10.0
"""The first question may have to wait for a handshake."""


def main() -> None:
    """Ask as told on the command line."""
    address, what, amount = sys.argv[1:4]
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.connect((address, PORT))
    _wake(line)
    print(*(_rtt(line, int(amount)) if what == "rtt" else _rate(line, float(amount))))


def _wake(line: socket.socket) -> None:
    deadline = time.monotonic() + _FIRST_S
    line.settimeout(0.2)
    while True:
        line.send(b"e" + bytes(BYTES - 1))
        try:
            line.recv(2048)
        except TimeoutError:
            if time.monotonic() > deadline:
                sys.exit("no answer")
        else:
            return


def _rtt(line: socket.socket, count: int) -> tuple[float, float]:
    line.settimeout(_LOST_AFTER_S)
    times = []
    for number in range(count):
        question = b"e" + number.to_bytes(8, "big") + bytes(BYTES - 9)
        begun = time.perf_counter()
        line.send(question)
        try:
            while line.recv(2048) != question:
                continue
        except TimeoutError:
            continue
        times.append((time.perf_counter() - begun) * 1e6)
    return statistics.median(times), statistics.quantiles(times, n=100)[98]


def _rate(line: socket.socket, seconds: float) -> tuple[float, float]:
    plain, asking = b"d\0" + bytes(BYTES - 2), b"d\1" + bytes(BYTES - 2)
    line.settimeout(_LOST_AFTER_S)
    sent = arrived = lost = 0
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        while sent - lost - arrived < WINDOW:
            sent += 1
            line.send(plain if sent % _ASK_EVERY else asking)
        try:
            arrived = max(arrived, COUNT.unpack(line.recv(2048))[0])
        except TimeoutError:
            lost = sent - arrived
    elapsed = time.perf_counter() - begun
    return arrived / elapsed, lost / sent


if __name__ == "__main__":
    main()
