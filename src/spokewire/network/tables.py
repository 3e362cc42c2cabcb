"""How a table of spokewire.toml is read: every fault at once, each with its place and what is expected there.

A table in which one key is wrong is read all the same, with a stand-in for that key, so that what can be said of its other keys is said.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from spokewire.errors import Fault

_LONGEST_QUOTE = 80
"""More of a wrong value than this helps nobody to find it."""

_WORDS = {
    "tuple_type": "a list",
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "bool_type": "true or false",
}
"""What is expected, in the words of TOML, for faults that pydantic tells in those of Python."""


def checked(accepts: Callable[[str], bool], rule: str) -> AfterValidator:
    """A validator of text; `rule` says what is expected."""

    def check(text: str) -> str:
        if not accepts(text):
            raise ValueError(f"expected {rule}")
        return text

    return AfterValidator(check)


class Table(BaseModel):
    """What all tables share: unknown keys are faults, and nothing is converted silently."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    stand_ins: ClassVar[Mapping[str, str]] = {"name": "x"}
    """Valid values for the keys that must be there, to read the rest of a table in which they are wrong."""


def one_of(kind: type[StrEnum], but: frozenset[StrEnum] = frozenset()) -> BeforeValidator:
    """A validator that takes the words of an enumeration, but some."""
    allowed = [member for member in kind if member not in but]

    def convert(value: object) -> object:
        if isinstance(value, str) and value in allowed:
            return kind(value)
        raise ValueError("expected one of " + ", ".join(f'"{member}"' for member in allowed))

    return BeforeValidator(convert)


T = TypeVar("T", bound=Table)


@dataclass(frozen=True)
class Read(Generic[T]):
    """A table as far as it could be read. Its keys in `bad` hold stand-ins or defaults, from which nothing may be concluded."""

    place: str
    table: T
    bad: frozenset[str] = frozenset()

    def is_sound(self, *keys: str) -> bool:
        """Whether all these keys are as the file says, or are left out there."""
        return self.bad.isdisjoint(keys)


def read_table(kind: type[T], value: Any, place: str, faults: list[Fault]) -> Read[T] | None:
    """Read one table and add what is wrong with it to the faults; None if it is no table at all."""
    if not isinstance(value, dict):
        faults.append(Fault(place, "missing" if value is None else "not a table", f"a table [{place}]"))
        return None
    try:
        return Read(place, kind.model_validate(value))
    except ValidationError as error:
        details = error.errors()
    faults += [_translate(place, detail) for detail in details]
    bad = frozenset(str(detail["loc"][0]) for detail in details)
    kept = {key: item for key, item in value.items() if key not in bad}
    return Read(place, kind.model_validate({**kind.stand_ins, **kept}), bad)


def read_tables(kind: type[T], value: Any, place: str, faults: list[Fault]) -> list[Read[T]]:
    """The same for a list of tables."""
    if not isinstance(value, list):
        faults.append(Fault(place, "missing" if value is None else "not a list of tables", f"tables [[{place}]]"))
        return []
    found = (read_table(kind, item, f"{place}[{position}]", faults) for position, item in enumerate(value))
    return [read for read in found if read is not None]


def _translate(place: str, detail: Any) -> Fault:
    where = place + "".join(f"[{part}]" if isinstance(part, int) else f".{shorten(part)}" for part in detail["loc"])
    problem = f"{shorten(repr(detail['input']))} is not allowed"
    match detail["type"]:
        case "missing":
            return Fault(where, "missing", "a value")
        case "extra_forbidden":
            return Fault(where, "unknown key", "a key that docs/reference/spec.md lists")
        case "value_error":
            return Fault(where, problem, str(detail["ctx"]["error"]).removeprefix("expected "))
        case _:
            return Fault(where, problem, _WORDS.get(detail["type"], detail["msg"].removeprefix("Input should be ")))


def shorten(text: str) -> str:
    """A wrong value, as far as it helps to find it."""
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"
