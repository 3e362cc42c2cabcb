"""Waiting for the nodes while hubs come and go, so that at no moment a hub is missed. Every wait has an end: the operator's wish is carried out."""

import asyncio
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spokewire.deploy import gather
from spokewire.deploy.operator import Operator
from spokewire.deploy.readiness import ALIVE, find_old_settings
from spokewire.host import clock
from spokewire.network.evidence import ECHO_FRESH_S, HubEvidence
from spokewire.network.names import MachineName
from spokewire.network.overview import NetworkOverview, judge_network
from spokewire.network.status import HubStatus

LIMIT_S = 30.0
"""News reaches a node in a second, and its first echo through a new hub comes back within five."""
POLL_S = 0.25


async def wait_until_in_force(operator: Operator, root: Ed25519PrivateKey) -> None:
    """Wait until the newest settings are in force on every node that is alive: then none uses a hub any more that they revoke."""
    await _wait(operator, root, lambda overview, _: not find_old_settings(overview))


async def wait_until_drained(operator: Operator, root: Ed25519PrivateKey, hub: MachineName) -> None:
    """Wait until no pair of nodes goes through a hub any more, by the nodes' word under the newest settings."""
    await _wait(operator, root, lambda overview, _: not find_old_settings(overview) and _is_empty(overview, hub))


async def wait_until_used(
    operator: Operator, root: Ed25519PrivateKey, hub: MachineName, progress: Callable[[str, str], None]
) -> None:
    """Wait until a hub hears every node that is alive: then another one may go."""
    progress(hub, "waiting until it hears the nodes")
    await _wait(operator, root, lambda overview, hubs: not find_unheard(overview, hubs[hub].status))
    progress(hub, "ready")


def _is_empty(overview: NetworkOverview, hub: MachineName) -> bool:
    return not any(seen.pairs for seen in overview.hubs if seen.name == hub)


def find_unheard(overview: NetworkOverview, hub: HubStatus | None) -> list[str]:
    """The nodes that are alive and that a hub does not hear. Only its own word counts: what nodes say may be of the machine that it replaces."""
    views = [] if hub is None else hub.nodes
    heard = {view.name for view in views if view.last_echo_age_s is not None and view.last_echo_age_s <= ECHO_FRESH_S}
    return [node.name for node in overview.nodes if node.agent and node.state in ALIVE and node.name not in heard]


async def _wait(
    operator: Operator,
    root: Ed25519PrivateKey,
    is_done: Callable[[NetworkOverview, Mapping[MachineName, HubEvidence]], bool],
) -> None:
    deadline = clock.monotonic() + LIMIT_S
    while clock.monotonic() < deadline:
        seen = await gather.observe(operator, root, fresh=False)
        if is_done(judge_network(operator.spec, seen.hubs, seen.nodes), seen.hubs):
            return
        await asyncio.sleep(POLL_S)
