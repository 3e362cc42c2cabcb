"""The shapes that the hub's API speaks, beside the documents and statuses of `spokewire.network`."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from spokewire.network.documents import Record, Report, Settings, TestRequest

MAX_BODY_BYTES = Report.max_bytes + 1024
"""The largest document in its JSON envelope."""


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HubIntroduction(_Shape):
    """GET /v1/hub: who this hub is; the caller checks the chain and then pins the certificate that it names."""

    record: str
    time: Annotated[float, Field(ge=0, le=2**40, allow_inf_nan=False)]
    """The hub's clock, in seconds since 1970, bounded so that a hostile hub cannot make a caller's sums overflow."""


class RecordSubmission(_Shape):
    """POST /v1/records: a machine's own record, or another's that it knows."""

    record: Annotated[str, Field(max_length=Record.max_bytes)]


class SettingsSubmission(_Shape):
    """PUT /v1/settings: new settings from the operator."""

    settings: Annotated[str, Field(max_length=Settings.max_bytes)]


class ReportSubmission(_Shape):
    """POST /v1/reports: a node's signed status (typ spokewire-report) or test result (typ spokewire-result)."""

    document: Annotated[str, Field(max_length=Report.max_bytes)]


class TestSubmission(_Shape):
    """POST /v1/tests: the operator's signed request."""

    __test__ = False

    request: Annotated[str, Field(max_length=TestRequest.max_bytes)]


class Accepted(_Shape):
    """The document was taken, or was known already."""

    accepted: bool = True
    changed: bool


class RosterLine(BaseModel):
    """One line of GET /v1/roster: at first the whole roster, then changes, coalesced. An empty line keeps the stream alive."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    documents: list[str] = Field(default_factory=list)
    tests: list[str] = Field(default_factory=list)
    """Signed test requests to carry out now."""
    clone: str = ""
    """That the caller seems to exist twice: `grant-in-use` or `machine-copied`; "" if it does not."""


class TestLine(BaseModel):
    """One line of the answer to POST /v1/tests: a node's signed result, or the nodes that cannot be reached."""

    __test__ = False
    model_config = ConfigDict(frozen=True, extra="ignore")

    result: str | None = None
    absent: list[str] = Field(default_factory=list)
    done: bool = False


class ProblemFault(_Shape):
    """One fault of a request."""

    place: str
    problem: str


class Problem(BaseModel):
    """An error, as application/problem+json (RFC 9457), with our code and hint."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    hint: str = ""
    faults: list[ProblemFault] = Field(default_factory=list)
