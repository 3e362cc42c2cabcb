"""Where the operator's things are, beside the spec. Light: the first thing that every command asks for."""

from pathlib import Path

FOLDER = ".spokewire"


def keeper_folder(spec_path: Path) -> Path:
    """The folder with the root key and the cache."""
    return spec_path.parent / FOLDER


def lab_folder(spec_path: Path) -> Path:
    """The folder by which the network's lab is found."""
    return keeper_folder(spec_path) / "lab"
