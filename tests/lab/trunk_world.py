"""Two hubs and two nodes, each of which reaches one hub: real WireGuard, real relays, no agent.

    a (10.88.0.11) ── hub-1 ──┐
                              ├ br0, 203.0.113.0/24
    b (10.88.0.12) ── hub-2 ──┘

`python -m tests.lab.trunk_world FOLDER`, as the first process of namespaces that `unshare` made; all of it dies with this process. Prints what happened, as JSON.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from spokewire.host import keys
from tests.builders import make_grant, make_record, sign_settings
from tests.lab.trunk_hub import PORT, place

T = TypeVar("T")
ANSWER = """
import socket
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.bind(("0.0.0.0", 7000))
while True:
    data, source = line.recvfrom(2000)
    line.sendto(data, source)
"""
ASK = """
import socket, sys, time
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.settimeout(3)
for number in range(int(sys.argv[2])):
    line.sendto(b"%d" % number, (sys.argv[1], 7000))
    time.sleep(0.02)
answers = set()
try:
    while len(answers) < int(sys.argv[2]):
        answers.add(line.recv(2000))
except TimeoutError:
    pass
print(len(answers))
"""
HUBS = (1, 2)
NODES = {"a": 11, "b": 12}
NODE_PORT = 40000
LIMIT_S = 15.0


def run(*words: str, stdin: str = "", expect: int | None = 0) -> str:
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=30, check=False)
    if expect is not None and done.returncode != expect:
        raise SystemExit(f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def inside(machine: str, *words: str) -> list[str]:
    return ["nsenter", f"--net=/run/netns/{machine}", *words]


def wait_until(condition: Callable[[], T | None], what: str) -> T:
    deadline = time.monotonic() + LIMIT_S
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {LIMIT_S:g} s: {what}")
        time.sleep(0.05)
    return found


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.public: dict[str, str] = {}
        self.private: dict[str, str] = {}

    def build(self) -> None:
        run("mount", "-t", "tmpfs", "none", "/run")
        if not Path("/var/run").is_symlink():
            run("mount", "--bind", "/run", "/var/run")
        Path("/run/netns").mkdir()
        run("ip", "link", "add", "br0", "type", "bridge")
        run("ip", "link", "set", "br0", "up")
        for machine, number in {**{f"hub-{hub}": hub for hub in HUBS}, **NODES}.items():
            run("ip", "netns", "add", machine)
            lines = [
                f"link add up-{number} type veth peer name eth0 netns {machine}",
                f"link set up-{number} master br0 up",
            ]
            run("ip", "-batch", "-", stdin="\n".join(lines))
            lines = ["link set lo up", f"addr add {place(number)}/24 dev eth0", "link set eth0 up"]
            run(*inside(machine, "ip", "-batch", "-"), stdin="\n".join(lines))
            self.private[machine] = keys.make_wireguard_key()
            self.public[machine] = keys.derive_wireguard_public_key(self.private[machine])

    def begin(self) -> None:
        records = [self._record(f"hub-{hub}", f"hub-{hub}", endpoint=f"{place(hub)}:{PORT}") for hub in HUBS]
        records += [self._record(machine, f"node-{number - 10}") for machine, number in NODES.items()]
        (self.folder / "roster").write_text("\n".join([sign_settings(), *records]))
        self.hear({1: ["a"], 2: ["b"]})
        for hub in HUBS:
            words = [sys.executable, "-m", "tests.lab.trunk_hub", str(self.folder), str(hub)]
            with (self.folder / f"hub-{hub}.log").open("wb") as log:
                subprocess.Popen(inside(f"hub-{hub}", *words), stdout=log, stderr=log)
            wait_until(lambda hub=hub: self.status(hub), f"hub-{hub} relays")  # type: ignore[misc]
        for machine, number in NODES.items():
            with (self.folder / f"{machine}.log").open("wb") as log:
                subprocess.Popen(inside(machine, "wireguard-go", "-f", f"wg-{machine}"), stdout=log, stderr=log)
            wait_until(Path(f"/var/run/wireguard/wg-{machine}.sock").exists, f"the device of {machine}")
            settings = ["listen-port", str(NODE_PORT), "private-key", "/dev/stdin"]
            run(*inside(machine, "wg", "set", f"wg-{machine}", *settings), stdin=self.private[machine])
            run(*inside(machine, "ip", "addr", "add", f"10.88.0.{number}/24", "dev", f"wg-{machine}"))
            run(*inside(machine, "ip", "link", "set", f"wg-{machine}", "up"))
            subprocess.Popen(inside(machine, sys.executable, "-c", ANSWER))

    def block(self, machine: str, hub: int) -> None:
        """Nothing passes between a node and a hub, either way."""
        chains = "".join(
            f"chain {name} {{ type filter hook {name} priority 0; ip {side} {place(hub)} drop; }}\n"
            for name, side in (("input", "saddr"), ("output", "daddr"))
        )
        run(*inside(machine, "nft", f"table ip block {{\n{chains}}}"))

    def connect(self, machine: str, other: str, hub: int, *, anew: bool = True) -> None:
        """Make the other a peer behind a hub; anew: without the session that there was."""
        device, peer = f"wg-{machine}", self.public[other]
        if anew:
            run(*inside(machine, "wg", "set", device, "peer", peer, "remove"), expect=None)
        where = ["endpoint", f"{place(hub)}:{PORT}", "allowed-ips", f"10.88.0.{NODES[other]}/32"]
        run(*inside(machine, "wg", "set", device, "peer", peer, *where))

    def hear(self, hears: dict[int, list[str]], away: dict[int, list[str]] | None = None) -> None:
        """From now on each hub's WireGuard would say this."""
        told = {
            hub: [
                {self.public[machine]: f"{place(NODES[machine])}:{NODE_PORT}" for machine in machines},
                [NODES[machine] for machine in (away or {}).get(hub, [])],
            ]
            for hub, machines in hears.items()
        }
        written = self.folder / "hears.new"
        written.write_text(json.dumps(told))
        written.rename(self.folder / "hears.json")

    def ask(self, machine: str, other: str, count: int = 10) -> int:
        """How many of so many questions over the overlay are answered; the first may wait for the handshake."""
        words = [sys.executable, "-c", ASK, f"10.88.0.{NODES[other]}", str(count)]
        return int(run(*inside(machine, *words)))

    def status(self, hub: int) -> Any:
        path = self.folder / f"hub-{hub}" / "status.json"
        return json.loads(path.read_text()) if path.exists() else None

    def trunked(self) -> list[int]:
        """Handshakes through the trunk, as each hub has counted them."""
        return [sum(self.status(hub)["trunked"].values()) for hub in HUBS]

    def switched(self, hub: int) -> int:
        """Data packets that the kernel of a hub has switched."""
        text = run(*inside(f"hub-{hub}", "nft", "list", "counter", "inet", "spokewire_relay_demo", "switched"))
        found = re.search(r"packets (\d+)", text)
        return int(found[1]) if found else 0

    def _record(self, machine: str, name: str, **changes: Any) -> str:
        return make_record(make_grant(name), wireguard_key=self.public[machine], **changes)


def measure(world: World) -> dict[str, Any]:
    world.build()
    world.block("a", 2)
    world.block("b", 1)
    world.begin()
    told: dict[str, Any] = {}
    # Node a calls, and b, who did not know where a is, answers by the way that the call came.
    world.connect("b", "a", 2)
    world.connect("a", "b", 1)
    told["apart"] = [world.ask("a", "b"), world.ask("b", "a")]
    told["switched apart"] = [world.switched(hub) for hub in HUBS]
    wait_until(lambda: min(world.trunked()) >= 2, "the hubs have counted question and answer")
    told["trunked"] = world.trunked()
    # Now b reaches hub-1 too, and loses hub-2: hub-1 hears it, hub-2 is still told where it was.
    run(*inside("b", "nft", "delete", "table", "ip", "block"))
    world.block("b", 2)
    world.hear({1: ["a", "b"], 2: ["b"]}, away={2: ["b"]})
    world.connect("b", "a", 1)
    told["together"] = [world.ask("b", "a"), world.ask("a", "b")]
    before = world.switched(2)
    told["more"] = [world.ask("b", "a"), world.ask("a", "b")]
    told["switched by hub-2 together"] = world.switched(2) - before
    # And back: hub-1 believes that b is still there, only its echoes are missing.
    run(*inside("b", "nft", "delete", "table", "ip", "block"))
    world.block("b", 1)
    world.hear({1: ["a", "b"], 2: ["b"]}, away={1: ["b"]})
    world.connect("b", "a", 2)
    world.connect("a", "b", 1)
    told["apart again"] = [world.ask("a", "b"), world.ask("b", "a")]
    told["refused"] = [world.status(hub)["refused"] for hub in HUBS]
    return told


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    print(json.dumps(measure(World(Path(sys.argv[1])))))
