"""Carrying out a plan: in parallel, resumable, with progress. A machine that fails does not stop the others.

Whatever is minted is kept before it is used, and what a cloud made is found again by the cloud's own list: so a `kill -9` between any two
lines leaves nothing that the next deploy does not see.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spokewire.cloud.provider import Machine
from spokewire.cloud.waiting import TimeIsOverError
from spokewire.deploy import gather, rollout
from spokewire.deploy.delivery import Delivery
from spokewire.deploy.keeper import make_token, mint, network_id
from spokewire.deploy.operator import NEAR, Operator
from spokewire.deploy.plan import Action, Observed, Plan, Verb, plan_numbers
from spokewire.deploy.readiness import find_delays
from spokewire.errors import Code, SpokewireError, TemporaryError
from spokewire.host import clock
from spokewire.host.routes import choose_url
from spokewire.network.addresses import AddressPlan, derive_ula
from spokewire.network.names import MachineName
from spokewire.network.spec import MachineSpec, ProviderName

POLL_S = 0.25
NEAR_AT_ONCE = 4
"""Machines that are made on this computer at the same time."""
CLOUD_AT_ONCE = 20
"""The same in a cloud: most of the time is spent waiting, and the clouds' rate limits bear the questions of so many."""

Tokens = Mapping[MachineName, tuple[str, Ed25519PrivateKey]]
"""What new machines need: grant and private key, by name."""
MEETING_S = 10.0
"""A hub that runs answers at once; one that is to be made anew need not answer at all."""
_AGAIN = "Run spokewire deploy again; it goes on from what exists."
Progress = Callable[[str, str], None]
"""Called with a machine's name and what it waits for; "ready" and "gone" end it."""


@dataclass
class Outcome:
    """What came of a deploy: the machines that are ready, and why others are not."""

    ready: list[MachineName] = field(default_factory=list)
    destroyed: list[MachineName] = field(default_factory=list)
    failed: dict[MachineName, SpokewireError] = field(default_factory=dict)


class Deployment:
    """One run of a plan."""

    def __init__(
        self, operator: Operator, plan: Plan, observed: Observed, root: Ed25519PrivateKey, progress: Progress
    ) -> None:
        self._operator, self._plan, self._observed, self._root, self._progress = (
            operator,
            plan,
            observed,
            root,
            progress,
        )
        self._machines: dict[MachineName, Machine] = dict(observed.machines)
        self.outcome = Outcome()
        self._told: dict[MachineName, str] = {}
        """What each machine in the making waited for last."""
        self._keeping = threading.Lock()
        self._limits = {n: asyncio.Semaphore(NEAR_AT_ONCE if n in NEAR else CLOUD_AT_ONCE) for n in ProviderName}
        gone = [action.name for action in plan.actions if action.verb is Verb.DESTROY and action.spec is None]
        self._delivery = Delivery(operator, root, self._machines, gone, renew=bool(plan.settings_reason))
        self._drained = False
        """Whether hubs were let drain that shall carry their share again at the end."""
        self._unmade: set[MachineName] = set()
        """Hubs whose machines are still to be made."""
        self._nodes_may_begin = asyncio.Event()
        """Set when a hub is ready; or sooner, when all are made: a token that names every hub is the better one."""

    async def run(self, timeout_s: float) -> Outcome:
        """Carry the plan out, then wait until every wanted machine is ready, for at most `timeout_s`."""
        spec = self._operator.spec
        numbers = plan_numbers(spec, AddressPlan(spec.cidr, derive_ula(network_id(self._root))), self._observed.grants)
        tokens = self._mint(numbers)
        made = [a for verb in (Verb.CREATE, Verb.REPLACE, Verb.START) for a in self._plan.actions if a.verb is verb]
        hubs = {action.name: action for action in made if action.role == "hub"}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._bring_up_hubs(hubs, tokens, timeout_s), name="bring up hubs")
            await self._nodes_may_begin.wait()
            nodes = [action for action in made if action.role == "node"]
            group.create_task(self._make(nodes, tokens), name="make nodes")
        await self._destroy([action for action in self._plan.actions if action.verb is Verb.DESTROY])
        await self._wait_for_nodes(timeout_s)
        return self.outcome

    async def remove(self, timeout_s: float) -> Outcome:
        """Carry out a plan that only removes: hubs are told first, so that access ends at once, then machines go."""
        await self._bring_up_hubs({}, {}, timeout_s)
        await self._destroy([action for action in self._plan.actions if action.verb is Verb.DESTROY])
        return self.outcome

    def _mint(self, numbers: Mapping[MachineName, int]) -> dict[MachineName, tuple[str, Ed25519PrivateKey]]:
        """Mint what the new machines need, and keep it before any machine is made; what replaces an older grant, once the old machine is gone."""
        minted = {}
        state = self._operator.keeper.load_state()
        for action in self._plan.actions:
            if action.spec is not None and action.verb in (Verb.CREATE, Verb.REPLACE):
                minted[action.name] = mint(self._operator.spec, action.spec, numbers[action.name], self._root)
        if minted:
            replaced = {action.name for action in self._plan.actions if action.verb is Verb.REPLACE}
            texts = state.grant_texts | {name: text for name, (text, _) in minted.items() if name not in replaced}
            made = {str(action.spec.provider) for action in self._plan.actions if action.spec is not None}
            self._operator.keeper.store_state(
                replace(state, grant_texts=texts, providers=state.providers | (made & {"digitalocean", "phala"}))
            )
        return minted

    async def _make(self, actions: list[Action], tokens: Tokens) -> None:
        loop = asyncio.get_running_loop()

        async def one(action: Action, threads: Executor) -> None:
            assert action.spec is not None
            async with self._limits[action.spec.provider]:
                try:
                    await loop.run_in_executor(threads, self._make_one, action, tokens)
                except TimeIsOverError as error:
                    words = f"{error.message}: {self._told.get(action.name, 'nothing was asked for yet')}"
                    self._fail(action.name, TemporaryError(Code.TIMEOUT, words, hint=error.hint))
                except SpokewireError as error:
                    self._fail(action.name, error)

        with ThreadPoolExecutor(max(1, len(actions)), thread_name_prefix="make") as threads:
            async with asyncio.TaskGroup() as group:
                for action in actions:
                    group.create_task(one(action, threads), name=f"make {action.name}")

    def _make_one(self, action: Action, tokens: Tokens) -> None:
        provider = self._operator.provider_of(action.name)
        if action.verb is Verb.START:
            self._progress(action.name, "switching on")
            provider.start(action.name)
            return
        assert action.spec is not None
        maker = self._operator.providers[action.spec.provider]
        urls = [] if action.role == "hub" else list(self._operator.all_hub_urls(self._machines).values())
        if action.role == "node" and not urls:
            raise TemporaryError(
                Code.NOT_DEPLOYED,
                "it was not made: there is no hub whose address it could be told",
                hint="Run spokewire deploy again when the hub is there.",
            )
        if action.verb is Verb.REPLACE:
            self._progress(action.name, "removing the old machine")
            provider.destroy(action.name, keep_address=provider is maker)
            self._machines.pop(action.name, None)
            self._keep_grant(action.name, tokens[action.name][0])
        self._progress(action.name, "making the machine")
        text, key = tokens[action.name]
        token = make_token(self._root, text, key, urls)
        self._machines[action.name] = maker.create(action.spec, token, lambda words: self._tell(action.name, words))
        self._operator.forget_list(action.spec.provider)
        self._progress(action.name, "starting its daemon")

    def _keep_grant(self, name: MachineName, text: str) -> None:
        """Keep the grant of a machine that takes the place of one that is gone: until then the old grant says what the old machine runs with."""
        with self._keeping:
            state = self._operator.keeper.load_state()
            self._operator.keeper.store_state(replace(state, grant_texts=state.grant_texts | {name: text}))

    async def _bring_up_hubs(self, actions: Mapping[MachineName, Action], tokens: Tokens, timeout_s: float) -> None:
        """Make all hubs at once and wait for each; but those that exist and are made anew one after the other, so that the rest carries the traffic."""
        hubs = self._operator.spec.hubs
        later = [hub for hub in hubs if hub.name in actions and actions[hub.name].verb is Verb.REPLACE]
        self._unmade = {name for name, action in actions.items() if action.verb is not Verb.START}
        async with asyncio.TaskGroup() as group:
            for hub in hubs:
                if hub not in later:
                    begun = self._bring_up(hub, actions.get(hub.name), tokens, timeout_s)
                    group.create_task(begun, name=f"bring up {hub.name}")
                elif len(hubs) > 1:
                    group.create_task(self._meet(hub), name=f"meet {hub.name}")
        for hub in later:
            await self._renew(hub, actions[hub.name], tokens, timeout_s)
        if self._drained:
            await self._delivery.drain(())
        self._nodes_may_begin.set()

    async def _meet(self, hub: MachineSpec) -> None:
        """A hub that is to be made anew still carries pairs, and tells the nodes of the others that are made anew before it."""
        with contextlib.suppress(SpokewireError, TimeoutError):
            async with asyncio.timeout(MEETING_S):
                await self._delivery.settle(hub, lambda words: self._progress(hub.name, words))

    async def _renew(self, hub: MachineSpec, action: Action, tokens: Tokens, timeout_s: float) -> None:
        """Make a hub anew that exists: its pairs move to other hubs first. The last one that works is not touched while another has failed."""
        ready, can_spare = self._delivery.ready, self._delivery.can_spare(hub.name)
        if hub.name in ready and not can_spare and any(h.name in self.outcome.failed for h in self._operator.spec.hubs):
            error = TemporaryError(Code.NOT_DEPLOYED, "it is kept as it was: no other hub is ready", hint=_AGAIN)
            self._fail(hub.name, error)
            return
        if can_spare:
            self._progress(hub.name, "draining: its pairs move to other hubs")
            self._drained = True
            await self._delivery.drain([hub.name])
            await rollout.wait_until_drained(self._operator, self._root, hub.name)
        ready.pop(hub.name, None)
        await self._bring_up(hub, action, tokens, timeout_s)
        if can_spare and hub.name in ready:
            await rollout.wait_until_used(self._operator, self._root, hub.name, self._progress)

    async def _bring_up(self, hub: MachineSpec, action: Action | None, tokens: Tokens, timeout_s: float) -> None:
        if action is not None:
            await self._make([action], tokens)
        self._unmade.discard(hub.name)
        if not self._unmade and self._operator.all_hub_urls(self._machines):
            self._nodes_may_begin.set()
        if hub.name not in self.outcome.failed:
            await self._settle(hub, timeout_s)

    async def _settle(self, hub: MachineSpec, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(self._operator.patience.left_s(timeout_s)):
                await self._delivery.settle(hub, lambda words: self._progress(hub.name, words))
        except TimeoutError:
            error = self._operator.errors.get(hub.name)
            why = "its API does not answer" if error is None else error.message.rstrip(".")
            self._fail(
                hub.name,
                TemporaryError(Code.TIMEOUT, f"it was not ready within {timeout_s:.0f} s: {why}", hint=_hint(hub)),
            )
        except SpokewireError as error:
            self._fail(hub.name, error)
        else:
            self.outcome.ready.append(hub.name)
            self._progress(hub.name, "ready")
            self._nodes_may_begin.set()

    async def _destroy(self, actions: list[Action]) -> None:
        """Remove machines that are no longer wanted; their grants have been revoked before, and nodes have left the hubs among them."""
        actions = await self._say_farewell(actions)

        async def one(action: Action) -> None:
            self._progress(action.name, "removing the machine")
            try:
                await asyncio.to_thread(self._operator.provider_of(action.name).destroy, action.name)
            except SpokewireError as error:
                self._fail(action.name, error)
            else:
                self.outcome.destroyed.append(action.name)
                self._progress(action.name, "gone")

        async with asyncio.TaskGroup() as group:
            for action in actions:
                group.create_task(one(action), name=f"destroy {action.name}")
        if actions:
            state = self._operator.keeper.load_state()
            gone = {action.name for action in actions if action.spec is None}
            texts = {name: text for name, text in state.grant_texts.items() if name not in gone}
            self._operator.keeper.store_state(replace(state, grant_texts=texts))

    async def _say_farewell(self, actions: list[Action]) -> list[Action]:
        """Let the nodes leave the hubs that are to go; those stay that nobody can take the place of. What is left to be removed."""
        leaving = [action for action in actions if action.role == "hub" and action.spec is None]
        if not leaving:
            return actions
        if not self._delivery.ready:
            for action in leaving:
                error = TemporaryError(Code.NOT_DEPLOYED, "it is kept: no other hub is ready", hint=_AGAIN)
                self._fail(action.name, error)
            return [action for action in actions if action not in leaving]
        members = [] if self._observed.roster is None else self._observed.roster.hubs(clock.wall())
        urls = {member.name: choose_url(member.record.api_urls) for member in members}
        async with asyncio.TaskGroup() as group:
            for action in leaving:
                self._progress(action.name, "waiting until the nodes have left it")
                if action.name in urls:
                    group.create_task(self._delivery.take_leave(urls[action.name]), name=f"leave {action.name}")
        await rollout.wait_until_in_force(self._operator, self._root)
        return actions

    async def _wait_for_nodes(self, timeout_s: float) -> None:
        """Ready means: its echoes came back, from the hub and from every other node that is alive (`find_delays`). All must be ready at one moment.

        One that was ready before another was alive has still to hear from that one.
        """
        wanted = {node.name: node for node in self._operator.spec.nodes if node.name not in self.outcome.failed}
        deadline = clock.monotonic() + self._operator.patience.left_s(timeout_s)
        if not self._delivery.ready:
            deadline = clock.monotonic()
        told: set[MachineName] = set()
        while True:
            overview = await gather.gather(self._operator, self._root, fresh=False)
            delayed = find_delays(wanted, overview)
            for name in [name for name in wanted if name not in delayed and name not in told]:
                told.add(name)
                self._progress(name, "ready")
            for name in [name for name in delayed if name not in told]:
                self._progress(name, f"waiting for its echo: {delayed[name]}")
            hosts_only = all(wanted[name].provider is ProviderName.HOST for name in delayed)
            if hosts_only or clock.monotonic() > deadline:
                break
            await asyncio.sleep(POLL_S)
        for name, reason in delayed.items():
            self._fail(name, TemporaryError(Code.TIMEOUT, reason, hint=_hint(wanted[name])))
        self.outcome.ready += [name for name in wanted if name not in delayed]

    def _tell(self, name: MachineName, words: str) -> None:
        self._told[name] = words
        self._progress(name, words)

    def _fail(self, name: MachineName, error: SpokewireError) -> None:
        self.outcome.failed[name] = error
        self._progress(name, f"failed: {error.message}")


def _hint(machine: MachineSpec) -> str:
    if machine.provider is ProviderName.HOST:
        return f"Mint a token and start it there: spokewire node token {machine.name}."
    if machine.provider is ProviderName.LAB:
        return f"Look at its log (spokewire lab logs {machine.name}), then run spokewire deploy again."
    return _AGAIN
