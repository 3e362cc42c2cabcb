"""The two programs that run in each node: real traffic of our own, and a reader of the node's public status. They know nothing of the agent."""

from dataclasses import dataclass
from pathlib import Path

TRAFFIC = r"""
import json, os, select, socket, struct, sys, time
peers, hubs = json.loads(sys.argv[1]), json.loads(sys.argv[2])
names = {address: name for name, address in {**peers, **hubs}.items()}
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); line.bind(("0.0.0.0", 7009)); line.setblocking(False)
ping = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP); ping.setblocking(False)
own = os.getpid() & 0xffff
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff
def ask(number):
    request = struct.pack("!BBHHH", 8, 0, 0, own, number & 0xffff)
    request = request[:2] + struct.pack("!H", checksum(request)) + request[4:]
    for sink, data, addresses in ((line, b"question", peers), (ping, request, hubs)):
        for address in addresses.values():
            try:
                sink.sendto(data, (address, 7009 if sink is line else 0))
            except OSError:
                pass
def note(address):
    if address in names:
        answers.setdefault(names[address], []).append(round(time.time(), 3))
def hear(source):
    while True:
        try:
            data, (address, port) = source.recvfrom(2048)
        except OSError:
            return
        if source is ping:
            head = (data[0] & 15) * 4
            if data[head] == 0 and data[head + 4:head + 6] == struct.pack("!H", own):
                note(address)
        elif data == b"question":
            try:
                line.sendto(b"answer", (address, port))
            except OSError:
                pass
        elif data == b"answer":
            note(address)
answers, number, due, begun = {}, 0, time.time(), time.time()
print(json.dumps({"begun": begun, "until": begun, "answers": {}}), flush=True)
while True:
    now = time.time()
    if now >= due:
        ask(number)
        number, due = number + 1, max(due + 0.1, now)
        if number % 5 == 0:
            print(json.dumps({"begun": begun, "until": now, "answers": answers}), flush=True)
            answers, begun = {}, now
    for source in select.select([line, ping], [], [], max(0.0, due - time.time()))[0]:
        hear(source)
"""
"""Asks each peer (UDP) and each hub (ICMP, the only thing that a hub answers to beside our agents) ten times a second; every half second it prints when answers came."""

READER = r"""
import http.client, json, time
print("{}", flush=True)
while True:
    asked = time.time()
    told = {"asked": asked}
    try:
        connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=2)
        connection.request("GET", "/status")
        told["status"] = json.loads(connection.getresponse().read())
        connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        told["error"] = repr(error)
    told["got"] = time.time()
    print(json.dumps(told), flush=True)
    time.sleep(max(0.05, asked + 0.5 - time.time()))
"""
"""Prints the node's /status twice a second, or why there was none."""

ENDPOINTS = r"""
import json, subprocess, time
print("{}", flush=True)
while True:
    asked = time.time()
    done = subprocess.run(["wg", "show", "wg-demo", "endpoints"], capture_output=True, text=True)
    seen = dict(line.split("\t") for line in done.stdout.splitlines() if "\t" in line)
    print(json.dumps({"at": time.time(), "endpoints": seen}), flush=True)
    time.sleep(max(0.05, asked + 0.5 - time.time()))
"""
"""Prints twice a second where WireGuard itself sends each peer's packets."""


@dataclass(frozen=True)
class Logs:
    """Where the programs of one boot of a node write."""

    node: str
    traffic: Path
    reader: Path
    endpoints: Path
