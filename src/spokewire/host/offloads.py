"""Receive offloads of a network card that merge packets (ethtool(8), features)."""

from pyroute2.ethtool.ioctl import EthtoolError, IoctlEthtool

from spokewire.host.journal import Journal

MERGING = ("rx-udp-gro-forwarding", "rx-gro-list")
"""Both merge UDP datagrams of one 5-tuple on their way through a router. All packets of a node have the same 5-tuple, whoever they are for."""


def find_merging(nic: str) -> list[str]:
    """Which of MERGING are on; none where the card has no such features or is gone."""
    try:
        features = IoctlEthtool(nic).get_features()
    except (EthtoolError, OSError):
        return []
    return [name for name, is_on, *_ in features if name in MERGING and is_on]


def forbid_merging(nic: str, journal: Journal) -> list[str]:
    """Switch MERGING off, journalled; return what the driver did not let us change."""
    for feature in find_merging(nic):
        journal.write("offload", f"{nic} {feature}", "on")
        _switch(nic, feature, on=False)
    return find_merging(nic)


def undo(subject: str, journal: Journal) -> None:
    """Switch a feature on again; a card that is gone needs none."""
    nic, feature = subject.split()
    _switch(nic, feature, on=True)
    journal.cross_out("offload", subject)


def _switch(nic: str, feature: str, *, on: bool) -> None:
    try:
        card = IoctlEthtool(nic)
        features = card.get_features()
        features[feature] = on
        card.set_features(features)
    except (EthtoolError, OSError):
        return
