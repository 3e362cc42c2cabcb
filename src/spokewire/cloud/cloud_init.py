"""What a new hub is told at its first boot: user_data for cloud-init. Pure but for reading the unit that the package brings.

cloud-init only writes files and starts one unit; that unit repeats until the hub is installed. So neither apt's lock, held for minutes by the first
updates, nor a network that comes late, nor an index that does not answer can leave a hub half-made. cloud-init's own `packages:` gives up after 30 s,
and of its `runcmd` only the last command's status counts: neither is relied on.
"""

import json
import re
from dataclasses import dataclass, field
from importlib.resources import files as package_files

LARGEST = 16 * 1024
"""DigitalOcean takes 64 KiB, others 16."""

_SAFE = re.compile(r"[A-Za-z0-9._~:/%+@\[\]=-]+")
"""What may stand unquoted in a shell script and in an environment file."""

_SCRIPT = """#!/bin/sh
# Brings the hub up. Every step looks first whether it is needed: this may run any number of times.
set -eu
umask 077
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a
missing=
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
command -v wg >/dev/null || missing="$missing wireguard-tools"
command -v nft >/dev/null || missing="$missing nftables"
[ -e /etc/protocols ] || missing="$missing netbase"
if [ -n "$missing" ]; then
    options="-o DPkg::Lock::Timeout=300 -o Acquire::Retries=5 -o APT::Update::Error-Mode=any"
    apt-get $options update
    apt-get $options install -y --no-install-recommends $missing
fi
if [ "$(cat /opt/spokewire/installed 2>/dev/null)" != @SHA256@ ]; then
    rm -rf /opt/spokewire
    install -d -m 0755 /opt/spokewire
    python3 -m venv /opt/spokewire/.venv
    install="/opt/spokewire/.venv/bin/pip install --no-input --disable-pip-version-check --no-deps"
    $install 'spokewire @ @WHEEL@#sha256=@SHA256@'
    # In the wheel are the hashes of all that it needs, so its own vouches for them. Nothing is built here: that would fetch more, and unchecked.
    $install --require-hashes --only-binary :all: -r /opt/spokewire/.venv/lib/python3*/site-packages/spokewire/locked.txt
    echo @SHA256@ > /opt/spokewire/installed
fi
@ADDRESS@
{
    cat /etc/spokewire/hub.made
    echo "SPOKEWIRE_PUBLIC_ADDRESS=$public"
    [ -z "$inside" ] || echo "SPOKEWIRE_INSIDE_ADDRESS=$inside"
} > /etc/spokewire/hub.env
systemctl enable spokewire-hub.service
systemctl restart --no-block spokewire-hub.service
touch /etc/spokewire/installed
"""

_OWN_ADDRESS = """public=$(ip -4 -o route get 192.0.2.1 | sed -n 's/.* src \\([0-9.]*\\).*/\\1/p')
inside=
[ -n "$public" ]"""
"""A droplet's public address is on its own interface: it is where packets to anywhere come from."""

_RESERVED_ADDRESS = """ask() {
    python3 -c 'import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode().strip())' "http://169.254.169.254/metadata/v1/$1"
}
[ "$(ask reserved_ip/ipv4/active)" = true ]
public=$(ask reserved_ip/ipv4/ip_address)
inside=$(ask interfaces/public/0/anchor_ipv4/address)
[ -n "$public" ] && [ -n "$inside" ]"""
"""A reserved IP is translated to the droplet's anchor address, and comes some time after the first boot (docs.digitalocean.com, metadata)."""

_UNIT = """[Unit]
Description=Install Spokewire
Wants=network-online.target
After=network-online.target
ConditionPathExists=!/etc/spokewire/installed
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/spokewire-install
Restart=on-failure
RestartSec=5
TimeoutStartSec=600

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class HubBoot:
    """What a hub is to become."""

    token: str = field(repr=False)
    wheel: str
    wheel_sha256: str
    api_port: int
    open_ports: tuple[str, ...] = ()
    reserved_ip: bool = False


def write_user_data(boot: HubBoot) -> str:
    """The user_data of a hub, in ASCII, at most `LARGEST` bytes. The token is in it: whoever can read it can be this hub until it has joined."""
    for text in (boot.token, boot.wheel, boot.wheel_sha256, *boot.open_ports):
        if not _SAFE.fullmatch(text):
            raise ValueError("this does not fit into a script unquoted")
    unit = (package_files("spokewire.cloud") / "units" / "spokewire-hub.service").read_text()
    made = {
        "SPOKEWIRE_TOKEN": boot.token,
        "SPOKEWIRE_API_PORT": str(boot.api_port),
        "SPOKEWIRE_OPEN_PORTS": " ".join(boot.open_ports),
    }
    settings = "".join(f'{name}="{value}"\n' for name, value in made.items())
    config = {
        "ssh_pwauth": False,
        "write_files": [
            _file("/etc/modules-load.d/spokewire.conf", "wireguard\n", "0644"),
            _file("/etc/spokewire/hub.made", settings, "0600"),
            _file("/usr/local/sbin/spokewire-install", _script(boot), "0700"),
            _file("/etc/systemd/system/spokewire-install.service", _UNIT, "0644"),
            _file("/etc/systemd/system/spokewire-hub.service", unit, "0644"),
        ],
        "runcmd": [
            ["systemctl", "daemon-reload"],
            ["systemctl", "enable", "spokewire-install.service"],
            ["systemctl", "start", "--no-block", "spokewire-install.service"],
        ],
    }
    # JSON is YAML, and needs no library to be written.
    text = "#cloud-config\n" + json.dumps(config, indent=1) + "\n"
    if len(text) > LARGEST:
        raise ValueError(f"user_data has {len(text)} bytes, more than {LARGEST}")
    return text


def _script(boot: HubBoot) -> str:
    script = _SCRIPT.replace("@ADDRESS@", _RESERVED_ADDRESS if boot.reserved_ip else _OWN_ADDRESS)
    return script.replace("@WHEEL@", boot.wheel).replace("@SHA256@", boot.wheel_sha256)


def _file(path: str, content: str, permissions: str) -> dict[str, str]:
    return {"path": path, "content": content, "permissions": permissions, "owner": "root:root"}
