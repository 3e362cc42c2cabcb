"""Labels on disk, so that a rebooted hub resumes running sessions."""

import json
from collections.abc import Iterable
from pathlib import Path

from spokewire.errors import SpokewireError
from spokewire.host import clock, files
from spokewire.host.logs import log
from spokewire.relay.labels import LABEL_LIFETIME_S, Label
from spokewire.relay.messages import Index
from spokewire.relay.places import NodeNumber

Saved = tuple[Label, NodeNumber, float]
"""A label, whom it leads to, and when its time is over, in steady seconds."""


def store(path: Path, labels: Iterable[Saved]) -> None:
    """Write the labels with their expiry by the wall clock; SpokewireError where the disk does not take them."""
    wall, steady = clock.read()
    rows = [[label.source, label.index, target, expires_at - steady + wall] for label, target, expires_at in labels]
    files.write(path, json.dumps(rows))


def load(path: Path) -> list[Saved]:
    """Read the labels; none where the file cannot be read."""
    try:
        rows = json.loads(files.read(path) or "[]")
        wall, steady = clock.read()
        return [
            (
                Label(int(source), Index(int(index))),
                int(target),
                steady + min(float(expires_at) - wall, LABEL_LIFETIME_S),
            )
            for source, index, target, expires_at in rows
        ]
    except (ValueError, TypeError, SpokewireError):
        log.warning("saved labels unreadable", path=str(path))
        return []
