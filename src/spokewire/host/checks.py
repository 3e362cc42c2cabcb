"""What a machine must have to run a lab, a hub or a node. Each check looks for real and changes nothing outside a throw-away namespace."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network

from spokewire.errors import SpokewireError
from spokewire.host import processes
from spokewire.host.links import Links

_APT = "apt-get install --no-install-recommends"


@dataclass(frozen=True)
class Check:
    """One check: what was looked at, what was found, and how to cure it ("" if it is well)."""

    name: str
    ok: bool
    found: str
    fix: str = ""


def check_machine(cidr: str) -> list[Check]:
    """Check this machine for an overlay of addresses `cidr`."""
    checks: list[Callable[[], Check]] = [
        _check_tools,
        _check_namespaces,
        _check_wireguard,
        _check_tun,
        _check_nftables,
        lambda: _check_overlaps(cidr),
    ]
    return [check() for check in checks]


def _throw_away() -> list[str]:
    """The command line that runs a command in namespaces of its own."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]


def _check_tools() -> Check:
    missing = [
        tool for tool in ("wg", "nft", "ip", "tc", "unshare", "nsenter", "setpriv") if not processes.installed(tool)
    ]
    if not missing:
        return Check("tools", True, "wg, nft, ip, tc, unshare, nsenter, setpriv")
    packages = sorted({processes.PACKAGES.get(tool, "util-linux") for tool in missing})
    return Check("tools", False, f"missing: {', '.join(missing)}", f"{_APT} {' '.join(packages)}")


def _check_namespaces() -> Check:
    outcome = _attempt([*_throw_away(), "true"])
    if outcome.status == 0:
        kind = "network, mount and PID namespaces" + ("" if os.geteuid() == 0 else ", through a user namespace")
        return Check("namespaces", True, kind)
    fix = "Run as root, or allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0; in a container: --cap-add SYS_ADMIN."
    return Check("namespaces", False, outcome.stderr.strip() or "unshare fails", fix)


def _check_wireguard() -> Check:
    outcome = _attempt([*_throw_away(), "ip", "link", "add", "wg-doctor", "type", "wireguard"])
    if outcome.status == 0:
        return Check("WireGuard", True, "in the kernel")
    if processes.installed("wireguard-go"):
        return Check("WireGuard", True, "wireguard-go (the kernel has none)")
    return Check(
        "WireGuard", False, "neither in the kernel nor as wireguard-go", f"modprobe wireguard, or: {_APT} wireguard-go"
    )


def _check_tun() -> Check:
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except FileNotFoundError:
        return Check(
            "/dev/net/tun",
            False,
            "it does not exist",
            "modprobe tun; in a container: --device /dev/net/tun. Needed for wireguard-go only.",
        )
    except OSError as error:
        return Check(
            "/dev/net/tun",
            False,
            f"it cannot be opened: {error.strerror}",
            "chmod 0666 /dev/net/tun (as Debian has it), or run as root. Needed for wireguard-go only.",
        )
    return Check("/dev/net/tun", True, "it can be opened")


def _check_nftables() -> Check:
    rules = "add table inet t; add chain inet t c { type filter hook input priority 0; }; add rule inet t c ct state established accept; add rule inet t c numgen random mod 100 < 5 drop"
    outcome = _attempt([*_throw_away(), "nft", rules])
    if outcome.status == 0:
        return Check("nftables", True, "filter, conntrack and numgen work")
    return Check(
        "nftables",
        False,
        outcome.stderr.strip().splitlines()[0] if outcome.stderr.strip() else "nft fails",
        "modprobe nf_tables nf_conntrack nft_ct; the kernel needs CONFIG_NF_TABLES.",
    )


def _check_overlaps(cidr: str) -> Check:
    links = Links()
    try:
        found = links.find_overlaps([IPv4Network(cidr)], ignore="")
    except SpokewireError as error:
        return Check("address plan", False, error.message, error.hint)
    if not found:
        return Check("address plan", True, f"{cidr} overlaps with nothing here")
    return Check(
        "address plan",
        False,
        f"{cidr} overlaps with {found[0]}",
        "Choose another cidr in spokewire.toml if this machine is to be a hub or a node; the lab does not mind.",
    )


def _attempt(argv: list[str]) -> processes.Outcome:
    try:
        return processes.attempt(argv)
    except SpokewireError as error:
        return processes.Outcome(127, "", error.message)
