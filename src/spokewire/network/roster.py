"""The roster: all valid documents that a machine or the operator knows.

Merging is order-free and idempotent: documents verify by themselves, so they may arrive any way, from any hub, any number of times.
So a record is not dropped for what other machines' records say: which records count is decided when they are read (`Roster.members`).
One thing depends on the order, and is meant to: of two WireGuard keys under one grant the first seen stays.
A document that does not hold is refused by itself and never takes the others down with it.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from spokewire.errors import Code, InputError
from spokewire.network.addresses import AddressPlan, derive_ula
from spokewire.network.documents import (
    Grant,
    HubPolicy,
    Member,
    Record,
    Role,
    Settings,
    read_kind,
    verify_member,
    verify_settings,
)
from spokewire.network.keys import derive_network_id
from spokewire.network.names import MachineName, NetworkId, natural_order


@dataclass(frozen=True)
class Refusal:
    """A document that was not taken, and why."""

    code: Code
    text: str


@dataclass(frozen=True)
class Roster:
    """All valid documents of one network."""

    root: Ed25519PublicKey
    settings: Settings | None = None
    settings_text: str = ""
    records: Mapping[MachineName, Member] = field(default_factory=dict)

    @cached_property
    def network(self) -> NetworkId:
        """The network's id."""
        return derive_network_id(self.root)

    @cached_property
    def plan(self) -> AddressPlan | None:
        """The address plan; None until settings are known."""
        return None if self.settings is None else AddressPlan(self.settings.cidr, derive_ula(self.network))

    @property
    def version(self) -> int:
        """The version of the settings; 0 before any are known."""
        return 0 if self.settings is None else self.settings.version

    def policy(self, hub: str) -> HubPolicy:
        """How a hub is used."""
        return HubPolicy() if self.settings is None else self.settings.policy(hub)

    def members(self, now: float) -> list[Member]:
        """Every machine that belongs to the network now; hubs first, then in order of name.

        Neither revoked nor expired, inside the address plan and, where one address was granted twice, the one that was granted it last.
        """
        return self.hubs(now) + self.nodes(now)

    def next_expiry(self, now: float) -> float:
        """When the first of the grants that hold now expires; until then, time alone changes no member. Infinite if there is none."""
        ends = (member.grant.expires_at for member in self.records.values())
        return min((end for end in ends if end > now), default=math.inf)

    def hubs(self, now: float) -> list[Member]:
        """The hubs among the members."""
        return self._members("hub", now)

    def nodes(self, now: float) -> list[Member]:
        """The nodes among the members."""
        return self._members("node", now)

    def _members(self, role: Role, now: float) -> list[Member]:
        plan, owners = self.plan, dict[int, Member]()
        for member in self.records.values():
            if self._holds(member.grant, plan, now):
                rival = owners.setdefault(member.grant.number, member)
                if rival is not member and _is_newer(member, rival):
                    owners[member.grant.number] = member
        found = [member for member in owners.values() if member.grant.role == role]
        return sorted(found, key=lambda member: natural_order(member.grant.name))

    def _holds(self, grant: Grant, plan: AddressPlan | None, now: float) -> bool:
        return (plan is None or plan.holds(grant.number)) and now < grant.expires_at and not self.is_revoked(grant)

    def is_revoked(self, grant: Grant) -> bool:
        """Whether the settings revoke this grant."""
        return self.settings is not None and self.settings.revokes(grant)

    def documents(self) -> list[str]:
        """Every document as it was signed: what is stored, and handed on."""
        settings = [self.settings_text] if self.settings is not None else []
        return settings + [member.text for member in self.records.values() if not self.is_revoked(member.grant)]


@dataclass(frozen=True)
class Merge:
    """What came of merging: the roster after it, what was new, and what was refused."""

    roster: Roster
    changed: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def merge(roster: Roster, texts: Iterable[str], now: float) -> Merge:
    """Merge documents into a roster, each by itself."""
    changed: list[str] = []
    refusals: list[Refusal] = []
    for text in texts:
        try:
            after = take(roster, text, now)
        except InputError as error:
            refusals.append(Refusal(error.code, error.message))
            continue
        if after is not roster:
            roster = after
            changed.append(text)
    return Merge(roster, tuple(changed), tuple(refusals))


def take(roster: Roster, text: str, now: float) -> Roster:
    """Take one document; the same roster if it is known already, InputError if it must be refused."""
    match read_kind(text):
        case Settings.typ:
            return _take_settings(roster, text)
        case Record.typ:
            return _take_record(roster, text, now)
        case kind:
            raise InputError(Code.DOCUMENT_KIND, f"A roster has no documents of kind {kind[:40]!r}.")


def _take_settings(roster: Roster, text: str) -> Roster:
    if text == roster.settings_text:
        return roster
    settings = verify_settings(text, roster.root, roster.network)
    if settings.version <= roster.version:
        raise InputError(
            Code.DOCUMENT_STALE,
            f"Settings {settings.version} are not newer than settings {roster.version}, which are known.",
        )
    kept = {name: member for name, member in roster.records.items() if not settings.revokes(member.grant)}
    return replace(roster, settings=settings, settings_text=text, records=kept)


def _take_record(roster: Roster, text: str, now: float) -> Roster:
    known = next((member for member in roster.records.values() if member.text == text), None)
    if known is not None:
        return roster
    member = verify_member(text, roster.root, roster.network, now)
    if roster.is_revoked(member.grant):
        raise InputError(
            Code.REVOKED, f"The grant of {member.name} is revoked.", hint="Ask the operator for a new token."
        )
    current = roster.records.get(member.name)
    if current is not None and not _supersedes(member, current):
        return roster
    return replace(roster, records={**roster.records, member.name: member})


def _supersedes(new: Member, current: Member) -> bool:
    """Whether `new` replaces `current`, both of one name. The same grant with another WireGuard key is a clone: refused."""
    if new.grant.id != current.grant.id:
        if not _is_newer(new, current):
            raise InputError(
                Code.DOCUMENT_STALE,
                f"A newer token was minted for {new.name}: this one no longer counts.",
                hint=f"Use the newest token, or mint another: spokewire node token {new.name}.",
            )
        return True
    if new.record.wireguard_key != current.record.wireguard_key:
        raise InputError(
            Code.GRANT_IN_USE,
            f"The token of {new.name} is in use by another machine: two WireGuard keys claim it.",
            hint=f"Each machine needs a token of its own: spokewire node token {new.name}.",
        )
    if new.record.sequence < current.record.sequence:
        raise InputError(Code.DOCUMENT_STALE, f"A newer record of {new.name} is known.")
    return (new.record.sequence, new.text) > (current.record.sequence, current.text)


def find_lacking(looks: Mapping[MachineName, tuple[Roster, Roster]]) -> dict[MachineName, list[str]]:
    """By hub, the names whose newest record it did not show at two looks, although another hub showed it at the first; hubs that lack none are left out.

    A record that is on its way to a hub is there at the second look. What any settings revoke is lacked by nobody.
    """
    revoking = [roster for _, roster in looks.values()]
    newest: dict[MachineName, Member] = {}
    for first, _ in looks.values():
        for name, member in first.records.items():
            if not any(roster.is_revoked(member.grant) for roster in revoking):
                newest[name] = max(newest.get(name, member), member, key=_rank)
    found = {
        hub: [str(name) for name, member in newest.items() if not any(_shows(look, name, member) for look in both)]
        for hub, both in looks.items()
    }
    return {hub: names for hub, names in found.items() if names}


def _rank(member: Member) -> tuple[int, str, int, str]:
    return (member.grant.issued_at_ms, member.grant.id, member.record.sequence, member.text)


def _shows(roster: Roster, name: MachineName, member: Member) -> bool:
    known = roster.records.get(name)
    return known is not None and _rank(known) >= _rank(member)


def _is_newer(new: Member, old: Member) -> bool:
    return (new.grant.issued_at_ms, new.grant.id) > (old.grant.issued_at_ms, old.grant.id)
