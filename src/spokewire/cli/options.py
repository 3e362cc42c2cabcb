"""Options that commands share. Light: an agent's start imports this and little more."""

import os
from pathlib import Path
from typing import Annotated

import typer

FOLDER = "SPOKEWIRE_WORKING_FOLDER"
"""Entering a mount namespace loses the working folder; this carries it over."""
DEFAULT_CONFIG = Path("spokewire.toml")

Config = Annotated[Path, typer.Option("--config", "-c", help="The network's spec.", metavar="PATH")]
Json = Annotated[bool, typer.Option("--json", help="Print the documented JSON instead of text.")]


def example(*lines: str) -> str:
    """The epilog of a command's help."""
    return "Example:\n\n" + "\n\n".join(f"  {line}" for line in lines)


def restore_folder() -> None:
    """Go back to the working folder after entering the lab."""
    folder = os.environ.pop(FOLDER, None)
    if folder is not None:
        os.chdir(folder)
