"""Waiting for the nodes while hubs come and go, so that at no moment a hub is missed. Every wait has an end: the operator's wish is carried out."""

import asyncio
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spokewire.deploy import gather
from spokewire.deploy.operator import Operator
from spokewire.deploy.readiness import ALIVE, find_old_settings
from spokewire.host import clock
from spokewire.network.names import MachineName
from spokewire.network.overview import NetworkOverview

LIMIT_S = 30.0
"""News reaches a node in a second, and its first echo through a new hub comes back within five."""
POLL_S = 0.25


async def wait_until_in_force(operator: Operator, root: Ed25519PrivateKey) -> None:
    """Wait until the newest settings are in force on every node that is alive: then none uses a hub any more that they revoke."""
    await _wait(operator, root, lambda overview: not find_old_settings(overview))


async def wait_until_used(
    operator: Operator, root: Ed25519PrivateKey, hub: MachineName, progress: Callable[[str, str], None]
) -> None:
    """Wait until every node that is alive hears a hub: then another one may go."""
    progress(hub, "waiting until the nodes hear it")
    await _wait(operator, root, lambda overview: not find_deaf(overview, hub))
    progress(hub, "ready")


def find_deaf(overview: NetworkOverview, hub: MachineName) -> list[str]:
    """The nodes that are alive and get no echo back from a hub."""
    return [
        node.name
        for node in overview.nodes
        if node.agent and node.state in ALIVE and not any(h.name == hub and h.state in ALIVE for h in node.hubs)
    ]


async def _wait(operator: Operator, root: Ed25519PrivateKey, is_done: Callable[[NetworkOverview], bool]) -> None:
    deadline = clock.monotonic() + LIMIT_S
    while clock.monotonic() < deadline:
        if is_done(await gather.gather(operator, root, fresh=False)):
            return
        await asyncio.sleep(POLL_S)
