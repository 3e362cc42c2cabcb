"""The tree of commands."""

from collections.abc import Sequence
from typing import Annotated

import typer

EXIT_STATUSES = "Exit status: 0 done, 1 failed, 2 the request is wrong, 3 done in part, 75 try again."

app = typer.Typer(
    name="spokewire",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"spokewire {version('spokewire')}")
        raise typer.Exit


@app.callback(
    help=f"A private WireGuard network between machines that can only dial out.\n\n{EXIT_STATUSES}",
    invoke_without_command=False,
)
def group(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """What holds for all commands."""


def tree() -> typer.Typer:
    """All commands. They register themselves; each imports what it needs when it runs, so that an agent never loads the operator's tools."""
    from spokewire.cli import demo, deploy, doctor, health, history, hub, init, lab, node, path, status, test

    if app.registered_groups:
        return app

    for noun in (init, deploy, status, path, history, test, demo, doctor):
        noun.register(app)
    health.register(node.app, hub.app)
    app.add_typer(node.app, name="node")
    app.add_typer(hub.app, name="hub")
    app.add_typer(lab.app, name="lab")
    return app


def call(arguments: Sequence[str]) -> int:
    """Parse and run a command; return its exit status. What typer raises of its own has a method `show` and an `exit_code`."""
    status = tree()(list(arguments), prog_name="spokewire", standalone_mode=False)
    return status if isinstance(status, int) else 0
