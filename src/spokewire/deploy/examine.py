"""Examining a live network from the operator's side: the evidence for the overview, and what else a doctor asks for."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import version

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from spokewire.api.client import HubClient
from spokewire.deploy.gather import Gathered, observe
from spokewire.deploy.operator import Operator
from spokewire.errors import InputError, SpokewireError
from spokewire.host import clock
from spokewire.network.documents import verify_settings
from spokewire.network.findings import Examination
from spokewire.network.keys import derive_network_id
from spokewire.network.names import MachineName
from spokewire.network.overview import judge_network
from spokewire.network.roster import Roster, find_lacking, merge
from spokewire.network.status import RelayStatus

LOOK_AGAIN_S = 1.0
"""Between two looks at a hub's counters; the other machines are asked meanwhile."""
MOST_COUNTED = 10**9
"""A hub may claim any number; a larger one tells no more, and would not fit a float."""
REPORT_TELLS_TIME_S = 60.0
"""The clock of a node that cannot be asked is told by its report, if that is no older."""


async def examine(operator: Operator, root: Ed25519PrivateKey) -> Examination:
    """Look at everything that tells what is wrong. Takes some seconds; raises only what the spec, the key or a provider raises."""
    notes = _Notes(root.public_key())
    found = await observe(operator, root, notes)
    now = clock.wall()
    state = operator.keeper.load_state(with_expired=True)
    known = {*found.hubs, *found.nodes, *(machine.name for machine in operator.spec.machines)}
    minted = {name: float(grant.expires_at) for name, grant in state.grants.items()}
    return Examination(
        now=now,
        release=version("spokewire"),
        spec=operator.spec,
        overview=judge_network(operator.spec, found.hubs, found.nodes),
        hubs=found.hubs,
        nodes=found.nodes,
        settings_version=_read_version(state.settings, root.public_key()),
        grants_end={name: at for name, at in (minted | notes.grants_end).items() if name in known},
        certificates_end=notes.certificates_end,
        clocks_ahead_s=_estimate_clocks(found, now) | notes.clocks_ahead_s,
        refused_per_s=notes.refused_per_s,
        lacking=find_lacking(notes.rosters),
    )


@dataclass
class _Notes:
    """What is noted while everybody is asked."""

    root: Ed25519PublicKey
    clocks_ahead_s: dict[MachineName, float] = field(default_factory=dict)
    grants_end: dict[MachineName, float] = field(default_factory=dict)
    certificates_end: dict[MachineName, float] = field(default_factory=dict)
    refused_per_s: dict[MachineName, dict[str, float]] = field(default_factory=dict)
    rosters: dict[MachineName, tuple[Roster, Roster]] = field(default_factory=dict)
    """Of each hub, at the first and at the second look."""

    def hear(self, name: MachineName, time: float, asked_at: float) -> None:
        """Compare a clock with ours: it told its time somewhere between the question and the answer."""
        self.clocks_ahead_s[name] = time - (asked_at + clock.wall()) / 2

    async def visit(self, hub: HubClient) -> None:
        """Read the hub's documents, and its relay's counters twice. If it falls silent meanwhile, what is known so far stays."""
        name, certificate = hub.member.name, hub.member.record.certificate
        if certificate is not None:
            ends = x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc
            self.certificates_end[name] = ends.timestamp()
        try:
            roster = self._note_grants(await hub.fetch_roster())
            begun = clock.monotonic()
            first = (await hub.fetch_status()).relay
            await asyncio.sleep(LOOK_AGAIN_S)
            later = (await hub.fetch_status()).relay
            self.rosters[name] = roster, self._note_grants(await hub.fetch_roster())
        except SpokewireError:
            return
        if first is not None and later is not None:
            self.refused_per_s[name] = _rates(first, later, clock.monotonic() - begun)

    def _note_grants(self, documents: Iterable[str]) -> Roster:
        roster = merge(Roster(self.root), documents, clock.wall()).roster
        self.grants_end |= {member.name: float(member.grant.expires_at) for member in roster.members(clock.wall())}
        return roster


def _rates(before: RelayStatus, after: RelayStatus, seconds: float) -> dict[str, float]:
    """Refusals a second; a daemon that was restarted in between counts from nought, and so do we."""
    return {
        reason: min(count - before.refused.get(reason, 0), MOST_COUNTED) / seconds
        for reason, count in after.refused.items()
        if count > before.refused.get(reason, 0)
    }


def _estimate_clocks(found: Gathered, now: float) -> dict[MachineName, float]:
    """By how much the clocks of those who report are ahead. A report is underway for far less than what matters of a clock."""
    return {
        name: evidence.report.time + evidence.view.report_age_s - now
        for name, evidence in found.nodes.items()
        if evidence.report is not None
        and evidence.view is not None
        and evidence.view.report_age_s is not None
        and evidence.view.report_age_s <= REPORT_TELLS_TIME_S
    }


def _read_version(settings: str, root: Ed25519PublicKey) -> int:
    """The version of the newest settings that were signed here; 0 if none are kept."""
    try:
        return verify_settings(settings, root, derive_network_id(root)).version if settings else 0
    except InputError:
        return 0
