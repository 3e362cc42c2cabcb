"""The Docker daemon that `tools/docker` started for this run."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
IMAGE = "spokewire:local"
BASE = "spokewire-base:bookworm"
FOLDER = Path(os.environ.get("SPOKEWIRE_DOCKER_INSIDE", REPOSITORY / ".docker"))
CGROUP = os.environ.get("SPOKEWIRE_CGROUP", "spokewire")
MIRROR = os.environ.get("SPOKEWIRE_DEBIAN_MIRROR", "http://deb.debian.org/debian")


def docker(*arguments: str, host: str | None = None, stdin: bytes | None = None, limit_s: float = 300) -> str:
    """Run a docker command that must succeed; return what it printed. `host` names another daemon's socket."""
    environment = {**os.environ, **({"DOCKER_HOST": host} if host else {}), "DOCKER_BUILDKIT": "0"}
    return call(["docker", *arguments], environment=environment, stdin=stdin, limit_s=limit_s)


def call(
    command: Sequence[str],
    *,
    environment: dict[str, str] | None = None,
    stdin: bytes | None = None,
    limit_s: float = 300,
) -> str:
    """Run a program that must succeed; return what it printed."""
    done = subprocess.run(
        command, env=environment, input=stdin or b"", capture_output=True, timeout=limit_s, check=False
    )
    assert done.returncode == 0, f"{' '.join(command[:6])}: {(done.stdout + done.stderr).decode()[-2000:]}"
    return done.stdout.decode().strip()
