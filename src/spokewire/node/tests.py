"""The operator's test requests, carried out one after the other."""

import asyncio
from collections.abc import Callable, Iterable

from spokewire.api.client import HubClient
from spokewire.errors import InputError, SpokewireError
from spokewire.host import clock
from spokewire.host.identity import Identity
from spokewire.host.logs import log
from spokewire.network.documents import Result, TestRequest, sign, verify_request
from spokewire.network.proof import PairResult, plan_pace
from spokewire.network.roster import Roster
from spokewire.node.probe import Prober
from spokewire.node.prove import prove_peers

MAX_WAITING = 4
DELIVERIES = 5
DELIVERY_PAUSE_S = 1.0
"""Within these seconds a node has found its hub again."""


class Tests:
    """Requests that wait, and those that were seen: each is run once."""

    def __init__(
        self,
        identity: Identity,
        prober: Prober,
        roster: Callable[[], Roster],
        clients: Callable[[], Iterable[HubClient]],
    ) -> None:
        self._token = identity.token
        self._name = identity.token.grant.name
        self._prober = prober
        self._roster = roster
        self._clients = clients
        self._requests: asyncio.Queue[tuple[TestRequest, HubClient]] = asyncio.Queue(MAX_WAITING)
        self._seen: set[str] = set()

    def request(self, text: str, client: HubClient) -> None:
        """Take a request that came through a hub; one that does not hold, is known, or is one too many is dropped."""
        try:
            request = verify_request(text, self._token.root, self._token.network, clock.wall())
        except InputError as error:
            log.warning("test request refused", code=error.code, reason=error.message)
            return
        if request.id in self._seen or self._requests.full():
            return
        self._seen.add(request.id)
        self._requests.put_nowait((request, client))

    async def run(self) -> None:
        """Carry out requests, for ever."""
        while True:
            request, client = await self._requests.get()
            targets = [target for source, target in request.pairs if source == self._name]
            pairs = await self._prove(targets, request)
            result = Result(grant=self._token.grant_text, test=request.id, pairs=tuple(pairs))
            await self._deliver(sign(result, self._token.grant_key), client)

    async def _deliver(self, text: str, asked_by: HubClient) -> None:
        """Hand a result to the hub that asked; if that connection has ended meanwhile, over one that lives."""
        for _ in range(DELIVERIES):
            for client in dict.fromkeys([asked_by, *self._clients()]):
                try:
                    await client.submit_report(text)
                except SpokewireError as error:
                    log.warning("result not delivered", code=error.code, error=error.message)
                else:
                    return
            await asyncio.sleep(DELIVERY_PAUSE_S)

    async def _prove(self, targets: list[str], request: TestRequest) -> list[PairResult]:
        plan, nodes = self._roster().plan, self._roster().nodes(clock.wall())
        numbers = {} if plan is None else {str(node.name): str(plan.address(node.grant.number)) for node in nodes}
        known = {target: numbers[target] for target in targets if target in numbers}
        unknown = [
            PairResult(source=self._name, target=target, error=f"{self._name} does not know {target}")
            for target in targets
            if target not in numbers
        ]
        proved = await prove_peers(self._name, known, self._prober, request.step, plan_pace(request.pairs))
        return proved + unknown
