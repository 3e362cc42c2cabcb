"""Breaking and mending machines of the lab, with the command line and with what any machine has."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.lab.world import DAEMON, Network
from tests.soak.chaos import Fault, Kind
from tests.soak.truth import Turn

BOOT_S = 3.0
"""From the start of a daemon's process, or of a machine, until it must do its work: Python itself takes one of them here."""
WHY = {
    Kind.MACHINE_OFF: "switched off",
    Kind.DAEMON_KILLED: "the agent is dead",
    Kind.DAEMON_STOPPED: "hangs",
}
"""What docs/howto/read-a-status.md calls them."""
LINK = {Kind.LINK_DOWN: "down", Kind.LOSS_20: "loss=20%", Kind.LOSS_5: "loss=5%", Kind.RATE: "rate=256kbit"}
AGENT = (Kind.MACHINE_OFF, Kind.DAEMON_KILLED, Kind.DAEMON_STOPPED)
INTERFACE = "wg-demo"


@dataclass
class Breaker:
    """Carries out faults, and notes what they do to the agents."""

    network: Network
    routers: Mapping[str, str]
    """Machine to the address of its NAT router."""
    keys: Mapping[str, str]
    """Machine to its WireGuard key."""
    boot_programs: Callable[[str], None]
    """Starts our own traffic and reader in a node that has booted."""
    turns: dict[str, list[Turn]] = field(default_factory=dict)

    def strike(self, fault: Fault) -> None:
        begun_at = time.time()
        why = "" if fault.machine not in self.routers else WHY.get(fault.kind, "")
        self._strike(fault)
        if fault.kind in AGENT:
            self._note(fault.machine, Turn(begun_at, up=False, why=why, settles_s=time.time() - begun_at))

    def mend(self, fault: Fault) -> None:
        begun_at = time.time()
        self._mend(fault)
        if fault.kind in AGENT:
            boot_s = 0.0 if fault.kind is Kind.DAEMON_STOPPED else BOOT_S
            self._note(fault.machine, Turn(begun_at, up=True, settles_s=time.time() - begun_at + boot_s))

    def _note(self, machine: str, turn: Turn) -> None:
        self.turns.setdefault(machine, []).append(turn)

    def _strike(self, fault: Fault) -> None:
        machine = fault.machine
        if fault.kind in LINK:
            self.network.run("lab", "link", machine, LINK[fault.kind])
        elif fault.kind is Kind.NAT_FORGETS:
            self._renew_router(self.routers[machine])
        elif fault.kind is Kind.MACHINE_OFF:
            self.network.run("lab", "kill", machine)
        else:
            self._strike_inside(fault)

    def _mend(self, fault: Fault) -> None:
        machine = fault.machine
        if fault.kind in LINK:
            self.network.run("lab", "link", machine, "up")
        elif fault.kind is Kind.MACHINE_OFF:
            self.network.run("lab", "restart", machine)
            self.boot_programs(machine)
        elif fault.kind is Kind.DAEMON_KILLED:
            self.network.exec(machine, "sh", "-c", "sh /run/disk/boot < /dev/null >> /run/disk/daemon.log 2>&1 &")
        elif fault.kind is Kind.DAEMON_STOPPED:
            self._signal(machine, "CONT", DAEMON)

    def _strike_inside(self, fault: Fault) -> None:
        """What anybody with a shell on the machine could do."""
        machine = fault.machine
        match fault.kind:
            case Kind.DAEMON_KILLED:
                self._signal(machine, "KILL", DAEMON)
            case Kind.DAEMON_STOPPED:
                self._signal(machine, "STOP", DAEMON)
            case Kind.DEVICE_KILLED:
                self._signal(machine, "KILL", rf"wireguard-go -f {INTERFACE}")
            case Kind.INTERFACE_DELETED:
                self.network.exec(machine, "ip", "link", "del", INTERFACE)
            case Kind.RULES_FLUSHED:
                self.network.exec(machine, "nft", "flush", "ruleset")
            case Kind.PEER_REMOVED:
                self.network.exec(machine, "wg", "set", INTERFACE, "peer", self.keys[fault.other], "remove")
            case _:
                raise AssertionError(fault)

    def _signal(self, machine: str, name: str, pattern: str) -> None:
        found = self.network.find(machine, pattern)
        self.network.exec(machine, "kill", f"-{name}", *map(str, found))

    def _renew_router(self, address: str) -> None:
        """The kernel drops the mappings of a masquerading router when the address goes that they were made with."""
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        world = [*user, "--net", "--mount", "--pid", "--target", str(self.network.first_process())]
        commands = [f"addr {verb} {address}/24 dev wan" for verb in ("del", "add")]
        commands.append("route add default via 203.0.113.254")
        ip = ["ip", "-netns", f"nat-{address.rpartition('.')[2]}", "-batch", "-"]
        subprocess.run(["nsenter", *world, "--", *ip], input="\n".join(commands), text=True, check=True)
