"""The client of a hub's API: pins the certificate that the hub's record vouches for, and proves who is calling."""

import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ValidationError

from spokewire.api import http, problem
from spokewire.api.http import Http, Response, Timeouts
from spokewire.api.messages import (
    Accepted,
    HubIntroduction,
    RecordSubmission,
    ReportSubmission,
    RosterLine,
    SettingsSubmission,
    TestLine,
    TestSubmission,
)
from spokewire.errors import Code, InputError, PermanentError, TemporaryError
from spokewire.host import clock
from spokewire.network.clocks import Reading, Told
from spokewire.network.documents import Member, Proof, sign, verify_member
from spokewire.network.keys import derive_network_id
from spokewire.network.status import HubStatus

CONNECT_TIMEOUT_S = 3.0
"""A hub that was switched off says nothing; the first packet after this finds it when it is back."""
ANSWER = Timeouts(CONNECT_TIMEOUT_S, 10.0)
STREAM_SILENCE_S = 20.0
"""A roster stream says something every ten seconds; twice that in silence and it is dead."""
MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""A thousand nodes' records and reports are some 3 MB; a hostile hub must not fill our memory."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Identity:
    """Who calls: the holder of a grant, or with `grant_text` None the operator. The key is secret."""

    root: Ed25519PublicKey
    key: Ed25519PrivateKey
    grant_text: str | None = None

    def __repr__(self) -> str:
        return "Identity(operator)" if self.grant_text is None else "Identity(grant)"


class HubClient:
    """A connection to one hub whose record has been verified. Make it with `connect`."""

    def __init__(self, http: Http, url: str, identity: Identity, member: Member, told: Told) -> None:
        self.member = member
        self.told = told
        """What the hub said the time is, when we connected."""
        self._http = http
        self._url = url.rstrip("/")
        self._identity = identity

    async def submit_record(self, record: str) -> Accepted:
        """Hand in a record: this machine's, or another's that the hub does not have."""
        return await self._send("POST", "/v1/records", RecordSubmission(record=record), Accepted)

    async def put_settings(self, settings: str) -> Accepted:
        """Hand in new settings (operator)."""
        return await self._send("PUT", "/v1/settings", SettingsSubmission(settings=settings), Accepted)

    async def submit_report(self, document: str) -> Accepted:
        """Hand in a signed report or result."""
        return await self._send("POST", "/v1/reports", ReportSubmission(document=document), Accepted)

    async def fetch_status(self) -> HubStatus:
        """Read all that the hub knows (operator)."""
        return await self._send("GET", "/v1/status", None, HubStatus)

    async def fetch_roster(self) -> list[str]:
        """Read the hub's documents once."""
        async with aclosing(self.stream_roster()) as lines:
            async for line in lines:
                return line.documents
        raise TemporaryError(Code.API_UNREACHABLE, f"{self.member.name} ended the roster before it began.")

    async def stream_roster(self) -> AsyncGenerator[RosterLine, None]:
        """Follow the hub's documents: the whole at first, then changes. Ends when the hub ends it."""
        async with aclosing(self._stream("GET", "/v1/roster", None, RosterLine)) as lines:
            async for line in lines:
                yield line

    async def run_test(self, request: str) -> AsyncGenerator[TestLine, None]:
        """Start a test (operator) and follow its results."""
        async with aclosing(self._stream("POST", "/v1/tests", TestSubmission(request=request), TestLine)) as lines:
            async for line in lines:
                yield line

    async def _send(self, method: str, path: str, body: BaseModel | None, kind: type[M]) -> M:
        with _translated(self.member.name):
            async with self._http.stream(
                method, self._url + path, headers=self._headers(), json=_content(body)
            ) as response:
                data = await _read(response)
        if response.status >= 400:  # noqa: PLR2004 - HTTP errors begin there
            raise problem.parse(response.status, data)
        return _parse(kind, data)

    async def _stream(self, method: str, path: str, body: BaseModel | None, kind: type[M]) -> AsyncGenerator[M, None]:
        timeouts = Timeouts(CONNECT_TIMEOUT_S, STREAM_SILENCE_S)
        with _translated(self.member.name):
            async with self._http.stream(
                method, self._url + path, headers=self._headers(), json=_content(body), timeouts=timeouts
            ) as response:
                if response.status >= 400:  # noqa: PLR2004
                    raise problem.parse(response.status, await _read(response))
                pending = bytearray()
                async for chunk in response.chunks:
                    pending += chunk
                    if len(pending) > MAX_ANSWER_BYTES:
                        raise PermanentError(Code.TOO_LARGE, f"{self.member.name} sends a line without end.")
                    *lines, rest = pending.split(b"\n")
                    pending = bytearray(rest)
                    for line in lines:
                        yield _parse(kind, bytes(line))

    def _headers(self) -> dict[str, str]:
        identity = self._identity
        proof = Proof(
            network=derive_network_id(identity.root),
            audience=self.member.name,
            grant=identity.grant_text,
            issued_at=int(max(0.0, self.told.time_at(clock.steady()))),
        )
        return {"Authorization": f"Bearer {sign(proof, identity.key)}"}


@asynccontextmanager
async def connect(url: str, identity: Identity) -> AsyncIterator[HubClient]:
    """Connect to the hub at `url`: ask who it is, check the chain to our root key, then pin the certificate that it vouches for.

    The hub's clock is used for proofs towards this hub, so that a node with a wrong clock can still call, also after it was set.
    """
    introduction, presented = await _introduce(url)
    at = Reading(*clock.read())
    member = verify_member(introduction.record, identity.root, derive_network_id(identity.root), clock.wall())
    if member.grant.role != "hub" or member.record.certificate is None:
        raise InputError(Code.CERTIFICATE_MISMATCH, f"What answers at {url} is not a hub of this network.")
    if _der(member.record.certificate) != presented:
        raise InputError(
            Code.CERTIFICATE_MISMATCH,
            f"What answers at {url} presents another certificate than {member.name}'s record vouches for.",
            hint="Something stands between: a proxy, or an impostor.",
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.load_verify_locations(cadata=presented)
    async with Http(context, ANSWER) as pinned:
        yield HubClient(pinned, url, identity, member, Told(member.name, introduction.time, at))


async def _introduce(url: str) -> tuple[HubIntroduction, bytes]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with _translated(url):
        async with Http(context, ANSWER) as anyone, anyone.stream("GET", f"{url.rstrip('/')}/v1/hub") as response:
            presented, data = response.certificate, await _read(response)
    if response.status >= 400:  # noqa: PLR2004
        raise problem.parse(response.status, data)
    return _parse(HubIntroduction, data), presented


def _der(pem: str) -> bytes:
    _, head, rest = pem.partition(ssl.PEM_HEADER)
    body, foot, _ = rest.partition(ssl.PEM_FOOTER)
    try:
        return ssl.PEM_cert_to_DER_cert(f"{head}{body}{foot}")
    except ValueError as error:
        raise InputError(Code.DOCUMENT_MALFORMED, "The hub's record holds no certificate.") from error


async def _read(response: Response) -> bytes:
    data = await http.read(response, MAX_ANSWER_BYTES)
    if data is None:
        raise PermanentError(Code.TOO_LARGE, "The hub's answer is too large.")
    return data


def _parse(kind: type[M], data: bytes) -> M:
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise PermanentError(Code.API_UNREACHABLE, "The hub's answer is not what its API promises.") from error


def _content(body: BaseModel | None) -> str | None:
    return None if body is None else body.model_dump_json()


class _translated:  # noqa: N801 - reads as a statement
    """Translate a request's failures into errors of ours."""

    def __init__(self, hub: str) -> None:
        self._hub = hub

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (*http.FAILURES, UnicodeError)):
            reason = str(error) or type(error).__name__
            raise TemporaryError(
                Code.API_UNREACHABLE,
                f"The API of {self._hub} does not answer: {reason}.",
                hint="Is the hub up, and TCP 443 open to it?",
            ) from error
