"""Proving traffic to a peer, as the operator asked: echoes, a connection, a checksummed transfer, throughput."""

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Mapping

from spokewire.host import clock, keys
from spokewire.network.echo import PORT
from spokewire.network.proof import BANDWIDTH_SECONDS, ECHOES_PER_PAIR, Pace, PairResult, Step, order_targets
from spokewire.node.probe import Prober
from spokewire.node.transfer import CHUNK_BYTES, DIGEST_BYTES, Kind, format_head, refuse

CONNECT_TIMEOUT_S = 5.0
"""Long enough for two SYNs to be lost: they are repeated after one and three seconds (RFC 6298)."""
TRANSFER_TIMEOUT_S = 15.0
ECHO_SPACING_S = 0.02
MEETING_S = 10.0
"""For two nodes that have just met: a peer is given up as silent sooner."""
SINK_BYTES = 2**40
"""More than any link carries in the time that we send."""


async def prove_peers(
    source: str, peers: Mapping[str, str], prober: Prober, step: Step, pace: Pace
) -> list[PairResult]:
    """Show traffic from this node (`source`) to peers, given as name to overlay address; failures are part of the results, not raised.

    A few at a time: all nodes do this at once, through one hub.
    """
    limit = asyncio.Semaphore(pace.at_once)

    async def prove(target: str) -> PairResult:
        async with limit:
            if step is Step.ECHO:
                return await _echo(source, target, peers[target], prober)
            nothing = PairResult(source=source, target=target)
            return await _transfer(nothing, peers[target], pace.transfer_bytes, bandwidth=step is Step.BANDWIDTH)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(prove(target), name=f"prove {target}") for target in order_targets(source, peers)]
    return [task.result() for task in tasks]


async def _echo(source: str, target: str, address: str, prober: Prober) -> PairResult:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(MEETING_S):
            await prober.meet(address)
    rtt_ms, loss_pct = await prober.measure(address, ECHOES_PER_PAIR, ECHO_SPACING_S)
    rounded = None if rtt_ms is None else round(rtt_ms, 3)
    return PairResult(source=source, target=target, rtt_ms=rounded, udp_loss_pct=loss_pct)


async def _transfer(result: PairResult, address: str, size: int, *, bandwidth: bool) -> PairResult:
    connected, checked, error = await _attempt(lambda: _check(address, size))
    result = result.model_copy(update={"tcp_ok": connected, "checksum_ok": checked, "error": error})
    if bandwidth and connected:
        mbits, error = await _measure(address)
        result = result.model_copy(update={"mbits": mbits, "error": result.error or error})
    return result


async def _attempt(check: Callable[[], Awaitable[tuple[bool, str]]]) -> tuple[bool, bool, str]:
    try:
        checked, error = await check()
    except _NotConnectedError as failure:
        return False, False, f"TCP: {failure}"
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as failure:
        return True, False, f"transfer: {refuse(failure)}"
    return True, checked, error


class _NotConnectedError(Exception):
    """No TCP connection came about."""


async def _connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return await asyncio.open_connection(address, PORT)
    except (OSError, TimeoutError) as error:
        raise _NotConnectedError(refuse(error)) from error


async def _check(address: str, size: int) -> tuple[bool, str]:
    reader, writer = await _connect(address)
    data = keys.make_bytes(size)
    try:
        async with asyncio.timeout(TRANSFER_TIMEOUT_S):
            writer.write(format_head(Kind.CHECK, len(data)) + data)
            await writer.drain()
            digest = await reader.readexactly(DIGEST_BYTES)
            returned = await reader.readexactly(len(data))
    finally:
        writer.close()
    if digest != hashlib.sha256(data).digest():
        return False, "transfer: the peer received other bytes than were sent"
    if returned != data:
        return False, "transfer: other bytes came back than were sent"
    return True, ""


async def _measure(address: str) -> tuple[float | None, str]:
    """Throughput in Mbit/s over BANDWIDTH_SECONDS, counted by the receiver."""
    try:
        reader, writer = await _connect(address)
        block = bytes(CHUNK_BYTES)
        try:
            async with asyncio.timeout(BANDWIDTH_SECONDS + TRANSFER_TIMEOUT_S):
                writer.write(format_head(Kind.SINK, SINK_BYTES))
                begun = clock.monotonic()
                while clock.monotonic() - begun < BANDWIDTH_SECONDS:
                    writer.write(block)
                    await writer.drain()
                writer.write_eof()
                received = int.from_bytes(await reader.readexactly(8), "big")
                elapsed_s = clock.monotonic() - begun
        finally:
            writer.close()
    except (_NotConnectedError, OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        return None, f"bandwidth: {error if isinstance(error, _NotConnectedError) else refuse(error)}"
    return received * 8 / elapsed_s / 1e6, ""
