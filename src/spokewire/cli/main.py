"""`spokewire`: run a command, and turn errors into one sentence and an exit status."""

import errno
import os
import sys
from collections.abc import Sequence

from spokewire.cli import launch
from spokewire.errors import Code, InputError, PermanentError, SpokewireError
from spokewire.host import logs

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
INTERRUPTED = 130
"""128 + SIGINT, as a shell says it."""


def main() -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; return its exit status."""
    try:
        if launch.is_daemon():
            launch.run_daemon()
            return 0
        from spokewire.cli import entry

        entry.restore_folder()
        logs.configure(os.environ.get("SPOKEWIRE_LOG_LEVEL") or "warning")
        entry.enter_running_lab(arguments)
        return _call(arguments)
    except SpokewireError as error:
        return _tell(error, arguments)
    except KeyboardInterrupt:
        return INTERRUPTED


def _call(arguments: Sequence[str]) -> int:
    import typer

    from spokewire.cli import app

    try:
        return app.call(arguments)
    except typer.Abort:
        sys.stderr.write("Nothing was changed.\n")
        return 1
    except SpokewireError:
        raise
    except Exception as error:  # noqa: BLE001 - the last catch level: a defect is told as one
        _explain(error, as_json=_wants_json(arguments))
        return int(getattr(error, "exit_code", 1))


def _explain(error: Exception, *, as_json: bool) -> None:
    """Say what typer found wrong with the arguments; anything else is a defect, which goes on as itself or as an error object."""
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        raise PermanentError(Code.DISK, f"The output cannot be written: {error.strerror}.") from error
    show, message = getattr(error, "show", None), getattr(error, "message", "")
    if show is None:
        if not as_json:
            raise error
        sys.excepthook(type(error), error, error.__traceback__)
        raise PermanentError(
            Code.INTERNAL, f"A defect of spokewire: {error!r}.", hint="Report it with the trace on standard error."
        ) from error
    if not as_json:
        show()
        return
    hint = "See --help of the command, or docs/reference/cli.md."
    raise InputError(Code.REQUEST_INVALID, getattr(error, "format_message", lambda: message)(), hint=hint) from error


def _tell(error: SpokewireError, arguments: Sequence[str]) -> int:
    from spokewire.cli.output import Output

    try:
        Output(as_json=_wants_json(arguments)).error(error)
    except OSError:
        Output(as_json=False).error(error)
    return error.exit_status


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether the command was asked for JSON; what follows `--` is another program's."""
    ours = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in ours
