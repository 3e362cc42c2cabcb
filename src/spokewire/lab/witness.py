"""A program for the inside of a machine; it imports nothing heavy, so that it starts at once.

`python -m spokewire.lab.witness look SENTENCE` watches all interfaces, says "ready", and when its standard input closes prints how many packets
passed, how many showed the sentence, and the longest time in seconds between two that did. `… say SENTENCE ADDRESS PORT COUNT SPACING` sends it
in UDP datagrams, so many seconds apart.
"""

import select
import socket
import sys

from spokewire.host import clock, processes

LINGER_S = 0.1
"""For what is still on its way."""
_ETH_P_ALL = 3


def look(sentence: bytes) -> None:
    """Search every packet of every interface until standard input closes, and a moment longer for what is still on its way."""
    line = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    packets = seen = 0
    longest_s, seen_at = 0.0, float("inf")
    until = float("inf")
    while clock.monotonic() < until:
        readable, _, _ = select.select([line, *([sys.stdin] if until == float("inf") else [])], [], [], 0.05)
        if line in readable:
            packets += 1
            if sentence in line.recv(65535):
                seen += 1
                now = clock.monotonic()
                longest_s, seen_at = max(longest_s, now - seen_at), now
        if sys.stdin in readable:
            until = clock.monotonic() + LINGER_S
    sys.stdout.write(f"{packets} {seen} {longest_s}\n")


def say(sentence: bytes, address: str, port: int, times: int, spacing_s: float) -> None:
    """Send the sentence."""
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(times):
        line.sendto(sentence, (address, port))
        processes.pause(spacing_s)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["look", sentence]:
            look(sentence.encode())
        case ["say", sentence, address, port, times, spacing_s]:
            say(sentence.encode(), address, int(port), int(times), float(spacing_s))
        case _:
            sys.exit(2)
