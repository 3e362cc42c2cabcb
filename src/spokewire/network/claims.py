"""What a hub claims by the documents that it hands out, held against what others say: hubs cannot forge, but they can withhold and mislead. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from spokewire.errors import Code
from spokewire.network.documents import Member
from spokewire.network.names import MachineName
from spokewire.network.roster import Refusal
from spokewire.network.status import Issue

WITHHELD_S = 30.0
"""A hub tells everybody of a document within a second or two of taking it."""
_FALSE = frozenset(
    {
        Code.DOCUMENT_ALGORITHM,
        Code.DOCUMENT_CHAIN,
        Code.DOCUMENT_KIND,
        Code.DOCUMENT_MALFORMED,
        Code.DOCUMENT_SIGNATURE,
        Code.DOCUMENT_TOO_LARGE,
    }
)
"""No honest hub has such documents: it checks what it takes. One that has expired or was revoked meanwhile is another matter."""


@dataclass(frozen=True)
class Claims:
    """What one hub has shown since we follow it, and what it was given. Documents are named by their hashes; instants are monotonic seconds."""

    hub: MachineName
    shown: frozenset[int] = frozenset()
    given: Mapping[int, tuple[str, float]] = field(default_factory=dict)
    """What it took from us: whose document it is, and when."""
    false: int = 0
    """Documents that do not hold."""


def hear(claims: Claims, documents: Sequence[str], refusals: Sequence[Refusal]) -> Claims:
    """The hub has handed out documents, of which some were refused."""
    if not documents:
        return claims
    false = claims.false + sum(refusal.code in _FALSE for refusal in refusals)
    return replace(claims, shown=claims.shown | {hash(text) for text in documents}, false=false)


def give(claims: Claims, text: str, whose: str, now: float) -> Claims:
    """The hub has taken a document from us."""
    return replace(claims, given={**claims.given, hash(text): claims.given.get(hash(text), (whose, now))})


def judge_claims(claims: Claims, current: Collection[str], now: float, wall: float) -> Issue | None:
    """What is wrong with a hub's claims; None if nothing is. `current`: the documents that are in force as far as we know."""
    if claims.false:
        return Issue(
            code=Code.HUB_MISLEADS,
            text=f"{claims.hub} hands out documents that are not of this network or were altered: {claims.false} so far.",
            hint=f"They are refused, and nothing else comes of it. Replace {claims.hub}: it is broken, or in the wrong hands.",
            since=wall,
            subject=claims.hub,
        )
    in_force = {hash(text) for text in current}
    withheld = [
        (whose, since)
        for text, (whose, since) in claims.given.items()
        if text in in_force and text not in claims.shown and now - since >= WITHHELD_S
    ]
    if not withheld:
        return None
    whose, since = withheld[0]
    more = f", and {len(withheld) - 1} more" if len(withheld) > 1 else ""
    return Issue(
        code=Code.HUB_WITHHOLDS,
        text=f"{claims.hub} was given {whose}{more}, took it, and does not hand it out.",
        hint=f"Machines that know no other hub live in an old world. Look at {claims.hub}, or replace it.",
        since=wall - (now - since),
        subject=claims.hub,
    )


def find_twins(hubs: Sequence[Member], alive: Collection[MachineName], wall: float) -> Issue | None:
    """Two hubs whose records name one endpoint: one of them claims the other's. `alive`: the hubs whose echoes come back."""
    for at, one in enumerate(hubs):
        for other in hubs[at + 1 :]:
            shared = one.record.endpoint
            if shared is None or shared != other.record.endpoint:
                continue
            silent = [hub.name for hub in (one, other) if hub.name not in alive]
            who = f"{silent[0]}, which does not answer there" if len(silent) == 1 else "one of them"
            return Issue(
                code=Code.HUB_MISLEADS,
                text=f"The records of {one.name} and {other.name} name the same endpoint: it is not that of {who}.",
                hint="Packets go through the one that answers. Replace the other, or correct its public address.",
                since=wall,
                subject=silent[0] if len(silent) == 1 else other.name,
            )
    return None
