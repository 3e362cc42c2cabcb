"""The operator's side of the proof: ask through the hubs, verify what the nodes signed."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spokewire.api.client import HubClient, connect
from spokewire.deploy.gather import gather
from spokewire.deploy.operator import Operator
from spokewire.errors import Code, InputError, SpokewireError, TemporaryError
from spokewire.host import clock, keys
from spokewire.network.documents import Result, TestRequest, sign, verify_chained
from spokewire.network.keys import derive_network_id
from spokewire.network.names import MachineName, natural_order
from spokewire.network.proof import PairResult, Step, all_pairs, collect, join
from spokewire.network.status import HubView

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
    """Have every pair of joined nodes prove its traffic; ask through every hub that answers, for a node may listen to one of them only."""
    urls = operator.hub_urls(await asyncio.to_thread(operator.observe_machines))
    async with AsyncExitStack() as stack:
        hubs = await _connect(operator, root, urls, stack)
        results = await _prove_through(hubs, root, bandwidth=bandwidth, progress=progress)
    overview = await gather(operator, root, fresh=False)
    paths = {(node.name, peer.name): peer.path for node in overview.nodes for peer in node.peers}
    found = [pair.model_copy(update={"path": paths.get((pair.source, pair.target), "")}) for pair in results]
    return Verdict(found)


async def _connect(
    operator: Operator, root: Ed25519PrivateKey, urls: Mapping[MachineName, str], stack: AsyncExitStack
) -> list[HubClient]:
    """Connect to every hub that answers, all at once; raises what went wrong if none does."""

    async def one(name: MachineName, url: str) -> None:
        try:
            connected[name] = await stack.enter_async_context(connect(url, operator.identity(root)))
            await connected[name].fetch_status()
        except SpokewireError as error:
            connected.pop(name, None)
            errors[name] = error

    connected: dict[MachineName, HubClient] = {}
    errors: dict[MachineName, SpokewireError] = {}
    async with asyncio.TaskGroup() as group:
        for name, url in urls.items():
            group.create_task(one(name, url), name=f"connect to {name}")
    if not connected:
        error = next(iter(errors.values()), None)
        raise error or InputError(Code.NOT_DEPLOYED, "There is no hub to test through.", hint="Run: spokewire deploy.")
    return [connected[name] for name in urls if name in connected]


async def _prove_through(
    hubs: Sequence[HubClient], root: Ed25519PrivateKey, *, bandwidth: bool, progress: Callable[[str], None]
) -> list[PairResult]:
    names = await _wait_for_listeners(hubs)
    pairs = all_pairs(names)
    if len(names) < 2:  # noqa: PLR2004 - a pair has two ends
        raise InputError(
            Code.NOT_DEPLOYED, f"A proof needs two nodes; {len(names)} joined.", hint="See `spokewire status`."
        )
    progress(f"{len(names)} nodes prove traffic to each other: {len(pairs)} pairs")
    echoes = await _ask(hubs, root, pairs, Step.ECHO)
    progress(f"echoes are back; {len(pairs)} transfers")
    transfers = await _ask(hubs, root, pairs, Step.TRANSFER)
    results = [join(echo, transfer) for echo, transfer in zip(echoes, transfers, strict=True)]
    if bandwidth:
        for position, pair in enumerate(pairs):
            progress(f"measuring {pair[0]} to {pair[1]} ({position + 1} of {len(pairs)})")
            measured = (await _ask(hubs, root, [pair], Step.BANDWIDTH))[0]
            results[position] = results[position].model_copy(
                update={"mbits": measured.mbits, "error": results[position].error or measured.error}
            )
    return results


async def _wait_for_listeners(hubs: Sequence[HubClient]) -> list[str]:
    """The nodes that run an agent, once each that is alive listens to a hub's API: after a hub's reboot that takes them up to five seconds."""
    deadline = clock.monotonic() + LISTEN_LIMIT_S
    while True:
        seen: dict[str, list[HubView]] = {}
        for hub in hubs:
            for view in await _look(hub):
                seen.setdefault(view.name, []).append(view)
        agents = {name: views for name, views in seen.items() if any(view.agent for view in views)}
        deaf = [
            name
            for name, views in agents.items()
            if not any(view.api_connected for view in views)
            and any((view.last_echo_age_s or 0) < LISTEN_LIMIT_S for view in views)
        ]
        if not deaf or clock.monotonic() > deadline:
            return sorted(agents, key=natural_order)
        await asyncio.sleep(POLL_S)


async def _look(hub: HubClient) -> list[HubView]:
    """What a hub sees; nothing if it has fallen silent meanwhile."""
    try:
        return (await hub.fetch_status()).nodes
    except TemporaryError:
        return []


async def _ask(
    hubs: Sequence[HubClient], root: Ed25519PrivateKey, pairs: Sequence[tuple[str, str]], step: Step
) -> list[PairResult]:
    """Ask through all hubs; a node that hears the same request twice does it once, and answers through the hub that it heard first."""
    public = root.public_key()
    request = TestRequest(
        id=keys.make_id(),
        network=derive_network_id(public),
        pairs=tuple(pairs),
        step=step,
        issued_at=int(clock.wall()),
    )
    asked = _Asked({source for source, _ in pairs}, len(hubs))
    text = sign(request, root)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_listen(hub, text, request.id, root, asked), name="ask a hub") for hub in hubs]
        await asked.is_over.wait()
        for task in tasks:
            task.cancel()
    if len(asked.errors) == len(hubs):
        raise asked.errors[0]
    words = "listens to no hub's API" if len(hubs) > 1 else "does not listen to the hub's API"
    return collect(pairs, asked.results, {name: f"{name} {words}" for name in asked.list_unreached()})


class _Asked:
    """One request, and what has come of it from all the hubs together."""

    def __init__(self, awaited: set[str], hubs: int) -> None:
        self.results: list[PairResult] = []
        self.errors: list[SpokewireError] = []
        self.is_over = asyncio.Event()
        self._awaited, self._hubs, self._listening = awaited, hubs, hubs
        self._absent = Counter[str]()

    def list_unreached(self) -> set[str]:
        """The nodes that listen to none of the hubs that took the request."""
        return {name for name in self._awaited if self._absent[name] >= self._hubs - len(self.errors)}

    def take(self, absent: Iterable[str], results: Sequence[PairResult]) -> None:
        """A hub tells who does not listen to it, and hands on what a node showed."""
        self._absent.update(absent)
        self.results += results
        self._awaited -= {result.source for result in results}
        self._look()

    def leave(self, error: SpokewireError | None = None) -> None:
        """A hub tells nothing more."""
        self.errors += [] if error is None else [error]
        self._listening -= 1
        self._look()

    def _look(self) -> None:
        """Over is what everybody has answered who was reached; the other hubs still wait for those who answered through the first."""
        if not self._listening or self._awaited <= self.list_unreached():
            self.is_over.set()


async def _listen(hub: HubClient, text: str, test: str, root: Ed25519PrivateKey, asked: _Asked) -> None:
    try:
        async with aclosing(hub.run_test(text)) as lines:
            async for line in lines:
                asked.take(line.absent, _verify(line.result, test, root))
    except SpokewireError as error:
        asked.leave(error)
    else:
        asked.leave()


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
