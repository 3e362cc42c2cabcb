"""One flow from node-1 to node-2 of a rival, measured at its ends."""

import json

from bench.relay.modules import python
from bench.relay.rivals import Rival

PAYLOAD_SHARE = 0.9
"""A hub that carried a flow has received at least that share of its bytes."""


def tcp_mbit_s(rival: Rival, seconds: float) -> float:
    """TCP payload that arrived, in Mbit/s, after a second of warming up."""
    before = rival.hub.received_bytes()
    words = ("iperf3", "-c", rival.address, "-J", "-O", "1", "-t", f"{seconds:g}")
    received = _received(rival, words)
    check_way(rival, before, int(received["bytes"]))
    return float(received["bits_per_second"]) / 1e6


def paced_tcp(rival: Rival, mbit_s: int, seconds: float) -> tuple[float, float]:
    """TCP at a fixed rate; bytes that arrived, and Mbit/s."""
    before = rival.hub.received_bytes()
    words = ("iperf3", "-c", rival.address, "-J", "-b", f"{mbit_s}M", "-t", f"{seconds:g}")
    received = _received(rival, words)
    check_way(rival, before, int(received["bytes"]))
    return float(received["bytes"]), float(received["bits_per_second"]) / 1e6


def small_packets(rival: Rival, seconds: float) -> tuple[float, float]:
    """64-byte datagrams a second that arrived, and the share that was lost."""
    rate, lost = rival.sender.run(*python("asker", rival.address, "rate", f"{seconds:g}")).split()
    return float(rate), float(lost)


def rtt_us(rival: Rival, count: int) -> tuple[float, float]:
    """Median and 99th percentile of the round trip of 64-byte datagrams, in microseconds."""
    median, p99 = rival.sender.run(*python("asker", rival.address, "rtt", str(count))).split()
    return float(median), float(p99)


def check_way(rival: Rival, before: int, payload: int) -> None:
    """End the benchmark if the bytes did not go the way that they are said to go."""
    passed = rival.hub.received_bytes() - before
    if (passed > PAYLOAD_SHARE * payload) != rival.has_hub:
        raise SystemExit(f"{rival.name}: {passed} bytes of {payload} passed the hub")


def _received(rival: Rival, words: tuple[str, ...]) -> dict[str, float]:
    """What iperf3 says that arrived; its own error ends the benchmark."""
    result = json.loads(rival.sender.run(*words))
    if "sum_received" not in result["end"]:
        raise SystemExit(f"{rival.name}: iperf3: {result.get('error', 'no result')}")
    return dict(result["end"]["sum_received"])
