"""The node's signed status, handed to every hub that it follows. A hub that does not answer holds nobody up."""

import asyncio
from collections.abc import Callable

from spokewire.api.client import HubClient
from spokewire.errors import Code, SpokewireError, TemporaryError
from spokewire.host import clock
from spokewire.host.identity import Identity
from spokewire.network.documents import Report, sign
from spokewire.network.status import NodeStatus
from spokewire.node.sync import Sync

INTERVAL_S = 2.0
NODES_PER_SECOND = 50
"""With more nodes each reports less often, so that a hub never verifies more than 50 reports a second."""
PATIENCE_S = 3.0
"""A hub that takes longer is followed anew, and reported to when it answers again: the others wait for it once."""

_DEAD = frozenset({Code.API_UNREACHABLE, Code.TIMEOUT, Code.CLOCK_SKEW})
"""What tells that a hub's end of our stream is gone, or will not take us any more. One that is busy, or asks us to wait, is there."""


class Reporter:
    """Call `step` every `wait_s`, or sooner when there is news."""

    def __init__(
        self, identity: Identity, status: Callable[[], NodeStatus], sync: Sync, count_nodes: Callable[[], int]
    ) -> None:
        self.answered_at: float | None = None
        """When a hub took a report last, in monotonic seconds."""
        self._identity = identity
        self._status = status
        self._sync = sync
        self._count_nodes = count_nodes

    async def step(self) -> None:
        """Report to every hub at once. Raises what one of them answers, if that is an error."""
        clients, status = list(self._sync.clients.values()), self._status()
        if not clients or status.overlay_ip is None:
            return
        document = Report(grant=self._identity.token.grant_text, issued_at=int(clock.wall()), status=status)
        text = sign(document, self._identity.token.grant_key)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._submit(client, text), name="report") for client in clients]
        error = next((error for task in tasks if (error := task.result()) is not None), None)
        if error is not None:
            raise error

    def wait_s(self) -> float:
        """How long to wait after a report, unless there is news."""
        return max(INTERVAL_S, self._count_nodes() / NODES_PER_SECOND)

    async def _submit(self, client: HubClient, text: str) -> SpokewireError | None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await client.submit_report(text)
        except TimeoutError:
            self._sync.doubt(client)
            return TemporaryError(Code.TIMEOUT, f"{client.member.name} did not take a report within {PATIENCE_S:g} s.")
        except SpokewireError as error:
            if error.code in _DEAD:
                self._sync.doubt(client)
            return error
        self.answered_at = clock.monotonic()
        return None
