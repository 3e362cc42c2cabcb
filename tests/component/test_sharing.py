"""A flood of datagrams that look like probes, at the port of a node's WireGuard, on real sockets in a namespace of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOOD = """
import socket, sys
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.connect(("127.0.0.1", int(sys.argv[1])))
print("begun", flush=True)
while True:
    line.send(b"SPWD" + bytes(32))
"""
SCRIPT = r"""
import asyncio, json, socket, subprocess, sys, time
from spokewire.relay.sharing import SharedPort

PORT, FOR_S = 40123, 2.0
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
wireguard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
wireguard.bind(("127.0.0.1", PORT))
hub = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
hub.bind(("127.0.0.2", 51820))
sent, probed = [], []

async def scenario():
    port = SharedPort(lambda message, to: sent.append(message), lambda data, source: probed.append(data), b"SPWD")
    port.open(PORT)
    hub.sendto(b"SPWD" + bytes(32), ("127.0.0.1", PORT))
    await asyncio.sleep(0.2)
    alone, turns = len(probed), 0
    flood = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(PORT)], stdout=subprocess.PIPE)
    flood.stdout.readline()
    begun, before_s, before = time.monotonic(), time.process_time(), len(probed)
    try:
        while time.monotonic() - begun < FOR_S:
            await asyncio.sleep(0.05)
            wireguard.sendto(b"\1\0\0\0" + bytes(144), ("127.0.0.2", 51820))
            turns += 1
        taken_s, span_s, count = time.process_time() - before_s, time.monotonic() - begun, len(probed) - before
    finally:
        flood.kill()
        flood.wait()
        flood.stdout.close()
    await asyncio.sleep(0.1)
    port.close()
    port.close()
    return {"alone": alone, "probes_a_second": count / span_s, "core_pct": 100 * taken_s / span_s,
            "handshakes": turns, "heard": len(sent)}

print(json.dumps(asyncio.run(scenario())))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace of its own needs root")
def test_a_flood_of_probes_is_read_a_little_at_a_time_and_hides_no_handshake_of_our_own() -> None:
    environment = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "PYTHONPATH": str(ROOT)}
    command = ["unshare", "--net", sys.executable, "-c", SCRIPT, FLOOD]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(f"measured: {found}")
    assert found["alone"] == 1
    assert 0 < found["probes_a_second"] <= 900
    assert found["heard"] == found["handshakes"] > 0
