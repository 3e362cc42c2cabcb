"""What the property tests draw from: hostile texts, and honest documents."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from spokewire.network.documents import Grant
from spokewire.network.names import MachineName
from tests.builders import NOW, make_grant, make_record, make_wireguard_key, sign_settings

NAME_LETTERS = "abcz019-"
hostile_text = st.text() | st.text(alphabet='eyJhbGciOi.-_=AQ \n"{}[]', max_size=200)
machine_names = st.from_regex(r"[a-z](?:[a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True).map(MachineName)
name_sets = st.sets(machine_names, max_size=12)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def mutations(draw: st.DrawFn, text: str) -> str:
    """A text with one to three small changes: a character replaced, removed, doubled, or a piece cut off or moved."""
    for _ in range(draw(st.integers(1, 3))):
        position = draw(st.integers(0, max(0, len(text) - 1)))
        letter = draw(st.sampled_from("AQgwB9_-=.!+/ \n\0é") | st.characters())
        match draw(st.integers(0, 4)):
            case 0:
                text = text[:position] + letter + text[position + 1 :]
            case 1:
                text = text[:position] + text[position + 1 :]
            case 2:
                text = text[:position] + letter + text[position:]
            case 3:
                text = text[:position]
            case _:
                text = text[position:] + text[:position]
    return text


@dataclass(frozen=True)
class World:
    """Every document of one network's history that an operator could have signed, in the order in which they were made."""

    documents: tuple[str, ...]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A history: tokens minted for a few names and addresses, records renewed, settings that revoke more and more of them.

    Revoking a name revokes every grant of it, as an operator means it to.
    """
    grants = list(_mint(draw))
    documents = []
    for grant in grants:
        for sequence in range(1, draw(st.integers(1, 2)) + 1):
            changes: dict[str, Any] = {"endpoint": f"192.0.2.{sequence}:1"} if grant.role == "hub" else {}
            key = make_wireguard_key(grant.id)
            documents.append(make_record(grant, sequence=sequence, wireguard_key=key, **changes))
    revoked: frozenset[str] = frozenset()
    for version in range(1, draw(st.integers(0, 3)) + 1):
        for name in draw(st.sets(st.sampled_from(["hub-1", "node-1", "node-2", "node-3"]), max_size=1)):
            revoked |= {grant.id for grant in grants if grant.name == name}
        cidr = draw(st.sampled_from(["10.88.0.0/24", "10.88.0.0/28", "10.99.0.0/16"]))
        documents.append(sign_settings(version, revoked=revoked, cidr=cidr))
    return World(tuple(documents))


def _mint(draw: st.DrawFn) -> Iterator[Grant]:
    for position in range(draw(st.integers(1, 6))):
        name = draw(st.sampled_from(["hub-1", "node-1", "node-2", "node-3"]))
        yield make_grant(
            name,
            id=f"grant-{position}-of-{name}".ljust(20, "_"),
            number=draw(st.sampled_from([1, 11, 12, 13, 40])),
            issued_at_ms=int(NOW * 1000) + draw(st.integers(0, 3)),
        )
