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
        self._sources: dict[Endpoint, NodeNumber] = {}
        self._endpoints: dict[NodeNumber, Endpoint] = {}
        self._waiting: list[str] = []

    def create(self, outside: rules.Outside) -> None:
        """Make the empty table, in place of any that exists."""
        self._nftables.run(rules.create_table(self.table, outside))
        self._waiting, self._sources, self._endpoints = [], {}, {}

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
        self._sources, self._endpoints = {}, {}

    def place(self, sources: Mapping[Endpoint, NodeNumber], endpoints: Mapping[NodeNumber, Endpoint]) -> None:
        """Queue what makes the kernel's endpoints these: removals first, so that one node may take another's place."""
        for verb, have, want in (
            ("delete", (self._sources, self._endpoints), (sources, endpoints)),
            ("add", (sources, endpoints), (self._sources, self._endpoints)),
        ):
            self._waiting += [
                rules.set_source(verb, self.table, key, value)
                for key, value in have[0].items()
                if want[0].get(key) != value
            ]
            self._waiting += [
                rules.set_endpoint(verb, self.table, key, value)
                for key, value in have[1].items()
                if want[1].get(key) != value
            ]
        self._sources, self._endpoints = dict(sources), dict(endpoints)

    def commit(self) -> None:
        """Carry out all that waits, as one transaction."""
        commands, self._waiting = self._waiting, []
        if commands:
            self._nftables.run("".join(commands))

    def remove(self) -> None:
        """Remove the table."""
        self._waiting, self._sources, self._endpoints = [], {}, {}
        self._nftables.delete_table(rules.FAMILY, self.table)
