"""From a spec and the environment to the provider. Credentials are read when the first request is sent, not before."""

from collections.abc import Mapping

import httpx

from spokewire.cloud.digitalocean.api import Api
from spokewire.cloud.digitalocean.credentials import find_token
from spokewire.cloud.digitalocean.provider import DigitalOceanProvider
from spokewire.cloud.digitalocean.refusals import explain
from spokewire.cloud.digitalocean.words import Words
from spokewire.cloud.http import CloudClient, Secret, Service
from spokewire.cloud.waiting import Clock
from spokewire.network.names import NetworkId
from spokewire.network.spec import NetworkSpec

ENDPOINT = "https://api.digitalocean.com"
ENDPOINT_VARIABLE = "SPOKEWIRE_DIGITALOCEAN_ENDPOINT"


def open_provider(
    spec: NetworkSpec,
    environment: Mapping[str, str],
    *,
    identity: NetworkId | None = None,
    clock: Clock | None = None,
    transport: httpx.BaseTransport | None = None,
) -> DigitalOceanProvider:
    """The provider for a network. The environment's endpoint wins over the spec's. `identity` is the root key's; None while there is none."""
    configured = None if spec.digitalocean is None else spec.digitalocean.endpoint
    endpoint = environment.get(ENDPOINT_VARIABLE) or configured or ENDPOINT

    def connect() -> Api:
        token = find_token(environment)
        service = Service(
            "DigitalOcean", endpoint, {"Authorization": Secret(f"Bearer {token.reveal()}")}, explain=explain
        )
        return Api(CloudClient(service, clock=clock, transport=transport))

    return DigitalOceanProvider(Words(spec.name, identity), spec.release, connect)
