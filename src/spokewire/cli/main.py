"""`spokewire`: parse, run, and turn errors into one sentence and an exit status."""

import os
import sys

import typer

from spokewire.cli import options
from spokewire.errors import SpokewireError
from spokewire.host import logs

EXIT_STATUSES = "Exit status: 0 done, 1 failed, 2 the request is wrong, 3 done in part, 75 try again."

app = typer.Typer(
    name="spokewire",
    help=f"A private WireGuard network between machines that can only dial out.\n\n{EXIT_STATUSES}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line and exit."""
    options.restore_folder()
    logs.configure(os.environ.get("SPOKEWIRE_LOG_LEVEL", "warning"))
    register()
    try:
        status = app(standalone_mode=False)
    except SpokewireError as error:
        from spokewire.cli.output import Output

        Output(as_json="--json" in sys.argv).error(error)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)
    except typer.Abort:
        sys.exit(1)
    except Exception as error:
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(getattr(error, "exit_code", 2))
    sys.exit(status if isinstance(status, int) else 0)


def register() -> None:
    """Commands register themselves; each imports what it needs when it runs, so that an agent never loads the operator's tools."""
    from spokewire.cli import demo, deploy, doctor, hub, init, lab, node, status, test

    for noun in (init, deploy, status, test, demo, doctor):
        noun.register(app)
    app.add_typer(node.app, name="node")
    app.add_typer(hub.app, name="hub")
    app.add_typer(lab.app, name="lab")
