"""Which providers a network has. Those of clouds are loaded only where they are wanted: a command without them stays quick."""

from collections.abc import Collection, Mapping
from pathlib import Path

from spokewire.cloud.host import HostProvider
from spokewire.cloud.provider import Provider
from spokewire.cloud.waiting import Clock
from spokewire.deploy.folder import lab_folder
from spokewire.lab.provider import LabProvider
from spokewire.network.keys import derive_network_id, parse_public_key
from spokewire.network.spec import NetworkSpec, ProviderName


def open_providers(
    spec: NetworkSpec,
    *,
    path: Path,
    environment: Mapping[str, str],
    root_key: str | None,
    remembered: Collection[str] = (),
    clock: Clock | None = None,
) -> dict[ProviderName, Provider]:
    """The lab and hosts always; a cloud where a machine of the spec's is, where the spec has a table for it, or where machines were made before.

    `path` is where the spec is. `root_key` is the root public key, None before there is one. Credentials are looked for when a cloud is first asked something.
    """
    providers: dict[ProviderName, Provider] = {
        ProviderName.LAB: LabProvider(lab_folder(path)),
        ProviderName.HOST: HostProvider(),
    }
    wanted = {machine.provider for machine in spec.machines}
    if ProviderName.DIGITALOCEAN in {*wanted, *remembered} or spec.digitalocean is not None:
        from spokewire.cloud.digitalocean import opening as digitalocean

        identity = None if root_key is None else derive_network_id(parse_public_key(root_key))
        providers[ProviderName.DIGITALOCEAN] = digitalocean.open_provider(
            spec, environment, identity=identity, clock=clock
        )
    if ProviderName.PHALA in {*wanted, *remembered} or spec.phala is not None:
        from spokewire.cloud.phala import opening as phala

        providers[ProviderName.PHALA] = phala.open_provider(spec, environment, path.parent, root_key, clock=clock)
    return providers
