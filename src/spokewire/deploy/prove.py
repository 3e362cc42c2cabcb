"""The operator's side of the proof (DESIGN section 6): ask through the hub, verify what the nodes signed."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spokewire.api.client import HubClient, connect
from spokewire.deploy.operator import Operator
from spokewire.errors import Code, InputError, SpokewireError, TemporaryError
from spokewire.host import clock, keys
from spokewire.network.documents import Result, TestRequest, sign, verify_chained
from spokewire.network.keys import derive_network_id
from spokewire.network.proof import PairResult, Step, all_pairs, collect, join
from spokewire.network.status import HubStatus

LISTEN_LIMIT_S = 8.0
POLL_S = 0.25


@dataclass(frozen=True)
class Verdict:
    """The matrix, and what it says."""

    pairs: list[PairResult]

    @property
    def ok(self) -> bool:
        """Whether every pair proved its traffic, and there was one."""
        return bool(self.pairs) and all(pair.ok for pair in self.pairs)


async def prove(
    operator: Operator, root: Ed25519PrivateKey, *, bandwidth: bool, progress: Callable[[str], None]
) -> Verdict:
    """Have every pair of joined nodes prove its traffic through the first hub that answers."""
    machines = operator.observe_machines()
    error: SpokewireError | None = None
    for url in operator.hub_urls(machines).values():
        try:
            async with connect(url, operator.identity(root)) as hub:
                return await _prove_through(hub, root, bandwidth=bandwidth, progress=progress)
        except TemporaryError as failure:
            error = failure
    raise error or InputError(Code.NOT_DEPLOYED, "There is no hub to test through.", hint="Run: spokewire deploy.")


async def _prove_through(
    hub: HubClient, root: Ed25519PrivateKey, *, bandwidth: bool, progress: Callable[[str], None]
) -> Verdict:
    status = await _wait_for_listeners(hub)
    names = [node.name for node in status.nodes if node.agent]
    pairs = all_pairs(names)
    if len(names) < 2:  # noqa: PLR2004 - a pair has two ends
        raise InputError(
            Code.NOT_DEPLOYED, f"A proof needs two nodes; {len(names)} joined.", hint="See `spokewire status`."
        )
    progress(f"{len(names)} nodes prove traffic to each other: {len(pairs)} pairs")
    echoes = await _ask(hub, root, pairs, Step.ECHO)
    progress(f"echoes are back; {len(pairs)} transfers")
    transfers = await _ask(hub, root, pairs, Step.TRANSFER)
    results = [join(echo, transfer) for echo, transfer in zip(echoes, transfers, strict=True)]
    if bandwidth:
        for position, pair in enumerate(pairs):
            progress(f"measuring {pair[0]} to {pair[1]} ({position + 1} of {len(pairs)})")
            measured = (await _ask(hub, root, [pair], Step.BANDWIDTH))[0]
            results[position] = results[position].model_copy(
                update={"mbits": measured.mbits, "error": results[position].error or measured.error}
            )
    return Verdict(results)


async def _wait_for_listeners(hub: HubClient) -> HubStatus:
    """The hub's status, once every node that is alive listens to its API: after a hub's reboot that takes them up to five seconds."""
    deadline = clock.monotonic() + LISTEN_LIMIT_S
    while True:
        status = await hub.fetch_status()
        deaf = [
            node
            for node in status.nodes
            if node.agent and not node.api_connected and (node.last_echo_age_s or 0) < LISTEN_LIMIT_S
        ]
        if not deaf or clock.monotonic() > deadline:
            return status
        await asyncio.sleep(POLL_S)


async def _ask(
    hub: HubClient, root: Ed25519PrivateKey, pairs: Sequence[tuple[str, str]], step: Step
) -> list[PairResult]:
    public = root.public_key()
    network = derive_network_id(public)
    request = TestRequest(
        id=keys.make_id(), network=network, pairs=tuple(pairs), step=step, issued_at=int(clock.wall())
    )
    results: list[PairResult] = []
    silent: dict[str, str] = {}
    async with aclosing(hub.run_test(sign(request, root))) as lines:
        async for line in lines:
            silent |= {name: f"{name} does not listen to the hub's API" for name in line.absent}
            results += _verify(line.result, request.id, root)
    return collect(pairs, results, silent)


def _verify(text: str | None, test: str, root: Ed25519PrivateKey) -> list[PairResult]:
    """The results that a node signed for this test; none if the document does not hold."""
    if text is None:
        return []
    public = root.public_key()
    try:
        grant, result = verify_chained(Result, text, public, derive_network_id(public), clock.wall())
    except InputError:
        return []
    return [pair for pair in result.pairs if pair.source == grant.name] if result.test == test else []
