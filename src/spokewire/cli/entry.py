"""The first steps of every command, before anything is loaded that takes time.

A command that works inside the lab is started again there. That second start does all of the work, so the first one does nothing else, not even
parse: it finds the spec's path among the arguments, sees that the network has a running lab, and becomes the command inside.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from spokewire.deploy.folder import lab_folder
from spokewire.errors import Code, InputError
from spokewire.lab.world import INSIDE, World, become, find_world

FOLDER = "SPOKEWIRE_WORKING_FOLDER"
"""Entering a mount namespace loses the working folder; this carries it over."""
COMPLETE = "_SPOKEWIRE_COMPLETE"
"""Set by the shell when it asks for completions."""
DEFAULT_CONFIG = Path("spokewire.toml")
COMMANDS_INSIDE = {("deploy",), ("status",), ("path",), ("history",), ("test",), ("node", "remove"), ("node", "export")}


def restore_folder() -> None:
    """Go back to the working folder after entering the lab; InputError if there is none any more."""
    folder = os.environ.pop(FOLDER, None)
    try:
        os.chdir(folder or Path.cwd())
    except OSError as error:
        raise InputError(
            Code.REQUEST_INVALID, "The working folder does not exist any more.", hint="Change into a folder that does."
        ) from error


def enter_running_lab(arguments: Sequence[str]) -> None:
    """Become the same command inside the running lab of its network, if it is one for that and there is one; else return."""
    if INSIDE in os.environ or COMPLETE in os.environ:
        return
    config = find_config(arguments)
    world = None if config is None else find_world(lab_folder(config.absolute()))
    if world is not None:
        enter(world)


def enter(world: World) -> None:
    """Become the same command inside a lab; does not return."""
    sys.stdout.flush()
    become(world, [sys.executable, "-m", "spokewire", *sys.argv[1:]], {FOLDER: str(Path.cwd())})


def find_config(arguments: Sequence[str]) -> Path | None:
    """The spec of a command that works inside the lab.

    None if it is another command, if it only asks for help, or if this short look cannot tell: whoever parses in earnest then decides.
    """
    length = next((size for size in (1, 2) if tuple(arguments[:size]) in COMMANDS_INSIDE), None)
    if length is None:
        return None
    config, words = DEFAULT_CONFIG, iter(arguments[length:])
    for word in words:
        name, has_value, value = word.partition("=")
        if word == "--":
            break
        if word in ("-h", "--help"):
            return None
        if name == "--config" or word == "-c":
            config = Path(value if has_value else next(words, ""))
        elif word.startswith("-c"):
            config = Path(word[2:])
        elif word.startswith("-") and not word.startswith("--") and "c" in word:
            return None
    return config
