"""Console blocks of the documentation: commands, and the shape of what they print.

A line that begins with `$ ` (or with a machine's name and `$ `) is a command; the lines below it, up to the next command, are what it prints on
standard output. A line `…` stands for any lines, `…` within a line for any text. Measured times and shares may be others than shown.
"""

import re
from dataclasses import dataclass

_PROMPT = re.compile(r"^([a-z]*)\$ (.*)$")
_MEASURED = re.compile(r"(?<![\w.])(?:\d+(?:\.\d+)? (ms|s|%|packets)|never)(?![\w])")


@dataclass(frozen=True)
class Step:
    """One command. `machine` is "" where the prompt names none; `shown` are the lines that the page shows as its output."""

    machine: str
    command: str
    shown: tuple[str, ...] = ()


def parse_steps(text: str) -> list[Step]:
    """Read the commands of a console block; a command with a here-document goes on to its END."""
    steps: list[Step] = []
    machine, command, shown = "", "", list[str]()
    in_document = False
    for line in text.splitlines():
        prompt = None if in_document else _PROMPT.match(line)
        if in_document:
            command += "\n" + line
            in_document = line != "END"
        elif prompt is not None:
            if command:
                steps.append(Step(machine, command, tuple(shown)))
            (machine, command), shown = prompt.groups(), []
            in_document = command.endswith("<<END")
        else:
            shown.append(line)
    return [*steps, Step(machine, command, tuple(shown))] if command else steps


_CHANCE = re.compile(
    r"(?<=via )hub-\d+(?: \+hub-\d+)?|(?<=ms), hub-\d+|^hub-\d+(?= (?:passed|is dead))|(?<=carries )\d+ pairs?|(?<=relaying): echoes come from \d+ of \d+ nodes|(?<=read )\d+(?= of)"
)
"""Which of several hubs carries whom depends on which answers first; and one may hear the nodes a moment later than the other."""


def shape(line: str) -> str:
    """A line without what differs from run to run: measured values, which of several hubs is used, and the width of columns."""
    line = _MEASURED.sub(lambda match: f"# {match.group(1) or 's'}", line)
    return " ".join(_CHANCE.sub(lambda match: "" if match.group(0)[0] in ":," else "#", line).split())


def matches(shown: tuple[str, ...], printed: str) -> bool:
    """Whether output has the shape that a page shows."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "…" else ".*".join(map(re.escape, re.split(r"\s*…\s*", shape(line)))) + r"\n"
        for line in shown
    )
    lines = [shape(line) for line in printed.splitlines()]
    # Where all pairs have the same path, one line tells it in place of every cell of the matrix.
    return (
        re.fullmatch(pattern, "".join(f"{line}\n" for line in lines if not line.startswith("Every pair goes")))
        is not None
    )
