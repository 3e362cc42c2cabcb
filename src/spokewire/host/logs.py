"""Logs: constant messages, identity in fields; JSON lines where no terminal is.

One object a line: `timestamp`, `level`, `event`, then what the line is about. It imports nothing that is not loaded anyway: every command and
every daemon has it.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from enum import IntEnum
from typing import TextIO

from spokewire.errors import Code, Fault, InputError


class Level(IntEnum):
    """How much a line matters; the numbers are those of Python's own logging."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


Fields = dict[str, object]


def format_json(now: float, level: Level, event: str, fields: Fields) -> str:
    """A line for programs. A field cannot take the place of what every line has."""
    head = {"timestamp": _instant(now), "level": level.name.lower(), "event": event}
    return json.dumps(head | {key: value for key, value in fields.items() if key not in head}, default=str)


def format_text(now: float, level: Level, event: str, fields: Fields, *, coloured: bool = False) -> str:
    """A line for people. What would break the line, or steer their terminal, is written as an escape."""
    words = [f"{key}={_quote(str(value))}" for key, value in fields.items()]
    name = f"{level.name.lower():7}"
    shown = f"\x1b[{_COLOURS[level]}m{name}\x1b[0m" if coloured else name
    return "  ".join([_instant(now)[11:23], shown, _quote(event, always=False), *words])


class Logger:
    """Writes lines of at least one level to a stream. A stream that nobody reads any more is no reason to stop."""

    def __init__(self) -> None:
        self._least = Level.WARNING
        self._format: Callable[[float, Level, str, Fields], str] = format_text
        self._stream: TextIO | None = None

    def configure(
        self, least: Level, line_format: Callable[[float, Level, str, Fields], str], stream: TextIO | None = None
    ) -> None:
        """Choose what is written, how, and where: by default to what is standard error at that moment."""
        self._least, self._format, self._stream = least, line_format, stream

    def debug(self, event: str, **fields: object) -> None:
        """Say what only a developer wants to know."""
        self.write(Level.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Say what happened."""
        self.write(Level.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Say what somebody should look at."""
        self.write(Level.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Say what ends a part of the daemon."""
        self.write(Level.ERROR, event, fields)

    def write(self, level: Level, event: str, fields: Fields) -> None:
        """Write a line if it matters enough."""
        if level < self._least:
            return
        stream = self._stream or sys.stderr
        with contextlib.suppress(OSError, ValueError):
            stream.write(self._format(time.time(), level, event, fields) + "\n")
            stream.flush()


log = Logger()
"""The one logger of a process."""


def configure(level: str, *, json_lines: bool = False) -> None:
    """Send log lines of at least this level to standard error: as JSON if it is asked for, or where no terminal is.

    InputError if there is no such level.
    """
    names = [known.name.lower() for known in Level]
    if level.lower() not in names:
        raise InputError(
            Code.REQUEST_INVALID,
            f"There is no log level {level!r}.",
            hint="Set --log-level or SPOKEWIRE_LOG_LEVEL to one of them, or leave it out.",
            faults=[Fault("log level", repr(level), ", ".join(names))],
        )
    is_terminal = sys.stderr.isatty()
    coloured = is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def write_text(now: float, level: Level, event: str, fields: Fields) -> str:
        return format_text(now, level, event, fields, coloured=coloured)

    log.configure(Level[level.upper()], format_json if json_lines or not is_terminal else write_text)


def adopt_foreign() -> None:
    """Write what libraries log (warnings and errors of asyncio, uvicorn) as lines of ours too: a daemon's log is of one kind."""
    import logging

    class Adopter(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            fields: Fields = {"logger": record.name, "message": record.getMessage()}
            if record.exc_info:
                fields["trace"] = logging.Formatter().formatException(record.exc_info)
            level = Level.ERROR if record.levelno >= logging.ERROR else Level.WARNING
            log.write(level, "a library reports", fields)

    logging.getLogger().addHandler(Adopter(logging.WARNING))


_COLOURS = {Level.DEBUG: "2", Level.INFO: "32", Level.WARNING: "33", Level.ERROR: "31"}


def _instant(now: float) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1e6):06}Z"


def _quote(text: str, *, always: bool = True) -> str:
    is_plain = text.isprintable() and bool(text) and not (always and (" " in text or '"' in text))
    return text if is_plain else json.dumps(text)
