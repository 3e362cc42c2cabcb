"""One nftables table of ours per network and machine, kept as its text says."""

from spokewire.host.journal import Journal
from spokewire.host.nftables import Nftables

FAMILY = "inet"


class Firewall:
    """The table `inet spokewire_<network>`."""

    def __init__(self, network: str, journal: Journal) -> None:
        self.table = table_name(network)
        self._journal = journal
        self._nftables = Nftables()
        self._wanted = ""
        self._listing: str | None = None

    def reconcile(self, rules: str) -> bool:
        """Put the table in force if it is another than wanted, or was altered or removed by hand; True if it was written.

        `rules` is what stands between the table's braces.
        """
        if rules == self._wanted and self._nftables.list_table(FAMILY, self.table) == self._listing:
            return False
        self._journal.write("table", self.table)
        head = f"table {FAMILY} {self.table}"
        self._nftables.run(f"{head} {{}}\ndelete {head}\n{head} {{\n{rules}\n}}\n")
        self._wanted, self._listing = rules, self._nftables.list_table(FAMILY, self.table)
        return True

    def remove(self) -> None:
        """Remove the table."""
        self._nftables.delete_table(FAMILY, self.table)
        self._journal.cross_out("table", self.table)
        self._wanted, self._listing = "", None


def table_name(network: str) -> str:
    """The name of a network's table: hyphens are no part of an nftables identifier."""
    return "spokewire_" + network.replace("-", "_")
