"""What the hub knows of its nodes' health: their newest signed reports, the echoes that they sent it, and who seems to be there twice."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from spokewire.errors import Code
from spokewire.network.clones import Marks, is_rivalled
from spokewire.network.echo import find_agent


@dataclass
class Reports:
    """The newest report of each node, and when each overlay address last sent an echo. Instants are monotonic seconds."""

    _reports: dict[str, tuple[str, float]] = field(default_factory=dict)
    _echoes: dict[str, float] = field(default_factory=dict)
    _reporters: dict[str, Marks] = field(default_factory=dict)
    """By name: which agents report, told apart by when they started."""
    _askers: dict[str, Marks] = field(default_factory=dict)
    """By overlay address: which agents send echoes, told apart by their sessions."""
    _refused: dict[str, float] = field(default_factory=dict)
    """By name: when another machine with its token was refused last."""

    def keep(self, name: str, text: str, started_at: float, now: float) -> None:
        """Keep a verified report of an agent that started then."""
        self._reports[name] = (text, now)
        self._reporters.setdefault(name, Marks()).note(repr(started_at), now)

    def note_echo(self, address: str, session: int, now: float) -> None:
        """Note that an echo came from an overlay address."""
        self._echoes[address] = now
        self._askers.setdefault(address, Marks()).note(f"{find_agent(session):x}", now)

    def note_refused(self, name: str, now: float) -> None:
        """Note that another machine with this one's token was refused."""
        self._refused[name] = now

    def find(self, name: str, now: float) -> tuple[str | None, float | None]:
        """The newest report of a node and its age in seconds; (None, None) if none has come."""
        text, since = self._reports.get(name, (None, now))
        return text, None if text is None else now - since

    def echo_age_s(self, address: str, now: float) -> float | None:
        """Seconds since an echo came from an address; None if none ever did."""
        since = self._echoes.get(address)
        return None if since is None else now - since

    def find_clones(self, addresses: Mapping[str, str], now: float) -> dict[str, Code]:
        """Which of these nodes (overlay address by name) exist twice, and in which way."""
        found = {}
        for name, address in addresses.items():
            marks = (self._reporters.get(name), self._askers.get(address))
            if any(seen is not None and seen.is_shared(now) for seen in marks):
                found[name] = Code.MACHINE_COPIED
            elif is_rivalled(self._refused.get(name), now):
                found[name] = Code.GRANT_IN_USE
        return found

    def forget(self, names: set[str], addresses: set[str]) -> None:
        """Forget all but these members."""
        self._reports = {name: kept for name, kept in self._reports.items() if name in names}
        self._echoes = {address: since for address, since in self._echoes.items() if address in addresses}
        self._reporters = {name: marks for name, marks in self._reporters.items() if name in names}
        self._askers = {address: marks for address, marks in self._askers.items() if address in addresses}
        self._refused = {name: at for name, at in self._refused.items() if name in names}
