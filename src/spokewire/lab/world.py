"""The lab's world: PID, mount and network namespaces (and a user namespace where we are not root) that one process holds.

    first process (sh)                 its death ends everything: the kernel removes processes, interfaces, mounts, rules
      network namespace "internet"     br0 203.0.113.254/24 (TEST-NET-3 of RFC 5737) and 2001:db8::254/64 (RFC 3849): the operator's commands
                                       run here
        up-N ── hub-1                  a machine: PID, mount, UTS and network namespace of its own
        up-N ── nat-N ── node-1        a NAT router: a network namespace; behind it the machine
      /run                             a tmpfs that only this world sees: the machines' disks and what is known of them

The process list is the inventory: a world is found by its command line, which names the folder that it belongs to.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

from spokewire.errors import Code, PermanentError
from spokewire.host import clock, files, processes

MARK = "spokewire-lab"
INSIDE = "SPOKEWIRE_LAB_WORLD"
"""Set to the world's folder for commands that already run inside it."""
BRIDGE = "br0"
INTERNET = IPv4Interface("203.0.113.254/24")
INTERNET6 = IPv6Interface("2001:db8::254/64")
START_TIMEOUT_S = 20.0

_INIT = f"""
set -eu
mount -n -t tmpfs -o mode=755 {MARK} /run
[ -L /var/run ] || mount -n --bind /run /var/run
mkdir -p /run/netns /run/lab/machines /run/lab/disks
mount -n -t sysfs sysfs /sys
ip link set lo up
ip link add {BRIDGE} type bridge
ip addr add {INTERNET} dev {BRIDGE}
off=$(cat /proc/sys/net/ipv6/conf/{BRIDGE}/disable_ipv6 || echo 1)
[ "$off" = 1 ] || ip addr add {INTERNET6} dev {BRIDGE} nodad
ip link set {BRIDGE} up
echo ready > /run/lab/ready
exec <&- >&- 2>&-
while :; do sleep 3600 & wait $!; done
"""


@dataclass(frozen=True)
class World:
    """A running world. `pid` is its first process as we see it; None where we are inside."""

    folder: Path
    pid: int | None

    @property
    def root(self) -> Path:
        """The world's file system, as we reach it."""
        return Path("/") if self.pid is None else Path(f"/proc/{self.pid}/root")

    def enter(self, command: Sequence[str], pid: int | None = None) -> list[str]:
        """The command line that runs a command inside the world; with `pid` (as the world counts) inside the machine of that process."""
        inside = (
            []
            if pid is None
            else ["nsenter", "--net", "--mount", "--pid", "--uts", "--target", str(pid), "--", *_bare(command)]
        )
        if self.pid is None:
            return inside or list(command)
        user = ["--user", "--preserve-credentials"] if _has_user_namespace(self.pid) else []
        return ["nsenter", *user, "--net", "--mount", "--pid", "--target", str(self.pid), "--", *(inside or command)]

    def run(self, command: Sequence[str], *, pid: int | None = None, stdin: str = "") -> str:
        """Run a command inside that must succeed."""
        return processes.run(self.enter(command, pid), stdin=stdin)

    def environment(self) -> dict[str, str]:
        """The environment of a command that runs inside."""
        return {**os.environ, INSIDE: str(self.folder)}

    def stop(self) -> None:
        """End the world, and wait until the kernel has removed it."""
        if self.pid is None:
            raise PermanentError(Code.LAB_FAILED, "A lab cannot be ended from inside.")
        started = processes.start_time(self.pid)
        if started is not None:
            processes.end(self.pid, started)
            processes.wait_until_gone(self.pid, started, START_TIMEOUT_S)


def find_world(folder: Path) -> World | None:
    """Find the running world of a folder; None if there is none."""
    if os.environ.get(INSIDE) == str(folder):
        return World(folder, None)
    for pid, words in processes.command_lines():
        if words[:1] == ["sh"] and words[3:] == [MARK, str(folder)] and processes.namespace_ids(pid)[1:2] == [1]:
            return World(folder, pid)
    return None


def start_world(folder: Path, *, dies_with_us: bool = False) -> World:
    """Start a world for a folder; with `dies_with_us` the kernel ends it when this process ends, however it ends."""
    root = os.geteuid() == 0
    argv = [
        "unshare",
        *([] if root else ["--user", "--map-root-user"]),
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child",
    ]
    argv += ["sh", "-c", _INIT, MARK, str(folder)]
    if dies_with_us:
        argv = ["setpriv", "--pdeathsig", "KILL", "--", *argv]
    log_path = folder / "lab.log"
    files.make_private_folder(folder)
    files.remove(log_path)
    pid = processes.spawn(argv, log_path=log_path)
    started = processes.start_time(pid)
    deadline = clock.monotonic() + START_TIMEOUT_S
    while True:
        world = find_world(folder)
        if world is not None and (world.root / "run/lab/ready").exists():
            files.remove(log_path)
            return world
        if started is None or not processes.is_alive(pid, started) or clock.monotonic() > deadline:
            words = " ".join((files.read(log_path) or "").split()) or "it did not come up"
            files.remove(log_path)
            if started is not None:
                processes.end(pid, started)
            raise PermanentError(
                Code.LAB_FAILED,
                f"The lab cannot be started: {words}.",
                hint="See `spokewire doctor`: namespaces are needed.",
            )
        processes.pause(0.01)


def become(world: World, argv: Sequence[str], extra: Mapping[str, str] | None = None) -> None:
    """Go on inside the world, as another process in our place; does not return.

    `nsenter` stays between us and the command, so two things are seen to. A killed command must not go on behind the user's back, holding
    the network's lock: it dies with `nsenter`. An interrupt from the terminal is the command's to handle: `nsenter` waits for it.
    """
    command = ["setpriv", "--pdeathsig", "KILL", "--", "env", "--default-signal=INT", *argv]
    inside = ["env", "--ignore-signal=INT", *world.enter(command)]
    processes.replace_self(inside, {**world.environment(), **(extra or {})})


def _bare(command: Sequence[str]) -> list[str]:
    """Run a command in a machine without the mark of the world, so that it finds itself on a machine like any other."""
    return ["env", "-u", INSIDE, *command]


def _has_user_namespace(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/ns/user").readlink() != Path("/proc/self/ns/user").readlink()
    except OSError:
        return True
