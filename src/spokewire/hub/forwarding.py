"""Forwarding between nodes, for as long as this hub runs."""

from spokewire.host import sysctl
from spokewire.host.journal import Journal

_V6_FORWARDING = "net/ipv6/conf/all/forwarding"


def plan_settings(interface: str) -> dict[str, str]:
    """The kernel settings of the interface itself; they vanish with it.

    IPv4 forwarding is a property of the receiving interface (ip-sysctl of the kernel's documentation), so the host's own stays as it is.
    """
    base = f"net/ipv4/conf/{interface}"
    return {f"{base}/forwarding": "1", f"{base}/send_redirects": "0", f"{base}/rp_filter": "0"}


def enable(interface: str, journal: Journal) -> None:
    """Let packets pass from node to node. What is not the interface's own is journalled with its old value first."""
    for key, value in plan_settings(interface).items():
        if sysctl.read(key) not in (value, None):
            sysctl.write(key, value)
    before = sysctl.read(_V6_FORWARDING)
    if before == "0":
        # Setting it for all interfaces sets it for each, and so does undoing it: those that had it keep it, because they are undone last.
        for key in (*_interface_keys("forwarding"), "net/ipv6/conf/default/forwarding"):
            if sysctl.read(key) == "1":
                journal.write("sysctl", key, "1")
        journal.write("sysctl", _V6_FORWARDING, before)
        # A forwarding host stops listening to router advertisements unless accept_ra is 2 (ip-sysctl), and would lose its IPv6 route.
        for key in _interface_keys("accept_ra"):
            if sysctl.read(key) == "1":
                journal.write("sysctl", key, "1")
                sysctl.write(key, "2")
        sysctl.write(_V6_FORWARDING, "1")


def undo(key: str, value: str, journal: Journal) -> None:
    """Give a setting its old value back; one whose interface is gone needs none."""
    if sysctl.read(key) not in (value, None):
        sysctl.write(key, value)
    journal.cross_out("sysctl", key)


def _interface_keys(setting: str) -> list[str]:
    return [
        f"net/ipv6/conf/{name}/{setting}"
        for name in sysctl.names("net/ipv6/conf")
        if name not in ("all", "default", "lo")
    ]
