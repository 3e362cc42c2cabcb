"""Where datagrams end. Run in node-2: `python -m bench.relay.answerer`.

An `e` is sent back as it is. A `d` is counted: each one that asks for it (second byte 1) is answered with the count of this sender so far.
"""

import socket
import struct
from collections import Counter

PORT = 7100
COUNT = struct.Struct("!Q")


def main() -> None:
    """Answer until the machine is removed."""
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    line.bind(("0.0.0.0", PORT))
    counted: Counter[tuple[str, int]] = Counter()
    while True:
        data, sender = line.recvfrom(2048)
        if data[0] == ord("e"):
            line.sendto(data, sender)
            continue
        counted[sender] += 1
        if data[1]:
            line.sendto(COUNT.pack(counted[sender]), sender)


if __name__ == "__main__":
    main()
