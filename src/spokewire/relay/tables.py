"""The relay's tables in the kernel: created once, then changed by one transaction for all that waits together."""

from collections.abc import Iterable, Mapping

from spokewire.host.nftables import Nftables
from spokewire.relay import rules
from spokewire.relay.labels import Install
from spokewire.relay.places import Endpoint, NodeNumber


class Tables:
    """The table `inet spokewire_relay_<network>`. It outlives the daemon: labels go on switching while it is away."""

    def __init__(self, network: str) -> None:
        self.table = rules.table_name(network)
        self._nftables = Nftables()
        self._places: dict[rules.Element, str] = {}
        self._waiting: list[str] = []

    def create(self, outside: rules.Outside) -> None:
        """Make the empty table, in place of any that exists."""
        self._nftables.run(rules.create_table(self.table, outside))
        self._waiting, self._places = [], {}

    def set_outside(self, outside: rules.Outside) -> None:
        """Switch at these addresses from now on."""
        self._nftables.run(rules.set_outside(self.table, outside))

    def exists(self) -> bool:
        """Whether the table is there."""
        return self._nftables.has_chain(rules.FAMILY, self.table, "ingress")

    def install(self, installs: Iterable[tuple[Install, float]]) -> None:
        """Queue labels, each with its remaining seconds."""
        self._waiting += [rules.install_label(self.table, install, remaining_s) for install, remaining_s in installs]

    def drop(self, installs: Iterable[Install]) -> None:
        """Queue the removal of labels."""
        self._waiting += [rules.drop_label(self.table, install) for install in installs]

    def forget_places(self) -> None:
        """Queue emptying the endpoint maps of a table that an earlier daemon left; its labels stay."""
        self._waiting = [rules.empty_map(self.table, name) for name in rules.PLACES]
        self._places = {}

    def place(
        self, sources: Mapping[Endpoint, NodeNumber], destinations: Iterable[tuple[NodeNumber, Endpoint]]
    ) -> None:
        """Queue what makes the kernel's places these: removals first, so that one machine may take another's."""
        wanted = rules.map_places(sources, destinations)
        for element, value in self._places.items():
            if wanted.get(element) != value:
                self._waiting.append(rules.delete_place(self.table, element))
        for element, value in wanted.items():
            if self._places.get(element) != value:
                self._waiting.append(rules.add_place(self.table, element, value))
        self._places = wanted

    def commit(self) -> None:
        """Carry out all that waits, as one transaction."""
        commands, self._waiting = self._waiting, []
        if commands:
            self._nftables.run("".join(commands))

    def remove(self) -> None:
        """Remove the table."""
        self._waiting, self._places = [], {}
        self._nftables.delete_table(rules.FAMILY, self.table)
