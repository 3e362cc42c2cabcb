"""How a module of this benchmark is started in a namespace, where the working folder is another."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def python(module: str, *arguments: str) -> list[str]:
    """The command line that runs `bench.relay.<module>`."""
    return ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", f"bench.relay.{module}", *arguments]
