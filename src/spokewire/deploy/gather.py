"""Gathering the evidence for the overview: the providers' lists, every hub, every node's public status server; all at once."""

import asyncio
import errno
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from spokewire.api import http
from spokewire.api.client import HubClient, connect
from spokewire.api.http import Http, Timeouts
from spokewire.cloud.provider import Machine
from spokewire.deploy.operator import Operator
from spokewire.errors import InputError, SpokewireError
from spokewire.host import clock
from spokewire.network.documents import Report, verify_chained
from spokewire.network.evidence import Answer, Evidence, HubEvidence
from spokewire.network.keys import derive_network_id
from spokewire.network.names import MachineName
from spokewire.network.overview import NetworkOverview, judge_network
from spokewire.network.status import HubStatus, HubView, NodeStatus
from spokewire.network.views import Sighting, group_sightings

STATUS_TIMEOUT_S = 2.0
"""A status server that takes longer does not answer."""
CONNECTED_S = 0.5
"""What takes longer than a connection may, by so much, had one: such a server hangs, and its machine is there."""
MAX_STATUS_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Gathered:
    """The evidence on every machine, wanted or left over, by name."""

    hubs: dict[MachineName, HubEvidence]
    nodes: dict[MachineName, Evidence]


class Witness(Protocol):
    """Whoever wants to see more than the evidence: called as the answers come."""

    def hear(self, name: MachineName, time: float, asked_at: float) -> None:
        """A machine has told the time of its own clock; it was asked at `asked_at` of ours."""
        ...

    async def visit(self, hub: HubClient) -> None:
        """The connection to a hub that has answered is still open. Must raise nothing of ours."""
        ...


async def gather(operator: Operator, root: Ed25519PrivateKey | None, *, fresh: bool = True) -> NetworkOverview:
    """Look at the whole network now, and judge it. `root` None: nothing was ever deployed from here. Not `fresh`: see `Operator.observe_machines`."""
    found = await observe(operator, root, fresh=fresh)
    return judge_network(operator.spec, found.hubs, found.nodes)


async def observe(
    operator: Operator, root: Ed25519PrivateKey | None, witness: Witness | None = None, *, fresh: bool = True
) -> Gathered:
    """Ask everybody at once. Nothing that a machine says or fails to say is an error."""
    machines = await asyncio.to_thread(operator.observe_machines, fresh=fresh)
    hubs = {
        hub.name: HubEvidence(_state(machines.get(hub.name)), _address(operator, machines, hub.name), None)
        for hub in operator.spec.hubs
    }
    urls = operator.hub_urls(machines)
    answers: dict[MachineName, tuple[Answer, NodeStatus | None]] = {}

    async def ask_hub(name: MachineName) -> None:
        hubs[name] = await _ask_hub(operator, hubs[name], urls.get(name), root, witness)

    async def ask_node(machine: Machine, url: str) -> None:
        asked_at = clock.wall()
        answers[machine.name] = answer, told = await _ask_node(client, url)
        if witness is not None and answer is Answer.OK and told is not None:
            witness.hear(machine.name, told.time, asked_at)

    async with _status_client(machines.values()) as client, asyncio.TaskGroup() as group:
        for name in hubs:
            group.create_task(ask_hub(name), name=f"ask {name}")
        for machine in machines.values():
            if machine.status_url is not None and machine.state == "running":
                group.create_task(ask_node(machine, machine.status_url), name=f"ask {machine.name}")
    return Gathered(hubs, _list_nodes(operator, machines, hubs, answers, root))


def _list_nodes(
    operator: Operator,
    machines: dict[MachineName, Machine],
    hubs: dict[MachineName, HubEvidence],
    answers: dict[MachineName, tuple[Answer, NodeStatus | None]],
    root: Ed25519PrivateKey | None,
) -> dict[MachineName, Evidence]:
    seen = group_sightings({name: _list_sightings(hub.status, root) for name, hub in hubs.items()})
    names = [*machines, *(MachineName(name) for name in seen if name not in machines)]
    granted = {
        name: str(operator.spec.cidr[grant.number])
        for name, grant in operator.keeper.load_state().grants.items()
        if 0 < grant.number < operator.spec.cidr.num_addresses - 1
    }
    return {
        name: _evidence(machines.get(name), seen.get(name), answers.get(name), granted.get(name))
        for name in sorted(names, key=lambda name: _order(operator, name))
        if name not in hubs
    }


def _evidence(
    machine: Machine | None,
    seen: Sighting | None,
    answer: tuple[Answer, NodeStatus | None] | None,
    overlay_ip: str | None,
) -> Evidence:
    kind, answered = answer or (Answer.UNKNOWN, None)
    view, report = (None, None) if seen is None else (seen.view, seen.report)
    return Evidence(_state(machine), view, report, kind, answered, overlay_ip)


def _list_sightings(status: HubStatus | None, root: Ed25519PrivateKey | None) -> list[Sighting]:
    views = [] if status is None else status.nodes
    return [Sighting(view, None if root is None else _verify_report(view, root)) for view in views]


def _verify_report(view: HubView, root: Ed25519PrivateKey) -> NodeStatus | None:
    """The node's own signed words, or None if they are not its own: a hub cannot make them up."""
    if view.report is None:
        return None
    public = root.public_key()
    try:
        grant, report = verify_chained(Report, view.report, public, derive_network_id(public), clock.wall())
    except InputError:
        return None
    return report.status if grant.name == view.name else None


async def _ask_hub(
    operator: Operator,
    evidence: HubEvidence,
    url: str | None,
    root: Ed25519PrivateKey | None,
    witness: Witness | None,
) -> HubEvidence:
    if url is None or root is None or evidence.machine_state == "stopped":
        return HubEvidence(evidence.machine_state, evidence.address, None, "its address is not known")
    status: HubStatus | None = None
    error = ""
    try:
        async with connect(url, operator.identity(root)) as hub:
            asked_at = clock.wall()
            status = await hub.fetch_status()
            if witness is not None:
                witness.hear(hub.member.name, status.time, asked_at)
                await witness.visit(hub)
    except SpokewireError as failure:
        error = failure.message
    return HubEvidence(evidence.machine_state, evidence.address, status, error)


def _status_client(machines: Iterable[Machine]) -> Http:
    """One client for all status servers. They speak plain HTTP; before those of a cloud may stand its gateway, with a public certificate.

    The public authorities are loaded only then: that takes 20 ms.
    """
    secured = any((machine.status_url or "").startswith("https:") for machine in machines)
    context = ssl.create_default_context() if secured else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return Http(context, Timeouts(STATUS_TIMEOUT_S, STATUS_TIMEOUT_S))


async def _ask_node(client: Http, url: str) -> tuple[Answer, NodeStatus | None]:
    try:
        async with asyncio.timeout(STATUS_TIMEOUT_S + CONNECTED_S), client.stream("GET", f"{url}/status") as response:
            data = await http.read(response, MAX_STATUS_BYTES)
            return Answer.OK, NodeStatus.model_validate_json(data or b"")
    except http.ConnectTimeoutError:
        return Answer.TIMEOUT, None
    except http.ConnectError as error:
        return (Answer.REFUSED if _was_refused(error) else Answer.TIMEOUT), None
    except (TimeoutError, *http.FAILURES, ValidationError):
        return Answer.BROKEN, None


def _was_refused(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.ECONNREFUSED:
            return True
        nested = getattr(error, "exceptions", ())
        if any(_was_refused(inner) for inner in nested):
            return True
        error = error.__cause__ or error.__context__
    return False


def _state(machine: Machine | None) -> str | None:
    return None if machine is None else str(machine.state)


def _address(operator: Operator, machines: dict[MachineName, Machine], name: MachineName) -> str | None:
    spec = operator.spec.find(name)
    machine = machines.get(name)
    return spec.address or (None if machine is None else machine.public_address)


def _order(operator: Operator, name: MachineName) -> int:
    names = [node.name for node in operator.spec.nodes]
    return names.index(name) if name in names else len(names)
