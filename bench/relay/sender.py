"""A light sender: prebuilt frames through a packet socket, many for each system call. Run inside the sender's namespace.

    python -m bench.relay.sender INTERFACE HEADS MESSAGE_BYTES FRAMES

HEADS is a file of frame heads (bench.relay.frames), sent in a circle, each followed by the rest of the message (shared zeros). Prints the seconds that
it took and the frames that the kernel took.
"""

import ctypes
import os
import socket
import sys
import time
from pathlib import Path

from bench.relay.frames import DATA_HEAD_BYTES, ETHERNET_BYTES, IP_BYTES, UDP_BYTES

HEAD_BYTES = ETHERNET_BYTES + IP_BYTES + UDP_BYTES + DATA_HEAD_BYTES
BATCH = 256
_SOL_PACKET = 263
_PACKET_QDISC_BYPASS = 20
_SEND_BUFFER_BYTES = 8 * 1024 * 1024


class _Piece(ctypes.Structure):
    """struct iovec of linux/uio.h."""

    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Head(ctypes.Structure):
    """struct msghdr of sys/socket.h."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_bytes", ctypes.c_uint32),
        ("pieces", ctypes.c_void_p),
        ("piece_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_bytes", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """struct mmsghdr: a message, and how much of it was sent."""

    _fields_ = (("head", _Head), ("sent", ctypes.c_uint))


def send_frames(interface: str, heads: bytes, message_bytes: int, frames: int) -> tuple[float, int]:
    """Send that many frames as fast as the kernel takes them; return the seconds and how many it took."""
    libc = ctypes.CDLL(None, use_errno=True)
    count = len(heads) // HEAD_BYTES
    store = ctypes.create_string_buffer(heads)
    rest = ctypes.create_string_buffer(message_bytes - DATA_HEAD_BYTES)
    pieces, messages = (_Piece * (2 * count))(), (_Message * count)()
    for number in range(count):
        pieces[2 * number] = _Piece(ctypes.addressof(store) + number * HEAD_BYTES, HEAD_BYTES)
        pieces[2 * number + 1] = _Piece(ctypes.addressof(rest), message_bytes - DATA_HEAD_BYTES)
        messages[number].head.pieces = ctypes.addressof(pieces) + 2 * number * ctypes.sizeof(_Piece)
        messages[number].head.piece_count = 2
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as line:
        line.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        line.bind((interface, 0))
        descriptor, base, size = line.fileno(), ctypes.addressof(messages), ctypes.sizeof(_Message)
        sent = place = 0
        begun = time.perf_counter()
        while sent < frames:
            wanted = min(BATCH, count - place, frames - sent)
            done = libc.sendmmsg(descriptor, ctypes.c_void_p(base + place * size), wanted, 0)
            if done <= 0:
                # A full backlog is said as ENOBUFS once for the batch; the frame is lost, the next may pass.
                done = 1
            sent += done
            place = (place + done) % count
        return time.perf_counter() - begun, sent


def main() -> None:
    """Send as told on the command line, on one processor."""
    interface, path, message_bytes, frames = sys.argv[1:5]
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    seconds, sent = send_frames(interface, Path(path).read_bytes(), int(message_bytes), int(frames))
    print(seconds, sent)


if __name__ == "__main__":
    main()
