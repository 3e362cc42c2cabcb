"""An operator's folder, as a deploy leaves it."""

from pathlib import Path

from spokewire.network.keys import format_private_key
from tests.component.made import Network


def write_folder(folder: Path, network: Network, port: int, provider: str = "host") -> Path:
    """What an operator keeps: a spec with a hub on this machine and one node, and the root key."""
    spec = folder / "spokewire.toml"
    spec.write_text(
        f'[network]\nname = "made"\n[[hubs]]\nname = "hub-1"\nprovider = "host"\naddress = "127.0.0.1"\napi_port = {port}\n'
        f'[[nodes]]\nname = "node-1"\nprovider = "{provider}"\n'
    )
    keeper = folder / ".spokewire"
    keeper.mkdir(mode=0o700)
    (keeper / "root.key").write_text(format_private_key(network.root) + "\n")
    (keeper / "root.key").chmod(0o600)
    return spec
