"""A stock WireGuard client: nothing but `wg`, `ip` and the exported file."""

from tests.lab.world import Network

DEVICE = (
    "ip link add wg0 type wireguard 2>/dev/null || "
    "{ wireguard-go -f wg0 & while [ ! -e /var/run/wireguard/wg0.sock ]; do sleep 0.05; done; }"
)


def join_stock_client(network: Network, machine: str, exported: str) -> None:
    """Do by hand on a bare machine what `wg-quick up` does with the exported file."""
    fields = dict(line.split(" = ", 1) for line in exported.splitlines() if " = " in line)
    assert {"PrivateKey", "Address", "PublicKey", "AllowedIPs", "Endpoint"} <= fields.keys()
    stripped = "\n".join(line for line in exported.splitlines() if not line.startswith(("Address", "MTU", "DNS", "#")))
    configure = (
        f"wg setconf wg0 /dev/stdin <<'END' && ip link set wg0 up mtu {fields.get('MTU', '1420')}\n{stripped}\nEND"
    )
    network.exec(
        machine, "sh", "-ec", f"mkdir -p /var/run/wireguard\n({DEVICE}) >/dev/null 2>&1 </dev/null\n{configure}"
    )
    for address in fields["Address"].split(", "):
        network.exec(machine, "ip", "address", "add", address, "dev", "wg0")
    network.exec(machine, "ip", "route", "replace", "10.88.0.0/24", "dev", "wg0")
