"""Rounds: who is measured when, and what many rounds say. Pure."""

import statistics
from collections.abc import Sequence


def order(cases: Sequence[str], number: int) -> list[str]:
    """The order of one round: the cases turn by one each round, and go backwards after each full turn, so that none always follows the same one."""
    turns, shift = divmod(number, len(cases))
    turned = [*cases[shift:], *cases[:shift]]
    return turned[::-1] if turns % 2 else turned


class Figures:
    """What was measured, by case, one value for each round."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}

    def add(self, case: str, value: float) -> None:
        """Note the value of a round."""
        self._values.setdefault(case, []).append(value)

    @property
    def cases(self) -> list[str]:
        """Every case, in the order in which they were first measured."""
        return list(self._values)

    def values(self, case: str) -> list[float]:
        """All rounds of a case."""
        return self._values[case]

    def median(self, case: str) -> float:
        """The middle round of a case."""
        return statistics.median(self._values[case])

    def show(self, case: str, digits: int = 1) -> str:
        """Median and range."""
        return spread(self._values[case], digits)

    def ratio(self, case: str, rival: str, digits: int = 2) -> str:
        """The median of the ratios of each round, and their range: both sides of a ratio were measured within seconds of each other."""
        return spread([a / b for a, b in zip(self._values[case], self._values[rival], strict=True)], digits)


def spread(values: Sequence[float], digits: int) -> str:
    """Median (least to most)."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def table(*rows: Sequence[str]) -> str:
    """A Markdown table; the first row is its head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]) + "\n"
