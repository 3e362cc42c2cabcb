"""What a refusal of Phala Cloud's means for us. Pure: its error code says more than the HTTP status, which is documented for few of them."""

from enum import Enum, auto

from spokewire.cloud.http import RefusalError
from spokewire.cloud.phala.words import error_code
from spokewire.errors import Code, InputError, PermanentError, SpokewireError

_UNAUTHORIZED, _NO_MONEY, _FORBIDDEN, _NOT_FOUND, _CONFLICT = 401, 402, 403, 404, 409

_NO_ROOM = frozenset({"01-001", "02-002", "02-003", "02-004", "02-005", "02-011", "02-012", "02-013", "02-014"})
_LIMIT = frozenset({"02-015", "04-002", "04-003"})
_GONE = frozenset({"03-001", "03-003", "03-004", "03-005", "03-009"})


class Meaning(Enum):
    """What to do about a refusal."""

    NO_ROOM = auto()
    """This host or size cannot have the machine: try the next."""
    BUSY = auto()
    """Another operation is under way: wait and ask again."""
    NAME_TAKEN = auto()
    GONE = auto()
    FINAL = auto()
    """Nothing here can help: tell it."""


def judge(refusal: RefusalError) -> Meaning:
    """What a refusal means."""
    code = error_code(refusal.body)
    if code in _NO_ROOM:
        return Meaning.NO_ROOM
    if code == "01-004":
        return Meaning.NAME_TAKEN
    if code in _GONE or (not code and refusal.status == _NOT_FOUND):
        return Meaning.GONE
    return Meaning.BUSY if not code and refusal.status == _CONFLICT else Meaning.FINAL


def translate(refusal: RefusalError) -> SpokewireError:
    """A refusal as an error of ours, with a sentence and what to do."""
    code, told = error_code(refusal.body), refusal.message
    if not code and refusal.status in (_UNAUTHORIZED, _FORBIDDEN):
        hint = "Make a new key in the dashboard (API tokens), and set PHALA_CLOUD_API_KEY to it."
        return InputError(
            Code.CREDENTIALS_REFUSED, f"Phala Cloud does not accept the API key, or not for this: {told}", hint=hint
        )
    kind, error_code_of_ours, hint = _explain(code, refusal)
    return kind(error_code_of_ours, told, hint=hint) if kind is not None else refusal


def _explain(code: str, refusal: RefusalError) -> tuple[type[SpokewireError] | None, Code, str]:
    no_money = refusal.status == _NO_MONEY or (not code and "insufficient balance" in refusal.message.lower())
    if code == "04-001" or no_money:
        return PermanentError, Code.NO_MONEY, "Top up the balance at Phala Cloud, then run spokewire deploy again."
    if code in _LIMIT:
        return PermanentError, Code.ACCOUNT_LIMIT, "Remove machines, or ask Phala for a higher tier."
    if code in _NO_ROOM:
        return (
            PermanentError,
            Code.NO_CAPACITY,
            "Run spokewire deploy again later, or allow more instance_types or regions.",
        )
    words = {"02-001": "Correct instance_types in the spec.", "02-010": "Correct os_image in the spec."}
    return (InputError, Code.SPEC_INVALID, words[code]) if code in words else (None, refusal.code, "")
