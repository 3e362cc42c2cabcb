"""A path that loses large packets without a word: transfers that had begun go on, the status says so, and the node finds its way back."""

import hashlib
import time
from pathlib import Path

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.promises.promise import Record, keep_word
from tests.lab.world import Network, measured, nodes, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.promise]

DATA = bytes(range(256)) * (10 << 12)
"""Ten megabytes."""
COMPLETE = f"complete {len(DATA)} {hashlib.sha256(DATA).hexdigest()}"
SINK = """
import hashlib, socket, sys
server = socket.create_server((sys.argv[1], 7011))
print("listening", flush=True)
connection = server.accept()[0]
seen, told, digest = 0, 0, hashlib.sha256()
while data := connection.recv(1 << 16):
    seen += len(data)
    digest.update(data)
    if seen >= told + (1 << 18):
        told = seen
        print("received", seen, flush=True)
print("complete", seen, digest.hexdigest(), flush=True)
"""
SOURCE = """
import socket, sys, time
data = bytes(range(256)) * (10 << 12)
line = socket.create_connection((sys.argv[1], 7011), 10)
line.settimeout(60)
print("connected", flush=True)
for start in range(0, len(data), 1 << 16):
    line.sendall(data[start : start + (1 << 16)])
    time.sleep(0.05)
line.shutdown(socket.SHUT_WR)
"""


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    network = make_module_network(nodes(count=2))
    network.deploy()
    return network


def mtu(network: Network, machine: str) -> int:
    return int(network.exec(machine, "cat", "/sys/class/net/wg-demo/mtu").out)


def issues(network: Network, machine: str) -> list[str]:
    return [issue["text"] for issue in network.node(machine)["issues"] if issue["code"] == "path-mtu"]


def overlay_addresses(network: Network) -> list[str]:
    return network.exec("node-1", "ip", "-o", "address", "show", "dev", "wg-demo", "scope", "global").out.splitlines()


def received(log: Path) -> int:
    lines = log.read_text().rpartition("\n")[0].splitlines()
    return max((int(line.split()[1]) for line in lines if line.startswith(("received ", "complete "))), default=0)


def begin_transfer(network: Network, source: str, target: str, address: str) -> Path:
    """Begin to send the data, over eight seconds or more; return the log of the end that receives it."""
    log = network.script(target, SINK, address)
    network.script(source, SOURCE, address)
    return log


def test_transfers_that_began_before_the_path_narrowed_complete_in_either_direction_and_the_mtu_comes_back(
    network: Network, record_property: Record
) -> None:
    assert mtu(network, "node-1") == mtu(network, "node-2") == 1420
    addresses = overlay_addresses(network)
    pairs = [("node-1", "node-2", "10.88.0.12"), ("node-2", "node-1", "10.88.0.11")]
    transfers = [begin_transfer(network, *pair) for pair in pairs]
    wait_until(lambda: all(received(log) > 1 << 20 for log in transfers), 20, "a megabyte each way")

    network.run("lab", "link", "node-1", "mtu=1280")
    narrowed_at = time.monotonic()
    assert all(received(log) < len(DATA) for log in transfers), "the transfers were over too soon"
    told = wait_until(lambda: issues(network, "node-1"), 30, "the status names what is wrong")
    named_s = time.monotonic() - narrowed_at
    assert told == ["packets above 1216 bytes do not pass on the way to hub-1"]
    assert mtu(network, "node-1") == 1216
    wait_until(lambda: all("complete" in log.read_text() for log in transfers), 60, "both transfers are complete")
    ends = [log.read_text().splitlines()[-1] for log in transfers]
    complete_s = time.monotonic() - narrowed_at
    keep_word(
        record_property,
        "path MTU lowered to 1280, ICMP dropped",
        "a 10 MB transfer that started before completes; status names it",
        f"named after {named_s:.1f} s, both transfers complete after {complete_s:.1f} s",
        is_kept=ends == [COMPLETE, COMPLETE],
    )
    assert issues(network, "node-2") == ["packets above 1216 bytes do not pass on the way to node-1"]

    network.run("lab", "link", "node-1", "up")
    mended_at = time.monotonic()
    wait_until(lambda: mtu(network, "node-1") == mtu(network, "node-2") == 1420, 60, "the MTU is raised again")
    measured("the MTU of both nodes is raised again after the path is mended", time.monotonic() - mended_at)
    wait_until(lambda: not issues(network, "node-1") + issues(network, "node-2"), 10, "the issues are closed")
    wait_until(lambda: overlay_addresses(network) == addresses, 10, "IPv6, which needs 1280 bytes, is back")
    fixes = network.exec("node-1", "curl", "-s", "http://127.0.0.1:8000/status").data["fixes"]
    assert {fix["outcome"] for fix in fixes} == {"cured"}
    assert "path-mtu" in {fix["code"] for fix in fixes}
    assert "the MTU lowered from 1420 to 1216 bytes" in {fix["text"] for fix in fixes}
