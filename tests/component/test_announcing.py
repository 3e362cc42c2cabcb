"""A node's agent hears its own WireGuard shake hands, on real sockets in a namespace of its own, and tells the hubs that the handshake does not pass."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = r"""
import asyncio, base64, hashlib, socket, subprocess, sys
from pathlib import Path
from spokewire.host import clock
from spokewire.network.names import WireGuardKey
from spokewire.node.announced import Announced
from spokewire.node.announcing import Announcer
from spokewire.relay.messages import derive_mac1_key, restore
from spokewire.relay.sharing import SharedPort
from tests.builders import make_member, make_wireguard_key

PORT, OTHER = 40123, 40124
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
hubs = {name: (f"127.0.1.{number}", 51820) for number, name in enumerate(("hub-1", "hub-2", "hub-3"), 1)}
members = {name: make_member(name) for name in hubs}
places = {WireGuardKey(members[name].record.wireguard_key): "%s:%d" % place for name, place in hubs.items()}
lines = {}
for name, place in hubs.items():
    lines[name] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    lines[name].bind(place)
    lines[name].setblocking(False)
wireguard, stranger = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
wireguard.bind(("127.0.0.1", PORT))
stranger.bind(("127.0.0.1", OTHER))
known = [None]

def initiation(number, key):
    covered = b"\1\0\0\0" + number.to_bytes(4, "little") + bytes(108)
    mac1 = hashlib.blake2s(covered, key=derive_mac1_key(base64.b64decode(key)), digest_size=16).digest()
    return covered + mac1 + bytes(16)

def hear(name):
    heard = []
    while True:
        try:
            data, source = lines[name].recvfrom(2048)
        except BlockingIOError:
            return heard
        message = restore(data)
        if message is not None:
            assert source == ("127.0.0.1", PORT), source
            heard.append(message)

async def listen(name, count):
    async with asyncio.timeout(5):
        heard = []
        while len(heard) < count:
            await asyncio.sleep(0.01)
            heard += hear(name)
    return heard

async def scenario():
    port = SharedPort(lambda message, to: announcer.hear(message, to), lambda *_: None, b"SPWD")
    announcer = Announcer(port, places.get, lambda: known[0], Announced(Path(sys.argv[1])))
    announcer.know(list(members.values()))
    peer = make_wireguard_key("node-2")
    await announcer.step()

    early = initiation(1, peer)
    wireguard.sendto(early, hubs["hub-1"])
    stranger.sendto(initiation(9, peer), hubs["hub-1"])
    await asyncio.sleep(0.2)
    assert not hear("hub-2"), "nothing is known yet to be ours"
    known[0] = PORT
    await announcer.step()
    print("early:", [await listen(name, 1) == [early] for name in ("hub-2", "hub-3")])

    later = initiation(2, peer)
    wireguard.sendto(later, hubs["hub-2"])
    print("later:", [await listen(name, 1) == [later] for name in ("hub-1", "hub-3")])

    wireguard.sendto(initiation(3, members["hub-1"].record.wireguard_key), hubs["hub-1"])
    stranger.sendto(initiation(4, peer), hubs["hub-1"])
    wireguard.sendto(b"\4\0\0\0" + bytes(60), hubs["hub-1"])
    await asyncio.sleep(0.2)
    print("others:", [len(hear(name)) for name in hubs])

    key = next(key for key, place in places.items() if place == "127.0.1.3:51820")
    announcer.hub_back(key)
    await announcer.step()
    print("back:", await listen("hub-3", 2) == [early, later], [len(hear(name)) for name in ("hub-1", "hub-2")])

    announcer = Announcer(port, places.get, lambda: known[0], Announced(Path(sys.argv[1])))
    announcer.know(list(members.values()))
    announcer.hub_back(key)
    await announcer.step()
    print("begun anew:", await listen("hub-3", 2) == [early, later], [len(hear(name)) for name in ("hub-1", "hub-2")])
    port.close()

asyncio.run(scenario())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace of its own needs root")
def test_every_hub_but_the_one_on_the_path_is_told_of_each_handshake_even_of_the_first(
    tmp_path: Path,
) -> None:
    environment = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "PYTHONPATH": str(ROOT)}
    command = ["unshare", "--net", sys.executable, "-c", SCRIPT, str(tmp_path / "handshakes")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert done.stdout.splitlines() == [
        "early: [True, True]",
        "later: [True, True]",
        "others: [0, 0, 0]",
        "back: True [0, 0]",
        "begun anew: True [0, 0]",
    ], done.stdout + done.stderr
