"""Breaking a machine as anybody with a shell on it could, and mending what a service manager would mend."""

import os
import subprocess

from tests.lab.world import DAEMON, Network

INTERFACE = "wg-demo"
DEVICE = rf"wireguard-go -f {INTERFACE}"
TABLE = "spokewire_demo"
STATE = "/run/disk/spokewire/demo"
_TIME_START = """
import subprocess, sys, time, urllib.request
with open(sys.argv[2], "ab") as log:
    begun = time.monotonic()
    subprocess.Popen(["sh", sys.argv[1]], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
while True:
    try:
        urllib.request.urlopen("http://127.0.0.1:8000/status", timeout=2).read()
        break
    except OSError:
        time.sleep(0.01)
print(time.monotonic() - begun)
"""


def delete_interface(network: Network, machine: str) -> None:
    network.exec(machine, "ip", "link", "del", INTERFACE)


def remove_address(network: Network, machine: str) -> None:
    network.exec(machine, "ip", "-4", "address", "flush", "dev", INTERFACE)


def remove_peer(network: Network, machine: str, peer: str) -> None:
    """`peer`: its WireGuard key."""
    network.exec(machine, "wg", "set", INTERFACE, "peer", peer, "remove")


def delete_table(network: Network, machine: str) -> None:
    network.exec(machine, "nft", "delete", "table", "inet", TABLE)


def flush_rules(network: Network, machine: str) -> None:
    network.exec(machine, "nft", "flush", "ruleset")


def rules(network: Network, machine: str) -> str:
    """Our table as the kernel lists it; "" if it is not there."""
    return network.exec(machine, "nft", "--stateless", "list", "table", "inet", TABLE, expect=None).out


def kill(network: Network, machine: str, *patterns: str) -> None:
    """Kill all processes of these command lines at once; the daemon first, so that it cannot mend what is killed with it."""
    found = [pid for pattern in patterns for pid in network.find(machine, pattern)]
    network.exec(machine, "kill", "-KILL", *map(str, found))


def kill_device(network: Network, machine: str) -> None:
    kill(network, machine, DEVICE)


def kill_daemon(network: Network, machine: str) -> None:
    kill(network, machine, DAEMON)


def kill_all_of_ours(network: Network, machine: str) -> None:
    """What happens to a container that is killed: the daemon and its wireguard-go end together."""
    kill(network, machine, DAEMON, DEVICE)


def start_daemon(network: Network, machine: str) -> None:
    """What a service manager does: start the daemon again on a machine that runs."""
    network.exec(machine, "sh", "-c", "sh /run/disk/boot < /dev/null >> /run/disk/daemon.log 2>&1 &")


def time_start(network: Network, machine: str) -> float:
    """Start a node's agent again; return how many seconds after its process its status server answered."""
    return float(network.python(machine, _TIME_START, "/run/disk/boot", "/run/disk/daemon.log").out)


def renew_router(network: Network, home: str, before: str, after: str) -> None:
    """`home`: the address that the lab gave to the router, by which it is called. What a router does that was switched off and on: it forgets every mapping, and may have another address.

    The kernel drops the mappings of a masquerading router when the address goes that they were made with.
    """
    user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    world = ["nsenter", *user, "--net", "--mount", "--pid", "--target", str(network.first_process()), "--"]
    commands = [f"addr del {before}/24 dev wan", f"addr add {after}/24 dev wan", "route add default via 203.0.113.254"]
    router = f"nat-{home.rpartition('.')[2]}"
    subprocess.run([*world, "ip", "-netns", router, "-batch", "-"], input="\n".join(commands), text=True, check=True)


def public_address(network: Network, machine: str) -> str:
    """The address that the lab gave to a machine's router."""
    listed = network.run("lab", "list", "--json").data
    return next(str(found["public_address"]) for found in listed if found["name"] == machine)
