"""From a spec and the environment to the provider. Credentials are read when the first request is sent, not before."""

from collections.abc import Mapping
from pathlib import Path

import httpx

from spokewire.cloud.phala.api import Api
from spokewire.cloud.phala.credentials import find_access
from spokewire.cloud.phala.provider import Making, PhalaProvider
from spokewire.cloud.waiting import Clock
from spokewire.network.spec import NetworkSpec


def open_provider(
    spec: NetworkSpec,
    environment: Mapping[str, str],
    spec_folder: Path,
    root_key: str | None,
    *,
    clock: Clock | None = None,
    transport: httpx.BaseTransport | None = None,
) -> PhalaProvider:
    """The provider for a network. `root_key` is the root public key in base64url; None before there is one, or when it was lost."""
    endpoint = None if spec.phala is None else spec.phala.endpoint

    def connect() -> Api:
        return Api(find_access(environment, endpoint), clock=clock, transport=transport)

    return PhalaProvider(Making(spec.name, spec.release.image, spec_folder, root_key, environment), connect)
