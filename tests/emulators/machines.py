"""The machines behind an emulator. `null` ones run nothing; real ones are in modules of their own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class DropletBackend(Protocol):
    """Runs droplets."""

    def boot(self, name: str, user_data: str) -> str:
        """Start a machine that carries out its user_data; return its public IPv4 address. What it raises is a failed placement."""
        ...

    def destroy(self, name: str) -> None:
        """Remove a machine; nothing happens if there is none."""
        ...


class CvmBackend(Protocol):
    """Runs confidential VMs."""

    def boot(self, name: str, compose: str, env: Mapping[str, str]) -> None:
        """Start a machine that runs this compose file with this environment, which is decrypted already."""
        ...

    def state(self, name: str) -> str:
        """One of: starting, running, stopped, error."""
        ...

    def status_url(self, name: str) -> str | None:
        """What the gateway leads to port 8000 of; None before there is something."""
        ...

    def destroy(self, name: str) -> None:
        """Remove a machine; nothing happens if there is none."""
        ...


@dataclass
class NullDroplets:
    """Droplets that run nothing: each has an address from 203.0.113.0/24 (RFC 5737), and its user_data is kept to be looked at."""

    user_data: dict[str, str] = field(default_factory=dict)
    booted: list[str] = field(default_factory=list)
    """Every name that was ever booted, in order."""

    def boot(self, name: str, user_data: str) -> str:
        """Keep what it was booted with."""
        self.user_data[name] = user_data
        self.booted.append(name)
        return f"203.0.113.{10 + len(self.booted) % 200}"

    def destroy(self, name: str) -> None:
        """Forget it."""
        self.user_data.pop(name, None)


@dataclass
class NullCvms:
    """Confidential VMs that run nothing. `looks` is how often their state is `starting` before it is `becomes`."""

    looks: int = 0
    becomes: str = "running"
    environments: dict[str, dict[str, str]] = field(default_factory=dict)
    composes: dict[str, str] = field(default_factory=dict)
    booted: list[str] = field(default_factory=list)
    _seen: dict[str, int] = field(default_factory=dict)

    def boot(self, name: str, compose: str, env: Mapping[str, str]) -> None:
        """Keep what it was booted with."""
        self.environments[name], self.composes[name], self._seen[name] = dict(env), compose, 0
        self.booted.append(name)

    def state(self, name: str) -> str:
        """`starting` for a while."""
        if name not in self._seen:
            return "stopped"
        self._seen[name] += 1
        return "starting" if self._seen[name] <= self.looks else self.becomes

    def status_url(self, name: str) -> str | None:
        """Nobody answers."""
        return None

    def destroy(self, name: str) -> None:
        """Forget it."""
        for kept in (self.environments, self.composes, self._seen):
            kept.pop(name, None)
