"""The first spec of a network with machines in both clouds, as `spokewire init --clouds` writes it. Pure."""

_TEXT = """\
# A Spokewire network: a hub on DigitalOcean, nodes on Phala Cloud. Reference: docs/reference/spec.md; step by step: docs/tutorial/clouds.md

[network]
name = "{name}"
cidr = "10.88.0.0/24"
relay = "sealed"

# What the machines install, exactly. Fill all three in: without them nothing is made.
# How to build and where to put both: docs/howto/run-the-image.md
[release]
# wheel = "https://example.com/spokewire-{version}-py3-none-any.whl"
# wheel_sha256 = "{zeros}"
# image = "registry.example.com/spokewire@sha256:{zeros}"

# The hub: a small droplet with a public address. Its token: DIGITALOCEAN_TOKEN, or doctl's file.
[[hubs]]
name = "hub-1"
provider = "digitalocean"
regions = ["fra1", "ams3"]     # tried in this order
sizes = ["s-1vcpu-1gb", "s-1vcpu-2gb"]
# reserved_ip = true           # an address that the hub keeps when it is made anew
# open_ports = ["tcp/22"]      # beside its own two; with ssh_key = "…" to log in

# The nodes: confidential VMs at Phala Cloud, which only dial out. Their key: PHALA_CLOUD_API_KEY, or the file of phala's login.
[[nodes]]
name = "node"                  # node-1 to node-3
count = 3
provider = "phala"
instance_types = ["tdx.small"] # tried in this order
# regions = ["us-west-1"]      # any, unless you name some
# disk_gb = 20
# compose = "docker-compose.yml"      # your own services beside the agent
# environment = ["DB_PASSWORD"]       # variables for them, encrypted: from your environment, or from
# env_file = "secrets.env"

# A machine of yours, anywhere: spokewire node token laptop
# [[nodes]]
# name = "laptop"
# provider = "host"
"""


def write_cloud_spec(name: str, version: str) -> str:
    """The text. It says nothing of the release, which nobody can guess: `spokewire deploy` asks for it."""
    return _TEXT.format(name=name, version=version, zeros="0" * 64)


def fill_release(text: str) -> str:
    """The same with its placeholders in place: whoever reads specs can judge the rest of it by that."""
    return text.replace("# wheel", "wheel").replace("# image", "image")
