"""What the hub knows of its nodes' health: their newest signed reports, and the echoes that they sent it."""

from dataclasses import dataclass, field


@dataclass
class Reports:
    """The newest report of each node, and when each overlay address last sent an echo. Instants are monotonic seconds."""

    _reports: dict[str, tuple[str, float]] = field(default_factory=dict)
    _echoes: dict[str, float] = field(default_factory=dict)

    def keep(self, name: str, text: str, now: float) -> None:
        """Keep a verified report."""
        self._reports[name] = (text, now)

    def note_echo(self, address: str, _session: int, now: float) -> None:
        """Note that an echo came from an overlay address."""
        self._echoes[address] = now

    def find(self, name: str, now: float) -> tuple[str | None, float | None]:
        """The newest report of a node and its age in seconds; (None, None) if none has come."""
        text, since = self._reports.get(name, (None, now))
        return text, None if text is None else now - since

    def echo_age_s(self, address: str, now: float) -> float | None:
        """Seconds since an echo came from an address; None if none ever did."""
        since = self._echoes.get(address)
        return None if since is None else now - since

    def forget(self, names: set[str], addresses: set[str]) -> None:
        """Forget all but these members."""
        self._reports = {name: kept for name, kept in self._reports.items() if name in names}
        self._echoes = {address: since for address, since in self._echoes.items() if address in addresses}
