"""The rivals' tunnels: plain WireGuard tunnels by hand, and Nebula through its relay."""

import subprocess
from pathlib import Path

from bench.relay.places import Place, Places

DIRECT, NESTED = ("10.97.0.1", "10.97.0.2"), ("10.98.0.1", "10.98.0.2")
NEBULA = {"hub-1": "10.99.0.1", "node-1": "10.99.0.11", "node-2": "10.99.0.12"}
NEBULA_PORT = 4242
NEBULA_MTU = 1400
"""The most that fits through its relay: it wraps packets twice, 92 bytes with IP and UDP. Its default is 1300."""
DIRECT_PORT, NESTED_PORT = 51_900, 51_901
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


def add_nebula(places: Places, folder: Path) -> None:
    """Nebula on a lighthouse that relays and on two nodes that cannot reach each other directly."""
    _cert(folder, "ca", "-name", "bench")
    for name, address in NEBULA.items():
        _cert(folder, "sign", "-name", name, "-ip", f"{address}/24")
        config = folder / f"{name}.yml"
        config.write_text(_configuration(name, folder, places["hub-1"].public_address))
    # Nebula tries every address of a node, those of other tunnels too.
    rule = f"udp dport {NEBULA_PORT} ip saddr != {places['hub-1'].public_address} drop"
    apart = f"table ip apart {{\n chain input {{\n type filter hook input priority 0;\n {rule}\n }}\n}}\n"
    for name in ("node-1", "node-2"):
        places[name].run("nft", "-f", "-", stdin=apart)
    for name, place in places.items():
        place.start("nebula", "nebula", "-config", str(folder / f"{name}.yml"))
        place.run("sh", "-c", _WAIT.format(f"ip addr show to {NEBULA[name]} | grep -q inet"))


def _cert(folder: Path, *words: str) -> None:
    subprocess.run(["nebula-cert", *words], cwd=folder, check=True)


def _configuration(name: str, folder: Path, hub: str) -> str:
    is_hub = name == "hub-1"
    return f"""pki: {{ca: {folder}/ca.crt, cert: {folder}/{name}.crt, key: {folder}/{name}.key}}
static_host_map: {{"{NEBULA["hub-1"]}": ["{hub}:{NEBULA_PORT}"]}}
lighthouse:
  am_lighthouse: {str(is_hub).lower()}
  interval: 10
  hosts: [{"" if is_hub else '"' + NEBULA["hub-1"] + '"'}]
listen: {{host: 0.0.0.0, port: {NEBULA_PORT}}}
relay:
  am_relay: {str(is_hub).lower()}
  use_relays: true
  relays: [{"" if is_hub else '"' + NEBULA["hub-1"] + '"'}]
tun: {{dev: nebula, mtu: {NEBULA_MTU}}}
logging: {{level: warning, format: text}}
firewall:
  outbound: [{{port: any, proto: any, host: any}}]
  inbound: [{{port: any, proto: any, host: any}}]
"""
