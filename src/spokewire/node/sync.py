"""Following the roster on every hub, with the last good copy on disk: a node runs without any hub's API for ever."""

import asyncio
import json
from collections.abc import Callable, Iterable
from contextlib import aclosing
from pathlib import Path

from spokewire.api.client import HubClient, connect
from spokewire.api.client import Identity as Caller
from spokewire.errors import Code, InputError, SpokewireError, TemporaryError
from spokewire.host import clock, files
from spokewire.host.identity import Identity
from spokewire.host.logs import log
from spokewire.host.loops import Backoff, repeat
from spokewire.host.routes import choose_url
from spokewire.network.claims import Claims, give, hear, judge_claims
from spokewire.network.clocks import Told
from spokewire.network.documents import Member
from spokewire.network.names import MachineName
from spokewire.network.roster import Merge, Roster, merge
from spokewire.network.status import Issue
from spokewire.node.offers import Offers

Report = Callable[[SpokewireError | None], None]

UNREACHABLE_S = 5.0
"""How long a hub is out of reach before that is told: one that starts, or whose daemon is replaced, is there sooner."""
LONGEST_BACKOFF_S = 0.5
"""A hub that comes back is found again within a second or so; to one that is away, two tries a second cost nothing."""


class RosterFile:
    """The last good copy of the roster on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, empty: Roster, now: float) -> Roster:
        """Load and verify every document again; what does not hold is left out, and a file that is no roster is no roster."""
        try:
            documents = json.loads(files.read(self._path) or "[]")
        except (ValueError, RecursionError, SpokewireError):
            log.warning("roster file unreadable", path=str(self._path))
            return empty
        if not isinstance(documents, list):
            return empty
        loaded = merge(empty, (text for text in documents if isinstance(text, str)), now)
        _log_refusals(loaded)
        return loaded.roster

    def store(self, roster: Roster) -> None:
        """Keep a roster."""
        files.write(self._path, json.dumps(roster.documents()))


class Sync:
    """One task for each known hub: hand in our record, follow the roster, pass test requests on."""

    def __init__(
        self,
        identity: Identity,
        record: str,
        roster: Roster,
        changed: Callable[[Roster], None],
        test: Callable[[str, HubClient], None],
        found: Callable[[Member], None],
    ) -> None:
        self.roster = roster
        self.clients: dict[tuple[str, ...], HubClient] = {}
        """Open connections, by the hub's URLs."""
        self._identity = identity
        self._caller = Caller(identity.token.root, identity.token.grant_key, identity.token.grant_text)
        self._record = record
        self._file = RosterFile(identity.folder / "roster.json")
        self._changed = changed
        self._test = test
        self._found = found
        self.doubled: Callable[[Member, str], None] = lambda *_: None
        """Called with what a hub says of another machine with our keys: `grant-in-use`, `machine-copied`, or ""."""
        self.judged: Callable[[MachineName, Issue | None], None] = lambda *_: None
        """Called with a hub, and what is wrong with what it hands out."""
        self.told: Told | None = None
        """What a hub said last of the time."""
        self._names: dict[tuple[str, ...], MachineName] = {}
        """Whose each URL was when we called it."""
        self._more_hubs = asyncio.Event()
        self._followed_until: float | None = None
        self._scopes: dict[tuple[str, ...], asyncio.Timeout] = {}
        """What ends each stream."""

    async def run(self, note: Callable[[str], Report]) -> None:
        """Follow every hub that is known, those that become known, and none that has left. `note` makes the callback by which one tells how it goes."""
        followed: dict[tuple[str, ...], asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                self._more_hubs.clear()
                wanted = self._find_urls()
                for urls in [urls for urls in followed if urls not in wanted]:
                    followed.pop(urls).cancel()
                    note(f"sync {urls[0]}")(None)
                for urls in wanted:
                    if urls not in followed:
                        report = tell_lasting(self._tell_remembered(urls, note(f"sync {urls[0]}")))
                        task = self._follow(urls, report)
                        followed[urls] = group.create_task(task, name=f"sync {urls[0]}")
                await self._more_hubs.wait()

    def take(self, documents: Iterable[str]) -> Merge:
        """Merge documents from anywhere; keep and announce what is new."""
        merged = merge(self.roster, documents, clock.wall())
        _log_refusals(merged)
        if merged.roster is self.roster:
            return merged
        self.roster = merged.roster
        self._changed(self.roster)
        self._more_hubs.set()
        try:
            self._file.store(self.roster)
        except SpokewireError as error:
            # It is in force; only a restart would not know it, and asks a hub.
            log.warning("roster not stored", code=error.code, error=error.message)
        return merged

    @property
    def me(self) -> Member | None:
        """Ourselves, as the roster knows us."""
        grant = self._identity.token.grant
        member = self.roster.records.get(MachineName(grant.name))
        return member if member is not None and member.grant.id == grant.id else None

    def age_s(self) -> float | None:
        """Seconds since a hub last confirmed the roster: 0 while we follow one; None if none has since the start."""
        if self.clients:
            return 0.0
        return None if self._followed_until is None else clock.monotonic() - self._followed_until

    def doubt(self, client: HubClient) -> None:
        """Another request to this hub failed: its stream, which is silent by nature, may be dead without knowing. Follow it anew."""
        for urls, known in self.clients.items():
            if known is client:
                self._scopes[urls].reschedule(asyncio.get_running_loop().time())

    async def _follow(self, urls: tuple[str, ...], report: Report) -> None:
        async def step() -> None:
            url = choose_url(urls)
            async with connect(url, self._caller) as client:
                await client.submit_record(self._record)
                await self._offer_settings(client)
                report(None)
                self.told = client.told
                log.info("following hub", hub=client.member.name)
                self.take([client.member.text])
                self._names[urls] = client.member.name
                try:
                    async with asyncio.timeout(None) as self._scopes[urls]:
                        self.clients[urls] = client
                        self._more_hubs.set()
                        await self._listen(client)
                except TimeoutError:
                    log.info("stream given up", hub=client.member.name)
                finally:
                    self.clients.pop(urls, None)
                    self._more_hubs.set()
                    self._followed_until = clock.monotonic()
            raise TemporaryError(Code.API_UNREACHABLE, f"{url} ended the roster stream.")

        await repeat(f"sync {urls[0]}", step, 0.0, report=report, backoff=Backoff(longest_s=LONGEST_BACKOFF_S))

    async def _listen(self, client: HubClient) -> None:
        heard, offers = False, Offers(clock.monotonic())
        claims = self._give(Claims(client.member.name), self._record, "our own record")
        async with aclosing(client.stream_roster()) as lines:
            async for line in lines:
                merged = self.take(line.documents)
                claims = hear(claims, line.documents, merged.refusals)
                if not heard:
                    # A hub speaks when its own tunnel is up: before that a handshake would be lost.
                    heard = True
                    self._found(client.member)
                self.doubled(client.member, line.clone)
                for request in line.tests:
                    self._test(request, client)
                offers.hear(line.documents)
                claims = await self._offer_records(client, offers, claims)
                if self.roster.settings is not None and hash(self.roster.settings_text) not in claims.shown:
                    await self._offer_settings(client)
                    claims = self._give(claims, self.roster.settings_text, "the settings in force")
                self.judged(claims.hub, judge_claims(claims, self.roster.documents(), clock.monotonic(), clock.wall()))

    async def _offer_settings(self, client: HubClient) -> None:
        """Hand our settings to the hub: one that lost its disk, or was kept in the dark, learns them from us."""
        if self.roster.settings is None:
            return
        try:
            await client.put_settings(self.roster.settings_text)
        except SpokewireError as error:
            if error.code is not Code.DOCUMENT_STALE:
                raise

    def _give(self, claims: Claims, text: str, whose: str) -> Claims:
        return give(claims, text, whose, clock.monotonic())

    async def _offer_records(self, client: HubClient, offers: Offers, claims: Claims) -> Claims:
        """Hand in records that the hub does not tell, though we know them: those of stock clients, of other hubs, and newer ones."""
        records = {member.text: member.name for member in self.roster.members(clock.wall())}
        for text in offers.choose(records, clock.monotonic()):
            try:
                await client.submit_record(text)
            except InputError as error:
                log.info("hub refuses a record that we know", hub=client.member.name, code=error.code)
            except SpokewireError as error:
                # It is offered again; whether the hub is still there is for its stream to tell.
                log.info("record not handed in", hub=client.member.name, code=error.code)
                return claims
            else:
                claims = self._give(claims, text, f"the record of {records[text]}")
            offers.hear([text])
        return claims

    def _find_urls(self) -> list[tuple[str, ...]]:
        """The URLs of each hub: those of its record, and those that our token remembers, but not those of hubs that have left."""
        hubs = self.roster.hubs(clock.wall())
        known = [hub.record.api_urls for hub in hubs if hub.record.api_urls]
        named, names = {url for urls in known for url in urls}, {hub.name for hub in hubs}
        remembered = [urls for urls in self._identity.token.hub_urls if urls and named.isdisjoint(urls)]
        return known + [urls for urls in remembered if self._names.get(urls) in names | {None}]

    def _tell_remembered(self, urls: tuple[str, ...], report: Report) -> Report:
        """Of a URL that only our token remembers nothing is told while a hub answers: that one may be long gone."""

        def tell(error: SpokewireError | None) -> None:
            others = [known for known in self.clients if known != urls]
            report(error if error is None or not others or self._is_known(urls) else None)

        return tell

    def _is_known(self, urls: tuple[str, ...]) -> bool:
        return any(urls == hub.record.api_urls for hub in self.roster.hubs(clock.wall()))


def tell_lasting(report: Report, now: Callable[[], float] = clock.monotonic) -> Report:
    """Tell that a hub is out of reach when it has been for UNREACHABLE_S; everything else at once. `now` tells monotonic seconds."""
    failed_at: float | None = None

    def tell(error: SpokewireError | None) -> None:
        nonlocal failed_at
        if error is None or error.code not in (Code.API_UNREACHABLE, Code.TIMEOUT):
            failed_at = None
            report(error)
            return
        failed_at = now() if failed_at is None else failed_at
        if now() - failed_at >= UNREACHABLE_S:
            report(error)

    return tell


def _log_refusals(merged: Merge) -> None:
    for refusal in merged.refusals:
        if refusal.code is not Code.DOCUMENT_STALE:
            log.warning("document refused", code=refusal.code, reason=refusal.text)
