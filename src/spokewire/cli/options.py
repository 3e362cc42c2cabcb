"""Options that commands share. Light: an agent's start imports this and little more."""

from pathlib import Path
from typing import Annotated

import typer

from spokewire.cli import entry

DEFAULT_CONFIG = entry.DEFAULT_CONFIG

Config = Annotated[Path, typer.Option("--config", "-c", help="The network's spec.", metavar="PATH")]
OptionalConfig = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The network's spec.", metavar="PATH", show_default=f"{DEFAULT_CONFIG} if there is one"
    ),
]
DaemonConfig = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="A spec: its network is the one to run, if this machine belongs to several.",
        metavar="PATH",
        show_default=f"{DEFAULT_CONFIG} if there is one",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the documented JSON instead of text.")]
JsonLines = Annotated[
    bool, typer.Option("--json", help="Log one JSON object a line, also to a terminal; an error is printed as JSON.")
]
Network = Annotated[str | None, typer.Option(help="Which network, if this machine belongs to several.")]


def example(*lines: str) -> str:
    """The epilog of a command's help."""
    return "Example:\n\n" + "\n\n".join(f"  {line}" for line in lines)


def find_spec(config: Path | None) -> Path | None:
    """The spec that a command may do without: the given one whether it exists or not, else the default one if it exists."""
    if config is not None:
        return config
    return DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None
