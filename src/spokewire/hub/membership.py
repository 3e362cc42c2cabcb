"""Who belongs: the hub's roster, its store, and those who follow it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from spokewire.errors import Code, InputError
from spokewire.hub.store import Store
from spokewire.network.documents import Grant, Member, Record, Settings
from spokewire.network.roster import Merge, Roster, merge, take

MAX_STREAMS = 4
"""Of one grant. A node needs one; the others may be of connections that broke without a word."""
SETTINGS_SUBJECT = "settings of the network"
"""No machine can be called that."""


@dataclass(eq=False)
class Follower:
    """One open roster stream: what it has not been told yet."""

    grant_id: str | None
    """None: the operator."""
    name: str = ""
    documents: dict[str, str] = field(default_factory=dict)
    """By subject: a follower that does not read is owed the newest of each, however often it changes meanwhile."""
    tests: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False


class Membership:
    """The hub's roster. Documents verify by themselves: neither the caller nor this hub has a say in what they mean."""

    def __init__(self, roster: Roster, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        loaded: Merge = merge(roster, store.load(), now())
        self.roster = loaded.roster
        self.refusals = loaded.refusals
        self.followers: dict[Follower, None] = {}
        """The oldest first."""
        self.clones: Mapping[str, str] = {}
        """By name, the nodes that seem to exist twice, and in which way."""
        self.changed = asyncio.Event()
        """Set at each change: look again."""
        self.version = 0
        """Counts the changes."""
        self._applied = 0
        self._waiting: list[tuple[int, asyncio.Event]] = []

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def take(self, text: str) -> bool:
        """Take one document; True if it was new. It is stored before anybody is told, unless the disk refuses."""
        after = take(self.roster, text, self._now())
        if after is self.roster:
            return False
        self._store.replace(_rows(after))
        self.roster = after
        self._tell(text)
        return True

    def find_caller(self, grant: Grant) -> Member:
        """The member that a caller's grant belongs to; InputError if it never handed in a record, is revoked, or was superseded."""
        self.refuse_revoked(grant)
        member = next((m for m in self.roster.members(self._now()) if m.grant.id == grant.id), None)
        if member is None:
            raise InputError(
                Code.FORBIDDEN,
                f"{grant.name} has not handed in its record, or a newer token was minted for it.",
                hint="Hand in the record first: POST /v1/records.",
            )
        return member

    def refuse_revoked(self, grant: Grant) -> None:
        """Raise if a grant is revoked."""
        if self.roster.is_revoked(grant):
            raise InputError(
                Code.REVOKED, f"The grant of {grant.name} is revoked.", hint="Ask the operator for a new token."
            )

    def applied(self, version: int) -> None:
        """Note that this machine is in line with the roster as of a version."""
        self._applied = max(self._applied, version)
        for wanted, event in self._waiting:
            if wanted <= self._applied:
                event.set()

    async def wait_until_applied(self, limit_s: float) -> None:
        """Wait until this machine is in line with the roster of this moment, for at most `limit_s`.

        Nobody is told of a change before the hub has carried it out: a node that called a hub which does not know it yet would lose its first
        handshake, and WireGuard tries again only after five seconds (REKEY_TIMEOUT, WireGuard paper section 6.1).
        """
        if self._applied >= self.version:
            return
        waiting = (self.version, asyncio.Event())
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(limit_s):
                await waiting[1].wait()
        except TimeoutError:
            return
        finally:
            self._waiting.remove(waiting)

    def follow(self, grant_id: str | None, name: str) -> Follower:
        """Begin to follow: the whole roster is the first news."""
        follower = Follower(grant_id, name, {subject: text for _, subject, text in _rows(self.roster)})
        follower.news.set()
        if grant_id is not None:
            self._close_oldest(grant_id)
        self.followers[follower] = None
        return follower

    def send_test(self, request: str, names: set[str]) -> set[str]:
        """Hand a test request to the followers of these names; return the names that nobody follows as."""
        reached = set()
        for follower in self.followers:
            if follower.name in names and not follower.closed:
                follower.tests.append(request)
                follower.news.set()
                reached.add(follower.name)
        return names - reached

    def tell_clones(self, found: Mapping[str, str]) -> None:
        """Tell those that seem to exist twice, and those that do not any more."""
        before, self.clones = self.clones, found
        for follower in self.followers:
            if found.get(follower.name) != before.get(follower.name):
                follower.news.set()

    def _tell(self, text: str) -> None:
        self.version += 1
        subject = next((subject for _, subject, known in _rows(self.roster) if known == text), "")
        grants = {member.grant.id for member in self.roster.records.values()}
        for follower in self.followers:
            follower.documents[subject] = text
            if follower.grant_id is not None and follower.grant_id not in grants:
                follower.closed = True
            follower.news.set()
        self.changed.set()

    def _close_oldest(self, grant_id: str) -> None:
        """Leave room for one more stream of this grant: one member must not take up the room of the others."""
        mine = [follower for follower in self.followers if follower.grant_id == grant_id and not follower.closed]
        for follower in mine[: max(0, len(mine) + 1 - MAX_STREAMS)]:
            follower.closed = True
            follower.news.set()


def _rows(roster: Roster) -> list[tuple[str, str, str]]:
    rows = [(Record.typ, str(name), member.text) for name, member in roster.records.items()]
    if roster.settings is not None:
        rows.insert(0, (Settings.typ, SETTINGS_SUBJECT, roster.settings_text))
    return rows
