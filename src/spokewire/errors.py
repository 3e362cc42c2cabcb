"""Every error of ours, by what the caller should do about it.

    SpokewireError
      InputError        change the request           exit status 2
      TemporaryError    wait, then repeat            exit status 75 (EX_TEMPFAIL of sysexits.h)
      PermanentError    give up on this target       exit status 1

Each error carries a `Code`, which is stable and public (API, JSON output, docs), a message, and a hint: what to do next.
Foreign errors are translated into these once, at the edge, with `from`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Code(StrEnum):
    """What went wrong, for programs. The meaning of each is in docs/reference/errors.md."""

    ACCOUNT_LIMIT = "account-limit"
    ADDRESS_OVERLAP = "address-overlap"
    API_UNREACHABLE = "api-unreachable"
    BUSY = "busy"
    CERTIFICATE_MISMATCH = "certificate-mismatch"
    CLOCK_SKEW = "clock-skew"
    CLOCK_WRONG = "clock-wrong"
    CLOUD_REFUSED = "cloud-refused"
    CLOUD_UNREACHABLE = "cloud-unreachable"
    COMMAND_FAILED = "command-failed"
    CONFIRMATION_NEEDED = "confirmation-needed"
    CREDENTIALS_MISSING = "credentials-missing"
    CREDENTIALS_REFUSED = "credentials-refused"
    DEVICE_UNAVAILABLE = "device-unavailable"
    DISK = "disk"
    DOCUMENT_ALGORITHM = "document-algorithm"
    DOCUMENT_CHAIN = "document-chain"
    DOCUMENT_EXPIRED = "document-expired"
    DOCUMENT_KIND = "document-kind"
    DOCUMENT_MALFORMED = "document-malformed"
    DOCUMENT_SIGNATURE = "document-signature"
    DOCUMENT_STALE = "document-stale"
    DOCUMENT_TOO_LARGE = "document-too-large"
    FORBIDDEN = "forbidden"
    GRANT_IN_USE = "grant-in-use"
    HUB_MISLEADS = "hub-misleads"
    HUB_WITHHOLDS = "hub-withholds"
    INTERNAL = "internal"
    KEY_FILE = "key-file"
    LAB_FAILED = "lab-failed"
    LOOP_HUNG = "loop-hung"
    MACHINE_COPIED = "machine-copied"
    MIXED_FAMILY = "mixed-family"
    NAME_TAKEN = "name-taken"
    NAME_UNKNOWN = "name-unknown"
    NO_CAPACITY = "no-capacity"
    NO_MONEY = "no-money"
    NOT_DEPLOYED = "not-deployed"
    NOT_FOUND = "not-found"
    PACKETS_MERGED = "packets-merged"
    PATH_MTU = "path-mtu"
    PERMISSION = "permission"
    PORT_IN_USE = "port-in-use"
    PROOF_INVALID = "proof-invalid"
    PROOF_MISSING = "proof-missing"
    RATE_LIMITED = "rate-limited"
    REQUEST_INVALID = "request-invalid"
    REVOKED = "revoked"
    ROUTE_DIVERTED = "route-diverted"
    SPEC_INVALID = "spec-invalid"
    SPEC_MISSING = "spec-missing"
    TIMEOUT = "timeout"
    TOKEN_DAMAGED = "token-damaged"  # noqa: S105 - an error code, not a secret
    TOKEN_EXPIRED = "token-expired"  # noqa: S105
    TOKEN_FOREIGN = "token-foreign"  # noqa: S105
    TOKEN_MISSING = "token-missing"  # noqa: S105
    TOOL_MISSING = "tool-missing"
    TOO_LARGE = "too-large"
    TUNNEL_SILENT = "tunnel-silent"
    VARIABLE_MISSING = "variable-missing"


HTTP_STATUS: dict[Code, int] = {
    Code.API_UNREACHABLE: 503,
    Code.BUSY: 503,
    Code.CLOCK_SKEW: 401,
    Code.DOCUMENT_STALE: 409,
    Code.DOCUMENT_TOO_LARGE: 413,
    Code.FORBIDDEN: 403,
    Code.GRANT_IN_USE: 409,
    Code.INTERNAL: 500,
    Code.NAME_UNKNOWN: 404,
    Code.NOT_FOUND: 404,
    Code.PROOF_INVALID: 401,
    Code.PROOF_MISSING: 401,
    Code.RATE_LIMITED: 429,
    Code.REVOKED: 403,
    Code.TIMEOUT: 504,
    Code.TOO_LARGE: 413,
}
"""HTTP status of each code that an API answers with; any other code is 400 for an InputError, 503 or 500 for the rest."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with an input: where, what, and what was expected there."""

    place: str
    problem: str
    expected: str = ""

    def __str__(self) -> str:
        text = f"{self.place}: {self.problem}"
        return f"{text}; expected {self.expected}" if self.expected else text


class SpokewireError(Exception):
    """The root of our errors: a code for programs, a message for people, a hint what to do next."""

    exit_status: ClassVar[int] = 1
    fallback_http_status: ClassVar[int] = 500

    def __init__(self, code: Code, message: str, *, hint: str = "", faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.faults = tuple(faults)

    @property
    def http_status(self) -> int:
        """The HTTP status that an API answers this error with."""
        return HTTP_STATUS.get(self.code, self.fallback_http_status)

    def __str__(self) -> str:
        return self.message


class InputError(SpokewireError):
    """The request is wrong: repeating it unchanged cannot help."""

    exit_status = 2
    fallback_http_status = 400


class TemporaryError(SpokewireError):
    """The world is not ready: wait and repeat."""

    exit_status = 75
    fallback_http_status = 503


class PermanentError(SpokewireError):
    """This target cannot do it: give up on it."""
