"""The rivals' tunnels: plain WireGuard tunnels by hand, and Nebula through its relay."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.relay.places import Place, Places

DIRECT, NESTED = ("10.97.0.1", "10.97.0.2"), ("10.98.0.1", "10.98.0.2")
NEBULA = {"hub-1": "10.99.0.1", "hub-2": "10.99.0.2", "node-1": "10.99.0.11", "node-2": "10.99.0.12"}
NEBULA_PORT = 4242
NEBULA_MTU = 1400
"""The most that fits through its relay: it wraps packets twice, 92 bytes with IP and UDP. Its default is 1300."""
DIRECT_PORT, NESTED_PORT, PLAIN_PORT = 51_900, 51_901, 51_902
PLAIN = ("10.96.0.1", "10.96.0.2", "10.96.0.3")
"""The hub and two nodes."""
DIRECT_MTU, NESTED_MTU = 1420, 1340
_WAIT = "for _ in $(seq 500); do {} >/dev/null 2>&1 && exit 0; sleep 0.02; done; exit 1"


def add_wireguard(
    ends: tuple[Place, Place], addresses: tuple[str, str], endpoints: tuple[str, str], port: int, mtu: int
) -> None:
    """A WireGuard tunnel between two machines, by wireguard-go, each with the other's endpoint."""
    device = f"wgb{port}"
    privates = [end.run("wg", "genkey").strip() for end in ends]
    publics = [end.run("wg", "pubkey", stdin=private) for end, private in zip(ends, privates, strict=True)]
    for here, there in ((0, 1), (1, 0)):
        end = ends[here]
        end.start(device, "wireguard-go", "-f", device)
        end.run("sh", "-c", _WAIT.format(f"wg show {device}"))
        end.run(
            "wg",
            "setconf",
            device,
            "/dev/stdin",
            stdin=f"[Interface]\nPrivateKey = {privates[here]}\nListenPort = {port}\n[Peer]\nPublicKey = {publics[there].strip()}\n"
            f"AllowedIPs = {addresses[there]}/32\nEndpoint = {endpoints[there]}:{port}\n",
        )
        end.run("ip", "addr", "add", f"{addresses[here]}/24", "dev", device)
        end.run("ip", "link", "set", device, "mtu", str(mtu), "up")


def add_plain_hub(hub: Place, nodes: tuple[Place, Place]) -> str:
    """Plain WireGuard as its quick start has it: both nodes have the hub as their only peer, which routes. Return the second node's address."""
    machines, device, addresses = (hub, *nodes), f"wgb{PLAIN_PORT}", PLAIN
    privates = [machine.run("wg", "genkey").strip() for machine in machines]
    publics = [machine.run("wg", "pubkey", stdin=key).strip() for machine, key in zip(machines, privates, strict=True)]
    to_hub = f"[Peer]\nPublicKey = {publics[0]}\nAllowedIPs = {PLAIN[0]}/24\nEndpoint = {hub.public_address}:{PLAIN_PORT}\nPersistentKeepalive = 25\n"
    to_nodes = "".join(f"[Peer]\nPublicKey = {publics[at]}\nAllowedIPs = {addresses[at]}/32\n" for at in (1, 2))
    for at, machine in enumerate(machines):
        machine.start(device, "wireguard-go", "-f", device)
        machine.run("sh", "-c", _WAIT.format(f"wg show {device}"))
        head = f"[Interface]\nPrivateKey = {privates[at]}\nListenPort = {PLAIN_PORT}\n"
        machine.run("wg", "setconf", device, "/dev/stdin", stdin=head + (to_hub if at else to_nodes))
        machine.run("ip", "addr", "add", f"{addresses[at]}/24", "dev", device)
        machine.run("ip", "link", "set", device, "up")
    hub.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    return addresses[2]


def add_nebula(places: Places, folder: Path) -> None:
    """Nebula on lighthouses that relay and on two nodes that cannot reach each other directly."""
    hubs = {NEBULA[name]: place.public_address for name, place in places.items() if name.startswith("hub")}
    _cert(folder, "ca", "-name", "bench")
    for name in places:
        _cert(folder, "sign", "-name", name, "-ip", f"{NEBULA[name]}/24")
        config = folder / f"{name}.yml"
        config.write_text(_configuration(name, folder, hubs))
    # Nebula tries every address of a node, those of other tunnels too.
    rule = f"udp dport {NEBULA_PORT} ip saddr != {{ {', '.join(hubs.values())} }} drop"
    apart = f"table ip apart {{\n chain input {{\n type filter hook input priority 0;\n {rule}\n }}\n}}\n"
    for name in ("node-1", "node-2"):
        places[name].run("nft", "-f", "-", stdin=apart)
    for name, place in places.items():
        place.start("nebula", "nebula", "-config", str(folder / f"{name}.yml"))
        place.run("sh", "-c", _WAIT.format(f"ip addr show to {NEBULA[name]} | grep -q inet"))


def _cert(folder: Path, *words: str) -> None:
    subprocess.run(["nebula-cert", *words], cwd=folder, check=True)


def _configuration(name: str, folder: Path, hubs: Mapping[str, str]) -> str:
    """`hubs`: their addresses within and without."""
    is_hub = NEBULA[name] in hubs
    places = ", ".join(f'"{within}": ["{without}:{NEBULA_PORT}"]' for within, without in hubs.items())
    used = "" if is_hub else ", ".join(f'"{within}"' for within in hubs)
    return f"""pki: {{ca: {folder}/ca.crt, cert: {folder}/{name}.crt, key: {folder}/{name}.key}}
static_host_map: {{{places}}}
lighthouse:
  am_lighthouse: {str(is_hub).lower()}
  interval: 10
  hosts: [{used}]
listen: {{host: 0.0.0.0, port: {NEBULA_PORT}}}
relay:
  am_relay: {str(is_hub).lower()}
  use_relays: true
  relays: [{used}]
tun: {{dev: nebula, mtu: {NEBULA_MTU}}}
logging: {{level: warning, format: text}}
firewall:
  outbound: [{{port: any, proto: any, host: any}}]
  inbound: [{{port: any, proto: any, host: any}}]
"""
