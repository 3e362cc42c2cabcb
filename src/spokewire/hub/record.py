"""What a hub is started with, and the record that it signs about itself."""

from dataclasses import dataclass
from pathlib import Path

from spokewire.api.serve import Tls
from spokewire.host import files, keys
from spokewire.host.identity import Identity
from spokewire.network.documents import Record
from spokewire.network.names import WireGuardKey
from spokewire.network.topology import HUB_PORT


@dataclass(frozen=True)
class Settings:
    """A hub's knobs."""

    public_address: str
    """The IP address or name under which nodes reach this hub."""
    state_folder: Path
    token: str | None = None
    network: str | None = None
    api_port: int = 443
    open_ports: tuple[str, ...] = ()
    """Ports of this machine that the firewall leaves open beside the hub's own, such as "tcp/22"."""
    public_address6: str | None = None
    """Its IPv6 address too, where `public_address` is an IPv4 address."""
    inside_address: str | None = None
    """The address of this machine's own at which packets to `public_address` arrive, where a router before it translates them."""


def describe_hub(identity: Identity, settings: Settings, public_key: WireGuardKey, tls: Tls) -> Record:
    """The record of a hub: its key, its endpoints, its API and the certificate to pin."""
    host, host6, api_port = settings.public_address, settings.public_address6, settings.api_port
    bracketed = f"[{host}]" if ":" in host else host
    return Record(
        grant=identity.token.grant_text,
        sequence=1,
        wireguard_key=public_key,
        endpoint=f"{bracketed}:{HUB_PORT}",
        endpoint6=None if host6 is None else f"[{host6}]:{HUB_PORT}",
        api_url=f"https://{bracketed}:{api_port}",
        api_url6=None if host6 is None else f"https://[{host6}]:{api_port}",
        certificate=tls.certificate_file.read_text(),
    )


def load_or_make_certificate(identity: Identity) -> Tls:
    """The certificate of the hub's API, self-made once: its record vouches for it."""
    tls = Tls(identity.folder / "tls.key", identity.folder / "tls.crt")
    if files.read(tls.key_file) is None or files.read(tls.certificate_file) is None:
        key, certificate = keys.make_certificate(identity.token.grant.name)
        files.write(tls.key_file, key, files.PRIVATE)
        files.write(tls.certificate_file, certificate, files.PRIVATE)
    return tls
