"""Everything that a command prints: results to standard output, progress and errors to standard error; colours respect NO_COLOR.

Only a terminal needs rich, which takes 50 ms to load: a command that speaks to a program does without.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from spokewire.errors import SpokewireError
from spokewire.host import clock

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

STYLES = {"connected": "green", "degraded": "yellow", "starting": "cyan", "disconnected": "red"}
"""By state."""
FILE_WIDTH = 160
"""Columns of a table where no terminal tells its width."""


class Output:
    """Where one command prints."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.kept: list[Any] | None = None
        self.out = Stream(stderr=False)
        self.err = Stream(stderr=True)

    def result(self, data: Any) -> None:
        """Print the documented JSON of a command, with --json; nothing otherwise. A command made of others keeps their results instead."""
        if self.kept is not None:
            self.kept.append(data)
        elif self.as_json:
            self.raw(json.dumps(data, indent=2, default=str) + "\n")

    def say(self, text: str, style: str = "") -> None:
        """Print a sentence for people; with --json to standard error."""
        (self.err if self.as_json else self.out).say(text, style)

    def note(self, text: str) -> None:
        """Print a remark to standard error."""
        self.err.say(text, "dim")

    def show(self, make: "Callable[[], RenderableType]") -> None:
        """Make a table for people and print it."""
        if not self.as_json:
            self.out.console.print(make())

    def raw(self, text: str) -> None:
        """Print text as it is, for other programs."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def error(self, error: SpokewireError) -> None:
        """Print an error of ours: one sentence, its faults, and what to do."""
        if self.as_json:
            faults = [
                {"place": fault.place, "problem": fault.problem, "expected": fault.expected} for fault in error.faults
            ]
            self.result({"error": {"code": error.code, "message": error.message, "hint": error.hint, "faults": faults}})
            return
        self.err.say(error.message, head="error: ", head_style="bold red")
        for fault in error.faults:
            self.err.say(f"  {fault}")
        if error.hint:
            self.err.say(error.hint, head="hint:  ", head_style="bold")

    @contextmanager
    def progress(self) -> "Iterator[Progress]":
        """Show what each machine waits for, live on a terminal, as lines elsewhere."""
        progress = Progress(self.err)
        if not self.err.is_terminal:
            yield progress
            return
        from rich.live import Live

        with Live(progress, console=self.err.console, refresh_per_second=8, transient=False):
            yield progress


class Stream:
    """Standard output or standard error. On a terminal text is coloured and wrapped, elsewhere it is written as it is."""

    def __init__(self, *, stderr: bool) -> None:
        self._stderr = stderr

    @property
    def file(self) -> TextIO:
        """Where it goes."""
        return sys.stderr if self._stderr else sys.stdout

    @property
    def is_terminal(self) -> bool:
        """Whether people read it; FORCE_COLOR says so where nobody can tell."""
        return self.file.isatty() or bool(os.environ.get("FORCE_COLOR"))

    @cached_property
    def console(self) -> "Console":
        """For tables and what moves."""
        from rich.console import Console

        return Console(file=self.file, highlight=False, markup=False, width=None if self.is_terminal else FILE_WIDTH)

    def say(self, text: str, style: str = "", *, head: str = "", head_style: str = "") -> None:
        """Print a line, with a coloured head before it."""
        if not self.is_terminal:
            self.file.write(f"{head}{printable(text)}\n")
            self.file.flush()
            return
        from rich.text import Text

        self.console.print(Text.assemble((head, head_style), (printable(text), style)))


class Progress:
    """What each machine waits for."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._begun = clock.monotonic()
        self._machines: dict[str, tuple[str, float]] = {}

    def __call__(self, name: str, doing: str) -> None:
        """Note what a machine waits for now."""
        if self._machines.get(name, ("", 0.0))[0] == doing:
            return
        self._machines[name] = (doing, clock.monotonic() - self._begun)
        if not self._stream.is_terminal and not doing.startswith("waiting for its echo"):
            self._stream.say(f"{self._machines[name][1]:6.1f} s  {name}: {doing}")

    def __rich__(self) -> "Table":
        """The live table."""
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for name, (doing, at) in self._machines.items():
            style = "green" if doing in ("ready", "gone") else "red" if doing.startswith("failed") else "yellow"
            table.add_row(f"{at:6.1f} s", Text(name), Text(printable(doing), style=style))
        return table


def printable(text: str) -> str:
    """Text without what could steer a terminal: what others say (a hub, a node, a file) is printed too."""
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)
