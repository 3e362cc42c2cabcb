"""Following the roster on every hub, with the last good copy on disk: a node runs without any hub's API for ever."""

import asyncio
import json
from collections.abc import Callable, Iterable
from contextlib import aclosing
from pathlib import Path

import structlog

from spokewire.api.client import HubClient, connect
from spokewire.api.client import Identity as Caller
from spokewire.errors import Code, SpokewireError, TemporaryError
from spokewire.host import clock, files
from spokewire.host.identity import Identity
from spokewire.host.loops import Backoff, repeat
from spokewire.network.roster import Merge, Roster, merge

log = structlog.get_logger()

LONGEST_BACKOFF_S = 5.0
"""A hub that comes back is found again within five seconds."""


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
    ) -> None:
        self.roster = roster
        self.clients: dict[str, HubClient] = {}
        """Open connections, by URL."""
        self._identity = identity
        self._caller = Caller(identity.token.root, identity.token.grant_key, identity.token.grant_text)
        self._record = record
        self._file = RosterFile(identity.folder / "roster.json")
        self._changed = changed
        self._test = test
        self._more_hubs = asyncio.Event()

    async def run(self, report: Callable[[SpokewireError | None], None]) -> None:
        """Follow every hub that is known, and those that become known."""
        followed: set[str] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                for url in sorted(self._urls() - followed):
                    followed.add(url)
                    group.create_task(self._follow(url, report), name=f"sync {url}")
                await self._more_hubs.wait()
                self._more_hubs.clear()

    def take(self, documents: Iterable[str]) -> None:
        """Merge documents from anywhere; keep and announce what is new."""
        merged = merge(self.roster, documents, clock.wall())
        _log_refusals(merged)
        if merged.roster is self.roster:
            return
        self.roster = merged.roster
        self._changed(self.roster)
        self._more_hubs.set()
        self._file.store(self.roster)

    async def _follow(self, url: str, report: Callable[[SpokewireError | None], None]) -> None:
        async def step() -> None:
            async with connect(url, self._caller) as client:
                await client.submit_record(self._record)
                await self._offer_settings(client)
                self.clients[url] = client
                report(None)
                log.info("following hub", hub=client.member.name)
                try:
                    self.take([client.member.text])
                    async with aclosing(client.stream_roster()) as lines:
                        async for line in lines:
                            self.take(line.documents)
                            for request in line.tests:
                                self._test(request, client)
                finally:
                    del self.clients[url]
            raise TemporaryError(Code.API_UNREACHABLE, f"{url} ended the roster stream.")

        await repeat(f"sync {url}", step, 0.0, report=report, backoff=Backoff(longest_s=LONGEST_BACKOFF_S))

    async def _offer_settings(self, client: HubClient) -> None:
        """Hand our settings to the hub: one that lost its disk, or was kept in the dark, learns them from us."""
        if self.roster.settings is None:
            return
        try:
            await client.put_settings(self.roster.settings_text)
        except SpokewireError as error:
            if error.code is not Code.DOCUMENT_STALE:
                raise

    def _urls(self) -> set[str]:
        known = {hub.record.api_url for hub in self.roster.hubs(clock.wall())}
        return {url for url in known if url is not None} | set(self._identity.token.hub_urls)


def _log_refusals(merged: Merge) -> None:
    for refusal in merged.refusals:
        if refusal.code is not Code.DOCUMENT_STALE:
            log.warning("document refused", code=refusal.code, reason=refusal.text)
