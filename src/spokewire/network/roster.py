"""The roster: all valid documents that a machine or the operator knows.

Merging is order-free and idempotent: documents verify by themselves, so they may arrive any way, from any hub, any number of times.
A document that does not hold is refused by itself and never takes the others down with it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from spokewire.errors import Code, InputError
from spokewire.network.addresses import AddressPlan, derive_ula
from spokewire.network.documents import Member, Record, Settings, read_kind, verify_member, verify_settings
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

    @property
    def network(self) -> NetworkId:
        """The network's id."""
        return derive_network_id(self.root)

    @property
    def plan(self) -> AddressPlan | None:
        """The address plan; None until settings are known."""
        return None if self.settings is None else AddressPlan(self.settings.cidr, derive_ula(self.network))

    @property
    def version(self) -> int:
        """The version of the settings; 0 before any are known."""
        return 0 if self.settings is None else self.settings.version

    def members(self, now: float) -> list[Member]:
        """Every machine that belongs to the network now, in order of name: neither revoked nor expired."""
        revoked = frozenset() if self.settings is None else self.settings.revoked
        valid = [m for m in self.records.values() if m.grant.id not in revoked and now < m.grant.expires_at]
        return sorted(valid, key=lambda member: (member.grant.role != "hub", natural_order(member.grant.name)))

    def hubs(self, now: float) -> list[Member]:
        """The hubs among the members."""
        return [member for member in self.members(now) if member.grant.role == "hub"]

    def nodes(self, now: float) -> list[Member]:
        """The nodes among the members."""
        return [member for member in self.members(now) if member.grant.role == "node"]

    def is_revoked(self, grant_id: str) -> bool:
        """Whether the settings revoke this grant."""
        return self.settings is not None and grant_id in self.settings.revoked

    def documents(self) -> list[str]:
        """Every document as it was signed: what is stored, and handed on."""
        settings = [self.settings_text] if self.settings is not None else []
        return settings + [member.text for member in self.records.values() if not self.is_revoked(member.grant.id)]


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
    kept = {name: member for name, member in roster.records.items() if member.grant.id not in settings.revoked}
    return replace(roster, settings=settings, settings_text=text, records=kept)


def _take_record(roster: Roster, text: str, now: float) -> Roster:
    known = next((member for member in roster.records.values() if member.text == text), None)
    if known is not None:
        return roster
    member = verify_member(text, roster.root, roster.network, now)
    if roster.is_revoked(member.grant.id):
        raise InputError(
            Code.REVOKED, f"The grant of {member.name} is revoked.", hint="Ask the operator for a new token."
        )
    if roster.plan is not None and not 0 < member.grant.number < roster.plan.cidr.num_addresses - 1:
        raise InputError(Code.DOCUMENT_CHAIN, f"The address of {member.name} lies outside the address plan.")
    for other in roster.records.values():
        if other.name != member.name and other.grant.number == member.grant.number and not _is_newer(member, other):
            raise InputError(Code.DOCUMENT_STALE, f"The address of {member.name} belongs to {other.name}.")
    current = roster.records.get(member.name)
    if current is not None and not _supersedes(member, current):
        return roster
    kept = {
        name: other
        for name, other in roster.records.items()
        if name != member.name and other.grant.number != member.grant.number
    }
    return replace(roster, records=kept | {member.name: member})


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
    return new.record.sequence > current.record.sequence


def _is_newer(new: Member, old: Member) -> bool:
    return (new.grant.issued_at_ms, new.grant.id) > (old.grant.issued_at_ms, old.grant.id)
