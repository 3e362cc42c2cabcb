"""A lab network for a benchmark, driven by the command line as a user would."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEADLINE_S = 300


@dataclass
class Network:
    """One lab network in a folder of its own."""

    folder: Path

    def run(self, *words: str, check: bool = True) -> str:
        """Run `spokewire` with these words; return its standard output."""
        done = subprocess.run(
            [sys.executable, "-m", "spokewire", *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        if check and done.returncode != 0:
            raise SystemExit(
                f"spokewire {chr(32).join(words)} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            )
        return done.stdout

    def json(self, *words: str) -> Any:
        """Run `spokewire` with --json."""
        return json.loads(self.run(*words, "--json"))

    def inside(self, machine: str, *command: str) -> str:
        """Run a command inside a machine."""
        return self.run("lab", "exec", machine, "--", *command)


@contextmanager
def network(nodes: int) -> Iterator[Network]:
    """A spec for that many nodes, not deployed yet; removed at the end, whatever happened."""
    folder = Path(tempfile.mkdtemp(prefix="spokewire-bench-"))
    lab = Network(folder)
    try:
        lab.run("init", "bench")
        spec = folder / "spokewire.toml"
        spec.write_text(spec.read_text().replace("count = 3", f"count = {nodes}"))
        yield lab
    finally:
        lab.run("destroy", "--force", check=False)
        shutil.rmtree(folder)


def deploy_to_proof_s(lab: Network) -> float:
    """Deploy, prove every pair, and return the seconds from the first to the last."""
    begun = time.monotonic()
    lab.run("deploy", "--yes")
    proof = lab.json("test")
    elapsed = time.monotonic() - begun
    if not proof["ok"]:
        raise SystemExit("the proof failed")
    return elapsed
