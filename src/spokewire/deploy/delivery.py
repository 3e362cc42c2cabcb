"""Handing documents to hubs. Hubs share nothing, and documents verify by themselves: so the operator's tool brings every hub what any of them holds."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spokewire.api.client import HubClient, connect
from spokewire.cloud.provider import Machine
from spokewire.deploy.keeper import network_id
from spokewire.deploy.operator import Operator
from spokewire.deploy.plan import plan_settings
from spokewire.errors import Code, InputError, SpokewireError, TemporaryError
from spokewire.host import clock
from spokewire.network.documents import Settings, read_kind, sign
from spokewire.network.names import MachineName
from spokewire.network.roster import Roster, merge
from spokewire.network.spec import MachineSpec
from spokewire.network.status import State

POLL_S = 0.25
SPREAD_S = 60.0
"""A hub takes some fifty requests a second from one caller: this is enough for three thousand records."""
FAREWELL_S = 5.0
"""A hub that is to go and does not answer is told nothing."""
REFUSED_PAUSE_S = 0.5
MOST_TRIES = 3
"""Of signing settings that are newer than any hub's: another operator's computer may sign at the same time."""
READY = (State.CONNECTED, State.DEGRADED)


@dataclass(frozen=True)
class _Chosen:
    """The settings that every hub is to have."""

    text: str
    version: int


class Delivery:
    """The settings and records of one deploy. `gone`: the names that are no longer wanted; `renew`: whether new settings are to be signed."""

    def __init__(
        self,
        operator: Operator,
        root: Ed25519PrivateKey,
        machines: dict[MachineName, Machine],
        gone: Sequence[MachineName],
        *,
        renew: bool,
    ) -> None:
        self._operator, self._root, self._machines, self._gone, self._renew = operator, root, machines, gone, renew
        self._chosen: _Chosen | None = None
        self._choosing, self._spreading = asyncio.Lock(), asyncio.Lock()
        self._draining: frozenset[MachineName] = frozenset()
        self.ready: dict[MachineName, str] = {}
        """The hubs that have the settings and a tunnel, with their URLs."""

    async def settle(self, hub: MachineSpec, say: Callable[[str], None]) -> None:
        """Wait for a hub's own authenticated API and hand it the settings; when its tunnel is up, let all hubs know what any of them knows."""
        say("waiting for its API")
        url = self._operator.hub_urls(self._machines).get(hub.name)
        if url is None:
            raise TemporaryError(Code.NOT_DEPLOYED, f"{hub.name} is not deployed", hint="Run: spokewire deploy.")
        while not await self._try(hub, url, say):  # noqa: ASYNC110 - what is waited for is another machine
            await asyncio.sleep(POLL_S)
        self.ready[hub.name] = url
        await self.spread()

    async def _try(self, hub: MachineSpec, url: str, say: Callable[[str], None]) -> bool:
        """Hand the settings over and wait for the hub's tunnel; False if it does not answer yet."""
        try:
            async with connect(url, self._operator.identity(self._root)) as client:
                await self._hand_settings(client)
                while (status := await client.fetch_status()).state not in READY:
                    self._operator.errors[hub.name] = TemporaryError(Code.TIMEOUT, f"no tunnel: {status.reason}")
                    say("waiting for its tunnel")
                    await asyncio.sleep(POLL_S)
        except TemporaryError as error:
            self._operator.errors[hub.name] = error
            return False
        return True

    async def _hand_settings(self, hub: HubClient) -> None:
        known = (await hub.fetch_status()).settings_version
        for _ in range(MOST_TRIES):
            chosen = await self._choose()
            if known < chosen.version:
                await hub.put_settings(chosen.text)
            if known <= chosen.version or not self._renew:
                return
            self._chosen = None

    async def _choose(self) -> _Chosen:
        """The newest settings that are known, or newer ones: signed once for all hubs, and kept before anybody has them."""
        async with self._choosing:
            if self._chosen is None:
                self._chosen = await self._find_or_sign()
            return self._chosen

    async def _find_or_sign(self) -> _Chosen:
        state = self._operator.keeper.load_state()
        roster = await self._operator.fetch_roster(self._machines, self._root) or Roster(self._root.public_key())
        # What was handed out before counts too: a hub that was made anew, and answers first, knows nothing of what was revoked.
        roster = self._merge(roster, [state.settings] if state.settings else [])
        current = roster.settings
        if current is not None and not self._renew:
            return _Chosen(roster.settings_text, current.version)
        settings = self._plan(current)
        text = sign(settings, self._root)
        self._operator.keeper.store_state(replace(self._operator.keeper.load_state(), settings=text))
        return _Chosen(text, settings.version)

    def _plan(self, current: Settings | None) -> Settings:
        spec = self._operator.spec
        spec = replace(spec, hubs=tuple(replace(h, drain=h.drain or h.name in self._draining) for h in spec.hubs))
        return plan_settings(spec, network_id(self._root), current, self._gone, clock.wall())

    def can_spare(self, hub: MachineName) -> bool:
        """Whether another hub is ready that does not drain itself."""
        return any(
            other.name in self.ready and not other.drain for other in self._operator.spec.hubs if other.name != hub
        )

    async def drain(self, hubs: Collection[MachineName]) -> None:
        """Sign settings in which these hubs drain beside those of the spec, and hand them to every hub that is ready; none: as the spec says."""
        self._draining = frozenset(hubs)
        self._renew, self._chosen = True, None
        chosen = await self._choose()
        async with asyncio.TaskGroup() as group:
            for name, url in self.ready.items():
                group.create_task(self._hand(name, url, [chosen.text]), name=f"tell {name}")

    async def spread(self) -> None:
        """Bring every hub that is ready the documents that any of them holds. One that falls silent meanwhile is left to the next deploy."""
        async with self._spreading:
            if len(self.ready) < 2:  # noqa: PLR2004 - one hub has nobody to learn from
                return
            held: dict[MachineName, list[str]] = {}
            async with asyncio.TaskGroup() as group:
                for name, url in self.ready.items():
                    group.create_task(self._read(name, url, held), name=f"read {name}")
            union = self._merge(Roster(self._root.public_key()), (text for texts in held.values() for text in texts))
            async with asyncio.TaskGroup() as group:
                for name, texts in held.items():
                    lacking = [text for text in _in_order(union) if text not in set(texts)]
                    if lacking:
                        group.create_task(self._hand(name, self.ready[name], lacking), name=f"tell {name}")

    async def _read(self, name: MachineName, url: str, held: dict[MachineName, list[str]]) -> None:
        try:
            async with connect(url, self._operator.identity(self._root)) as hub:
                held[name] = await hub.fetch_roster()
        except SpokewireError as error:
            self._operator.errors[name] = error

    async def _hand(self, name: MachineName, url: str, texts: Iterable[str]) -> None:
        try:
            async with asyncio.timeout(SPREAD_S), connect(url, self._operator.identity(self._root)) as hub:
                for text in texts:
                    await _hand_one(hub, text)
        except (SpokewireError, TimeoutError) as error:
            self._operator.errors[name] = (
                error
                if isinstance(error, SpokewireError)
                else TemporaryError(Code.TIMEOUT, "it takes documents slowly")
            )

    async def take_leave(self, url: str) -> None:
        """Tell a hub that is to go that it is: nodes that only it reaches learn it as well. It may be dead already."""
        chosen = await self._choose()
        try:
            async with asyncio.timeout(FAREWELL_S), connect(url, self._operator.identity(self._root)) as hub:
                await hub.put_settings(chosen.text)
        except (SpokewireError, TimeoutError):
            return

    def _merge(self, roster: Roster, texts: Iterable[str]) -> Roster:
        return merge(roster, texts, clock.wall()).roster


def _in_order(roster: Roster) -> list[str]:
    """The documents of a roster, those first that nobody else hands in: the settings, the hubs, the stock clients."""
    members = [member for member in roster.records.values() if not roster.is_revoked(member.grant)]
    members.sort(key=lambda member: member.grant.role != "hub" and member.grant.agent)
    return ([roster.settings_text] if roster.settings is not None else []) + [member.text for member in members]


async def _hand_one(hub: HubClient, text: str) -> None:
    """Hand one document over; what the hub has newer, or has reasons of its own to refuse, does not stop the others."""
    while True:
        try:
            if read_kind(text) == Settings.typ:
                await hub.put_settings(text)
            else:
                await hub.submit_record(text)
        except InputError:
            return
        except TemporaryError as error:
            if error.code is not Code.RATE_LIMITED:
                raise
            await asyncio.sleep(REFUSED_PAUSE_S)
        else:
            return
