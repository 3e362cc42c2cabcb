"""Documents: what is signed, by whom, and how each is checked.

Format: JWS compact serialization (RFC 7515) with EdDSA over Ed25519 (RFC 8037) only, and one `typ` per kind. The chain is
root key -> grant -> record, report, result, proof. Every reader checks every chain itself; a hub is never believed.

A document that does not verify raises InputError with the code of what is wrong with it; nothing else is raised.
Instants are whole seconds since 1970 (UTC) unless the name ends in `_ms`.
"""

import json
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from spokewire.errors import Code, InputError
from spokewire.network import jws
from spokewire.network.addresses import LONGEST_PREFIX, SHORTEST_PREFIX
from spokewire.network.keys import parse_public_key, parse_wireguard_key
from spokewire.network.names import MachineName, NetworkId, is_machine_name, is_network_name
from spokewire.network.ports import PortText
from spokewire.network.proof import PairResult, Step
from spokewire.network.relays import Relay
from spokewire.network.status import NodeStatus

Role = Literal["hub", "node"]

CLOCK_TOLERANCE_S = 60
"""How far two clocks may differ before a short-lived document counts as too old or too new."""
PROOF_LIFETIME_S = 60
REQUEST_LIFETIME_S = 120

_MAX_SECONDS = 2**40
"""Some 34,000 years: room for any honest instant, none for an integer that overflows later."""


def _accept(check: Any) -> AfterValidator:
    def run(text: str) -> str:
        if check(text) is False:
            raise ValueError("not allowed")
        return text

    return AfterValidator(run)


def _parse_block(value: object) -> IPv4Network:
    if not isinstance(value, str | IPv4Network):
        raise ValueError("not text")  # noqa: TRY004 - pydantic wants ValueError
    block = IPv4Network(value)
    if not SHORTEST_PREFIX <= block.prefixlen <= LONGEST_PREFIX:
        raise ValueError("too small or too large")
    return block


NetworkText = Annotated[str, _accept(is_network_name)]
NameText = Annotated[str, _accept(is_machine_name)]
Ed25519Text = Annotated[str, _accept(parse_public_key)]
WireGuardText = Annotated[str, _accept(parse_wireguard_key)]
Instant = Annotated[int, Field(ge=0, le=_MAX_SECONDS)]
Cidr = Annotated[IPv4Network, Field(strict=False), BeforeValidator(_parse_block), PlainSerializer(str, return_type=str)]


class Document(BaseModel):
    """What all documents share. Fields that this release does not know are ignored: a newer one may add some."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    typ: ClassVar[str]
    max_bytes: ClassVar[int] = 16 * 1024


class Grant(Document):
    """Signed by the root key: the holder of `key` is this machine of this network."""

    typ: ClassVar[str] = "spokewire-grant"

    id: Annotated[str, Field(min_length=16, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
    network: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    network_name: NetworkText
    name: NameText
    role: Role
    number: Annotated[int, Field(ge=1, le=2**20)]
    key: Ed25519Text
    tags: tuple[NameText, ...] = Field(default=(), strict=False, max_length=64)
    agent: bool = True
    """Whether our agent runs there; a stock WireGuard client answers no echoes."""
    issued_at_ms: Annotated[int, Field(ge=0, le=_MAX_SECONDS * 1000)]
    expires_at: Instant


class Record(Document):
    """Signed by a grant's key: the machine's WireGuard key; for a hub also where it is reached and its certificate."""

    typ: ClassVar[str] = "spokewire-record"

    grant: str
    sequence: Annotated[int, Field(ge=1, le=2**53)]
    wireguard_key: WireGuardText
    endpoint: (
        Annotated[str, Field(max_length=300, pattern=r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$")] | None
    ) = None
    """Goes into WireGuard's configuration, so that nothing but an address or name and a port may stand here."""
    endpoint6: Annotated[str, Field(max_length=300, pattern=r"^\[[0-9A-Fa-f:.]+\]:[0-9]{1,5}$")] | None = None
    """The IPv6 endpoint of a hub whose `endpoint` is an IPv4 address: for nodes that have no IPv4 outside."""
    api_url: Annotated[str, Field(max_length=300, pattern=r"^https://")] | None = None
    api_url6: Annotated[str, Field(max_length=300, pattern=r"^https://")] | None = None
    """Beside `endpoint6`."""
    certificate: Annotated[str, Field(max_length=8192)] | None = None

    @property
    def api_urls(self) -> tuple[str, ...]:
        """A hub's API, one URL for each family; the first that a machine has a route to is the one to use."""
        return tuple(url for url in (self.api_url, self.api_url6) if url is not None)


class AccessRule(BaseModel):
    """Machines named by `source` may open `ports` on those named by `target`: "*", a name, or "tag:" and a tag."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    source: str
    target: str
    ports: tuple[PortText, ...] = Field(default=(), strict=False)


class HubPolicy(BaseModel):
    """How nodes use one hub: those of more `weight` carry more pairs; nothing new goes through one that drains."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    weight: Annotated[int, Field(ge=0, le=100)] = 10
    drain: bool = False


class Settings(Document):
    """Signed by the root key: what holds for the whole network. The highest version wins, for ever."""

    typ: ClassVar[str] = "spokewire-settings"
    max_bytes: ClassVar[int] = 256 * 1024

    network: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    version: Annotated[int, Field(ge=1, le=2**53)]
    cidr: Cidr
    relay: Annotated[Relay, Field(strict=False)]
    revoked: frozenset[str] = Field(default=frozenset(), strict=False)
    """Ids of grants that no longer count."""
    removed: Annotated[dict[NameText, Annotated[int, Field(ge=0, le=_MAX_SECONDS * 1000)]], Field(default_factory=dict)]
    """Names that were removed, with the instant in milliseconds: no grant of that name from before counts, whoever still holds its token."""
    access: tuple[AccessRule, ...] = Field(default=(), strict=False)
    hubs: dict[NameText, HubPolicy] = Field(default_factory=dict)
    """How hubs are used, by name; one that is not named is used like any other."""
    direct: bool = False
    """Whether nodes may look for direct paths to each other (sealed mode)."""

    def policy(self, hub: str) -> HubPolicy:
        """How a hub is used."""
        return self.hubs.get(hub, HubPolicy())

    def revokes(self, grant: Grant) -> bool:
        """Whether a grant no longer counts."""
        return grant.id in self.revoked or grant.issued_at_ms <= self.removed.get(grant.name, -1)


class TestRequest(Document):
    """Signed by the root key: these pairs shall prove traffic now."""

    __test__: ClassVar[bool] = False
    typ: ClassVar[str] = "spokewire-test"
    max_bytes: ClassVar[int] = 256 * 1024

    id: Annotated[str, Field(min_length=16, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
    network: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    pairs: tuple[tuple[NameText, NameText], ...] = Field(strict=False, max_length=10_000)
    step: Annotated[Step, Field(strict=False)]
    issued_at: Instant


class Report(Document):
    """Signed by a grant's key: a node's own status, so that a hub cannot make one up."""

    typ: ClassVar[str] = "spokewire-report"
    max_bytes: ClassVar[int] = 512 * 1024

    grant: str
    issued_at: Instant
    status: NodeStatus


class Result(Document):
    """Signed by a grant's key: what a node saw when it carried out a TestRequest."""

    typ: ClassVar[str] = "spokewire-result"
    max_bytes: ClassVar[int] = 512 * 1024

    grant: str
    test: str
    pairs: tuple[PairResult, ...] = Field(strict=False)


class Proof(Document):
    """A caller's proof towards one hub: short-lived, signed by a grant's key or, without grant, by the root key."""

    typ: ClassVar[str] = "spokewire-proof"

    network: str
    audience: str
    grant: str | None = None
    issued_at: Instant


D = TypeVar("D", bound=Document)
C = TypeVar("C", Record, Report, Result)


@dataclass(frozen=True)
class Member:
    """A verified record with its verified grant."""

    grant: Grant
    record: Record
    text: str
    """The record as it was signed, to hand on."""

    @property
    def name(self) -> MachineName:
        """The machine's name."""
        return MachineName(self.grant.name)


@dataclass(frozen=True)
class Caller:
    """Who a proof says is calling: the operator, or the holder of a grant."""

    grant: Grant | None

    @property
    def is_operator(self) -> bool:
        """Whether the root key made the proof."""
        return self.grant is None


def sign(document: Document, key: Ed25519PrivateKey) -> str:
    """Sign a document; the result is ASCII and safe in URLs and headers."""
    payload = document.model_dump_json(exclude_none=True).encode()
    return jws.sign(payload, document.typ, key)


def read_kind(text: str) -> str:
    """Read the `typ` that a document claims, unverified, to choose how to verify it."""
    kind = _parse(text).header.get("typ")
    return kind if isinstance(kind, str) else ""


def verify(kind: type[D], text: str, key: Ed25519PublicKey) -> D:
    """Check size, form, kind, algorithm and signature, and parse the payload."""
    if len(text) > kind.max_bytes:
        raise InputError(Code.DOCUMENT_TOO_LARGE, f"A {kind.typ} document has at most {kind.max_bytes} bytes.")
    parsed = _parse(text)
    header = parsed.header
    if header.get("alg") != jws.ALGORITHM:
        raise InputError(Code.DOCUMENT_ALGORITHM, "The document is not signed with EdDSA.")
    if header.get("typ") != kind.typ or set(header) != {"alg", "typ"}:
        raise InputError(Code.DOCUMENT_KIND, f"The document is not a {kind.typ}.")
    if not parsed.is_signed_by(key):
        raise InputError(
            Code.DOCUMENT_SIGNATURE, f"The {kind.typ} is not signed by the key that should have signed it."
        )
    try:
        return kind.model_validate_json(parsed.payload)
    except (ValidationError, RecursionError) as error:
        raise InputError(
            Code.DOCUMENT_MALFORMED, f"The {kind.typ} lacks a field or has one that is not allowed."
        ) from error


def verify_grant(text: str, root: Ed25519PublicKey, network: NetworkId, now: float) -> Grant:
    """Check that the root key granted this, for this network, and that it has not expired."""
    try:
        grant = verify(Grant, text, root)
    except InputError as error:
        if error.code is Code.DOCUMENT_SIGNATURE:
            raise InputError(Code.DOCUMENT_CHAIN, "The grant is not signed by this network's root key.") from error
        raise
    if grant.network != network:
        raise InputError(Code.DOCUMENT_CHAIN, "The grant is for another network.")
    if now >= grant.expires_at:
        raise InputError(
            Code.DOCUMENT_EXPIRED,
            f"The grant of {grant.name} has expired.",
            hint=f"Mint a new token: spokewire node token {grant.name}.",
        )
    return grant


def verify_chained(kind: type[C], text: str, root: Ed25519PublicKey, network: NetworkId, now: float) -> tuple[Grant, C]:
    """Check a document that a grant's key signed, and the grant that it carries."""
    claimed = _read_payload(kind, text)
    grant_text = claimed.get("grant")
    if not isinstance(grant_text, str):
        raise InputError(Code.DOCUMENT_CHAIN, f"The {kind.typ} carries no grant.")
    grant = verify_grant(grant_text, root, network, now)
    return grant, verify(kind, text, parse_public_key(grant.key))


def verify_member(text: str, root: Ed25519PublicKey, network: NetworkId, now: float) -> Member:
    """Check a record with its chain; a hub's record must say where the hub is and what its certificate is."""
    grant, record = verify_chained(Record, text, root, network, now)
    if grant.role == "hub" and None in (record.endpoint, record.api_url, record.certificate):
        raise InputError(Code.DOCUMENT_MALFORMED, "A hub's record names its endpoint, API and certificate.")
    return Member(grant=grant, record=record, text=text)


def verify_settings(text: str, root: Ed25519PublicKey, network: NetworkId) -> Settings:
    """Check that the root key signed these settings, for this network."""
    settings = verify(Settings, text, root)
    if settings.network != network:
        raise InputError(Code.DOCUMENT_CHAIN, "The settings are for another network.")
    return settings


def verify_request(text: str, root: Ed25519PublicKey, network: NetworkId, now: float) -> TestRequest:
    """Check that the root key asked for this test, for this network, and lately."""
    request = verify(TestRequest, text, root)
    if request.network != network:
        raise InputError(Code.DOCUMENT_CHAIN, "The test request is for another network.")
    if not -CLOCK_TOLERANCE_S <= now - request.issued_at <= REQUEST_LIFETIME_S + CLOCK_TOLERANCE_S:
        raise InputError(
            Code.DOCUMENT_EXPIRED, "The test request is too old, or the clocks differ by more than a minute."
        )
    return request


def verify_proof(text: str, root: Ed25519PublicKey, network: NetworkId, audience: str, now: float) -> Caller:
    """Check a caller's proof towards the hub called `audience`."""
    try:
        grant_text = _read_payload(Proof, text).get("grant")
        grant = None
        if grant_text is not None:
            grant = verify_grant(str(grant_text), root, network, now)
        proof = verify(Proof, text, root if grant is None else parse_public_key(grant.key))
    except InputError as error:
        hint = error.hint or "Sign it with the network's root key, or with the key of a grant of this network."
        raise InputError(
            Code.PROOF_INVALID, f"The proof of who is calling does not hold: {error.message}", hint=hint
        ) from error
    if proof.network != network or proof.audience != audience:
        raise InputError(
            Code.PROOF_INVALID,
            "The proof was made for another hub or network.",
            hint="Make one for this hub: GET /v1/hub says which it is.",
        )
    if not -CLOCK_TOLERANCE_S <= now - proof.issued_at <= PROOF_LIFETIME_S + CLOCK_TOLERANCE_S:
        raise InputError(
            Code.CLOCK_SKEW, "The proof is too old or from the future.", hint="Set the clock, or use the hub's."
        )
    return Caller(grant)


def _read_payload(kind: type[Document], text: str) -> dict[str, Any]:
    if len(text) > kind.max_bytes:
        raise InputError(Code.DOCUMENT_TOO_LARGE, f"A {kind.typ} document has at most {kind.max_bytes} bytes.")
    try:
        payload = json.loads(_parse(text).payload)
    except (ValueError, RecursionError) as error:
        raise InputError(Code.DOCUMENT_MALFORMED, "The document's payload is not JSON.") from error
    if not isinstance(payload, dict):
        raise InputError(Code.DOCUMENT_MALFORMED, "The document's payload is not an object.")
    return payload


def _parse(text: str) -> jws.Jws:
    try:
        return jws.parse(text)
    except ValueError as error:
        raise InputError(Code.DOCUMENT_MALFORMED, "The document is not a JWS in compact form.") from error
