"""The TCP half of the echo service: data that comes back with a checksum, and a sink for measuring throughput.

A question is 16 bytes, big endian: magic `SPWT` (4), version (1), kind (1), reserved zero (2), length in bytes (8), then that many bytes.
CHECK: the answer is the SHA-256 of what arrived, then the bytes themselves. SINK: the answer is what arrived, as an 8-byte count.
"""

import asyncio
import hashlib
import socket
import struct
from enum import IntEnum

from spokewire.host.datagrams import bind
from spokewire.host.logs import log
from spokewire.network.echo import PORT
from spokewire.network.proof import TRANSFER_BYTES

HEAD = struct.Struct("!4sBBHQ")
_MAGIC = b"SPWT"
_VERSION = 1
MAX_CHECK_BYTES = TRANSFER_BYTES
"""What a proof sends. Each conversation may hold twice that, so all of them together stay bounded."""
CONVERSATION_TIMEOUT_S = 30.0
MAX_CONVERSATIONS = 256
CHUNK_BYTES = 64 * 1024
DIGEST_BYTES = 32


class Kind(IntEnum):
    """What the caller wants to know."""

    CHECK = 1
    SINK = 2


def format_head(kind: Kind, length: int) -> bytes:
    """Write the head of a question."""
    return HEAD.pack(_MAGIC, _VERSION, kind, 0, length)


def parse_head(data: bytes) -> tuple[Kind, int] | None:
    """Read the head of a question; None if it is none, or asks for too much."""
    if len(data) != HEAD.size:
        return None
    magic, version, kind, reserved, length = HEAD.unpack(data)
    if (magic, version, reserved) != (_MAGIC, _VERSION, 0) or kind not in set(Kind):
        return None
    if kind == Kind.CHECK and length > MAX_CHECK_BYTES:
        return None
    return Kind(kind), length


class TransferService:
    """Answers over TCP on our overlay address. Who may connect is the firewall's business."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._open = 0

    async def open(self, address: str) -> None:
        """Bind to our overlay address, which need not exist yet."""
        self.close()
        self._server = await asyncio.start_server(self._converse, sock=bind(socket.SOCK_STREAM, address, PORT))

    @property
    def conversations(self) -> int:
        """How many are under way."""
        return self._open

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= MAX_CONVERSATIONS:
                async with asyncio.timeout(CONVERSATION_TIMEOUT_S):
                    await _answer(reader, writer)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            log.debug("transfer ended early")
        except asyncio.CancelledError:
            # Only the end of the daemon cancels a conversation; asyncio's streams would log that as a failure.
            log.debug("transfer cut off")
        finally:
            self._open -= 1
            writer.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = parse_head(await reader.readexactly(HEAD.size))
    match head:
        case (Kind.CHECK, length):
            data = await reader.readexactly(length)
            writer.write(hashlib.sha256(data).digest())
            writer.write(data)
        case (Kind.SINK, length):
            received = 0
            while received < length and (chunk := await reader.read(CHUNK_BYTES)):
                received += len(chunk)
            writer.write(received.to_bytes(8, "big"))
        case _:
            return
    await writer.drain()


def refuse(error: OSError | TimeoutError | asyncio.IncompleteReadError) -> str:
    """Say in a few words why a conversation failed."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, asyncio.IncompleteReadError):
        return "the connection ended early"
    return error.strerror or type(error).__name__
