"""Asking every node's public status server for its history, all at once, and adding what the operator's folder knows."""

import asyncio
import ssl
from dataclasses import dataclass

from pydantic import ValidationError

from spokewire.api import http, problem
from spokewire.api.http import Http, Timeouts
from spokewire.cloud.provider import Machine, MachineState
from spokewire.deploy.operator import Operator
from spokewire.errors import Code, InputError, SpokewireError
from spokewire.host import clock
from spokewire.network.events import NodeHistory
from spokewire.network.names import MachineName, natural_order
from spokewire.network.story import Sentence

TIMEOUT_S = 5.0
"""A node gives its own disk three seconds."""
MAX_EVENTS = 1000
MAX_BYTES = 2 * 1024 * 1024
"""A thousand events and a thousand machines of the longest names and texts."""
_OK = 200


@dataclass(frozen=True)
class Recalled:
    """What the nodes told, by name, and why some told nothing; `sentences` are the operator's own knowledge."""

    histories: dict[MachineName, NodeHistory]
    silent: dict[MachineName, str]
    sentences: list[Sentence]


async def recall(operator: Operator, node: str | None, since: str, span_s: float) -> Recalled:
    """Ask one node, or all; `since` is how far back, in the words of /history, which are `span_s` seconds. InputError if there is no such node."""
    machines = {n: m for n, m in (await asyncio.to_thread(operator.observe_machines)).items() if m.role == "node"}
    granted = operator.keeper.load_state().grants
    names = {
        *machines,
        *(spec.name for spec in operator.spec.nodes),
        *(n for n, g in granted.items() if g.role == "node"),
    }
    if node is not None and node not in names:
        known = ", ".join(sorted(names, key=natural_order)) or "none"
        raise InputError(Code.NAME_UNKNOWN, f"The network has no node called {node!r}.", hint=f"It has: {known}.")
    asked = sorted((name for name in names if node in (None, name)), key=natural_order)
    answers: dict[MachineName, NodeHistory | str] = {}

    async def ask(name: MachineName) -> None:
        answers[name] = await _ask(client, machines.get(name), since)

    async with _client() as client, asyncio.TaskGroup() as group:
        for name in asked:
            group.create_task(ask(name), name=f"ask {name}")
    begin = clock.wall() - span_s
    minted = [
        Sentence(grant.issued_at_ms / 1000, (), name, f"{name} was granted its place in the network")
        for name, grant in granted.items()
        if name in asked and grant.issued_at_ms / 1000 >= begin
    ]
    told = {name: answers[name] for name in asked}
    return Recalled(
        {name: answer for name, answer in told.items() if isinstance(answer, NodeHistory)},
        {name: answer for name, answer in told.items() if isinstance(answer, str)},
        minted,
    )


def _client() -> Http:
    """Status servers speak plain HTTP; without a context of its own the client would load every public authority."""
    return Http(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), Timeouts(TIMEOUT_S, TIMEOUT_S))


async def _ask(client: Http, machine: Machine | None, since: str) -> NodeHistory | str:
    """A node's history, or why there is none."""
    if machine is None or machine.status_url is None:
        return "nobody here knows where its status server is; there it is at /history"
    if machine.state is not MachineState.RUNNING:
        return "its machine is switched off"
    url = f"{machine.status_url}/history?since={since}&limit={MAX_EVENTS}"
    try:
        async with asyncio.timeout(TIMEOUT_S), client.stream("GET", url) as response:
            data = await http.read(response, MAX_BYTES)
            if response.status != _OK:
                return _tell_refusal(problem.parse(response.status, data or b""))
            return NodeHistory.model_validate_json(data or b"")
    except ValidationError:
        return "what its status server answers is no history"
    except (TimeoutError, *http.FAILURES):
        return "its status server does not answer"


def _tell_refusal(error: SpokewireError) -> str:
    return f"its status server refuses: {error.message}"
