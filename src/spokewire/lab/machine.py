"""Lab machines: boot, power cut, removal, uplink faults.

A machine is a PID, mount, UTS and network namespace held by a small shell, the machine's first process. Its disk is a folder of the world's
tmpfs, seen inside as /run/disk; everything else of /run is new at each boot. A power cut kills every process of the machine at once, and with
them goes its network namespace, as the kernel tables of a real machine would.
"""

import json
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from spokewire.errors import Code, InputError, PermanentError, TemporaryError
from spokewire.host import clock, files, processes
from spokewire.lab import plan
from spokewire.lab.plan import LinkFault, Wiring
from spokewire.lab.world import World
from spokewire.network.names import MachineName
from spokewire.network.spec import Family, Nat

BOOT_TIMEOUT_S = 30.0
STATE_FOLDER = "/run/disk/spokewire"
LOG = "daemon.log"
MARK = "spokewire-machine"
_INIT = """
set -eu
name=$1
read -r pid _ < /proc/self/stat
echo "$pid" > /run/lab/machines/$name.pid.new
mv /run/lab/machines/$name.pid.new /run/lab/machines/$name.pid
read -r _ < /run/lab/machines/$name.go
hostname "$name" 2>/dev/null || echo "$name" > /proc/sys/kernel/hostname || :
mkdir -p /run/lab/mount-$name
mount -n -t tmpfs -o mode=755 machine /run/lab/mount-$name
mkdir -p /run/lab/mount-$name/disk /run/lab/mount-$name/wireguard
mount -n --bind /run/lab/disks/$name /run/lab/mount-$name/disk
mount -n --move /run/lab/mount-$name /run
[ -L /var/run ] || mount -n --bind /run /var/run
mount -n -t proc proc /proc
mount -n -t sysfs sysfs /sys
cd /
: > /run/disk/booted || :
if [ -e /run/disk/boot ]; then sh /run/disk/boot < /dev/null >> /run/disk/daemon.log 2>&1 & fi
exec < /dev/null > /dev/null 2>&1
while :; do sleep 3600 & wait $!; done
"""


@dataclass(frozen=True)
class LabMachine:
    """What is known of a machine, kept beside its disk. `pid` (as the world counts) is None when the power is off."""

    name: MachineName
    role: str
    wiring: Wiring
    complete: bool = False
    fault: LinkFault = field(default_factory=LinkFault)
    pid: int | None = None


class Machines:
    """The machines of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._folder = world.root / "run/lab"

    def observe(self) -> list[LabMachine]:
        """Every machine that exists, running or not."""
        found = [self._load(path) for path in sorted((self._folder / "machines").glob("*.json"))]
        return [machine for machine in found if machine is not None]

    def find(self, name: str) -> LabMachine:
        """The machine of that name; InputError if there is none."""
        for machine in self.observe():
            if machine.name == name:
                return machine
        known = ", ".join(machine.name for machine in self.observe()) or "none"
        raise InputError(Code.NAME_UNKNOWN, f"The lab has no machine called {name!r}.", hint=f"It has: {known}.")

    def create(
        self,
        name: MachineName,
        role: str,
        nat: Nat,
        boot: Callable[[Wiring], str] | None,
        family: Family = Family.IPV4,
    ) -> LabMachine:
        """Make a machine and switch it on. `boot` writes the shell script that starts its daemon; None: a bare machine."""
        machine = LabMachine(name, role, self._claim_wiring(name, role, nat, family))
        disk = self._folder / "disks" / name
        files.make_private_folder(disk)
        if boot is not None:
            files.write(disk / "boot", boot(machine.wiring))
        if machine.wiring.router is not None:
            self._build_router(machine.wiring)
        self._boot(machine)
        machine = replace(machine, complete=True)
        self._store(machine)
        return self.find(name)

    def kill(self, machine: LabMachine) -> None:
        """Cut the power: the uplink goes first, so that not even a FIN gets out."""
        if machine.pid is None:
            return
        if machine.wiring.router is None:
            self._ip(f"link set {machine.wiring.uplink} down\n")
        else:
            self._ip("link set lan down\n", machine.wiring.router)
        self._world.run(["kill", "-KILL", str(machine.pid)])
        deadline = clock.monotonic() + BOOT_TIMEOUT_S
        while self._running_pid(machine.name) is not None:
            if clock.monotonic() > deadline:
                raise TemporaryError(Code.TIMEOUT, f"{machine.name} does not end.")
            processes.pause(0.01)
        self._clear_cables(machine.wiring)

    def restart(self, machine: LabMachine) -> LabMachine:
        """Switch a machine on again, off first if need be, with its disk as it was."""
        self.kill(machine)
        self._boot(replace(machine, pid=None))
        return self.find(machine.name)

    def destroy(self, machine: LabMachine) -> None:
        """Remove a machine with its disk, its router and its cables."""
        self.kill(machine)
        self._clear_cables(machine.wiring)
        if machine.wiring.router is not None:
            self._ip(f"link del {machine.wiring.uplink}\n", force=True)
            self._world.run(["sh", "-c", f"ip netns del {machine.wiring.router} 2>/dev/null || :"])
        self._nft(plan.loss_rules(machine.wiring, LinkFault()))
        files.remove_folder(self._folder / "disks" / machine.name)
        for suffix in ("pid", "go", "json"):
            files.remove(self._folder / "machines" / f"{machine.name}.{suffix}")

    def set_fault(self, machine: LabMachine, fault: LinkFault) -> None:
        """Break or mend the uplink of a machine."""
        self._store(replace(machine, fault=fault))
        self._apply_fault(machine.wiring, fault)

    def enter(self, machine: LabMachine, command: list[str]) -> list[str]:
        """The command line that runs a command inside a machine."""
        if machine.pid is None:
            raise TemporaryError(
                Code.LAB_FAILED,
                f"{machine.name} is switched off.",
                hint=f"Switch it on: spokewire lab restart {machine.name}.",
            )
        return self._world.enter(command, machine.pid)

    def log_path(self, machine: LabMachine) -> Path:
        """Where the output of the machine's daemon is."""
        return self._folder / "disks" / machine.name / LOG

    def _boot(self, machine: LabMachine) -> None:
        base = self._folder / "machines" / machine.name
        files.remove(base.with_suffix(".pid"))
        self._clear_cables(machine.wiring)
        self._world.run(
            [
                "sh",
                "-c",
                f"[ -p /run/lab/machines/{machine.name}.go ] || mkfifo -m 600 /run/lab/machines/{machine.name}.go",
            ]
        )
        argv = [
            "unshare",
            "--net",
            "--mount",
            "--pid",
            "--uts",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            _INIT,
            MARK,
            machine.name,
        ]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SPOKEWIRE_")}
        processes.spawn(self._world.enter(argv), environment=environment, log_path=self.log_path(machine))
        pid = self._wait_for_pid(machine.name)
        if machine.wiring.router is None:
            self._ip(plan.wire_public(machine.wiring, pid))
        else:
            self._ip(plan.wire_lan(machine.wiring, pid), machine.wiring.router)
        self._world.run(
            ["nsenter", "--net", "--target", str(pid), "--", "ip", "-batch", "-"],
            stdin=plan.configure_machine(machine.wiring),
        )
        if machine.fault != LinkFault():
            self._apply_fault(machine.wiring, machine.fault)
        booted = self._folder / "disks" / machine.name / "booted"
        files.remove(booted)
        self._world.run(["sh", "-c", f"echo go > /run/lab/machines/{machine.name}.go"])
        # Whoever enters the machine before its mounts are in place would see another /run than what is started later.
        self._wait_for(booted.exists, machine.name)

    def _wait_for_pid(self, name: str) -> int:
        self._wait_for(lambda: self._running_pid(name) is not None, name)
        pid = self._running_pid(name)
        assert pid is not None
        return pid

    def _wait_for(self, happened: Callable[[], bool], name: str) -> None:
        deadline = clock.monotonic() + BOOT_TIMEOUT_S
        while not happened():
            if clock.monotonic() > deadline:
                raise TemporaryError(
                    Code.LAB_FAILED,
                    f"{name} did not boot within {BOOT_TIMEOUT_S:.0f} s.",
                    hint=f"See: spokewire lab logs {name}.",
                )
            processes.pause(0.005)

    def _build_router(self, wiring: Wiring) -> None:
        router = str(wiring.router)
        self._world.run(["ip", "netns", "add", router])
        self._ip(plan.wire_router(wiring))
        self._ip(plan.configure_router(wiring), router)
        script = "echo 1 > /proc/sys/net/ipv4/ip_forward && exec nft -f -"
        self._world.run(["ip", "netns", "exec", router, "sh", "-c", script], stdin=plan.nat_rules(wiring.nat))

    def _clear_cables(self, wiring: Wiring) -> None:
        """The kernel removes a dead machine's cables in its own time; a new boot must not meet them."""
        if wiring.router is None:
            self._ip(f"link del {wiring.uplink}\n", force=True)
        else:
            self._ip("link del lan\n", wiring.router, force=True)

    def _apply_fault(self, wiring: Wiring, fault: LinkFault) -> None:
        self._ip(f"link set {wiring.uplink} {'down' if fault.down else 'up'} mtu {fault.mtu}\n")
        self._nft(plan.loss_rules(wiring, fault))
        inner = ["ip", "netns", "exec", wiring.router] if wiring.router is not None else None
        self._shape([], wiring.uplink, fault.rate)
        if inner is not None:
            self._shape(inner, "wan", fault.rate)
        else:
            pid = self._running_pid_of(wiring)
            if pid is not None:
                self._shape(["nsenter", "--net", "--target", str(pid), "--"], "eth0", fault.rate)

    def _shape(self, prefix: list[str], device: str, rate: str) -> None:
        self._world.run(
            ["sh", "-c", shlex.join([*prefix, "tc", "qdisc", "del", "dev", device, "root"]) + " 2>/dev/null || :"]
        )
        if rate:
            self._world.run(
                [
                    *prefix,
                    "tc",
                    "qdisc",
                    "add",
                    "dev",
                    device,
                    "root",
                    "tbf",
                    "rate",
                    rate,
                    "burst",
                    "32kb",
                    "latency",
                    "100ms",
                ]
            )

    def _running_pid_of(self, wiring: Wiring) -> int | None:
        return next((machine.pid for machine in self.observe() if machine.wiring.number == wiring.number), None)

    def _ip(self, commands: str, router: str | None = None, *, force: bool = False) -> None:
        netns = [] if router is None else ["-netns", router]
        argv = self._world.enter(["ip", *netns, *(["-force"] if force else []), "-batch", "-"])
        outcome = processes.attempt(argv, stdin=commands)
        if outcome.status != 0 and not force:
            raise PermanentError(
                Code.LAB_FAILED,
                f"The lab's network cannot be built: {outcome.stderr.strip()}.",
                hint="See `spokewire doctor`.",
            )

    def _nft(self, commands: str) -> None:
        self._world.run(["nft", "-f", "-"], stdin=commands)

    def _claim_wiring(self, name: str, role: str, nat: Nat, family: Family) -> Wiring:
        """Claim a free number by making the machine's file: made before anything else, so that an interrupted creation is seen."""
        first = plan.FIRST_HUB if role == "hub" else plan.FIRST_MACHINE
        with self._lock():
            used = {machine.wiring.number for machine in self.observe()}
            number = plan.choose_number(name, first, used)
            if number is None:
                raise PermanentError(
                    Code.LAB_FAILED, f"The lab has no room for {name}: {plan.LAST} machines are its limit."
                )
            wiring = Wiring(number, nat, family)
            self._store(LabMachine(MachineName(name), role, wiring))
        return wiring

    def _lock(self) -> "_Held":
        return _Held(files.Lock(self._folder / "lock", "Another command is changing the lab."))

    def _store(self, machine: LabMachine) -> None:
        fields = {
            "role": machine.role,
            "number": machine.wiring.number,
            "nat": machine.wiring.nat,
            "family": machine.wiring.family,
            "complete": machine.complete,
            "fault": asdict(machine.fault),
        }
        files.write(self._folder / "machines" / f"{machine.name}.json", json.dumps(fields))

    def _load(self, path: Path) -> LabMachine | None:
        text = files.read(path)
        if text is None:
            return None
        fields = json.loads(text)
        return LabMachine(
            name=MachineName(path.stem),
            role=fields["role"],
            wiring=Wiring(fields["number"], Nat(fields["nat"]), Family(fields["family"])),
            complete=fields["complete"],
            fault=LinkFault(**fields["fault"]),
            pid=self._running_pid(path.stem),
        )

    def _running_pid(self, name: str) -> int | None:
        text = files.read(self._folder / "machines" / f"{name}.pid")
        if text is None:
            return None
        words = processes.command_line(int(text), self._world.root / "proc")
        return int(text) if words[-2:] == [MARK, name] else None


class _Held:
    """A lock that is waited for, briefly: machines are created side by side."""

    def __init__(self, lock: files.Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        deadline = clock.monotonic() + BOOT_TIMEOUT_S
        while True:
            try:
                self._lock.acquire()
            except TemporaryError:
                if clock.monotonic() > deadline:
                    raise
                processes.pause(0.01)
            else:
                return

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def daemon_script(role: str, environment: dict[str, str]) -> str:
    """The boot script of a hub or node: the daemon that a systemd unit or a container would start."""
    settings = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
        "SPOKEWIRE_STATE_DIR": STATE_FOLDER,
        **environment,
    }
    lines = [f"export {key}={shlex.quote(value)}" for key, value in settings.items()]
    return "\n".join([*lines, shlex.join(["exec", sys.executable, "-m", "spokewire", role, "run"])]) + "\n"
