"""Which CVM is ours: its name parses exactly, and the marker in its compose text agrees. Pure."""

import re

from spokewire.cloud.phala.compose import Marker
from spokewire.network.names import MachineName, is_machine_name

PREFIX = "spokewire"
_RULE = re.compile(r"[a-zA-Z](?!.*--)([a-zA-Z0-9-]*[a-zA-Z0-9])?")
_SHORTEST, _LONGEST = 5, 63


def cvm_name(network: str, name: str) -> str:
    """What the machine of that name is called at Phala Cloud."""
    return f"{PREFIX}-{network}-{name}"


def parse_cvm_name(network: str, text: str) -> MachineName | None:
    """The machine that a CVM's name means; None if it is none of this network's."""
    prefix = f"{PREFIX}-{network}-"
    name = text.removeprefix(prefix)
    return MachineName(name) if text.startswith(prefix) and is_machine_name(name) else None


def is_cvm_name(text: str) -> bool:
    """Whether Phala Cloud takes a name: 5 to 63 letters, digits and single hyphens."""
    return _SHORTEST <= len(text) <= _LONGEST and _RULE.fullmatch(text) is not None


def is_ours(found: Marker | None, network: str, root_key: str | None) -> bool:
    """Whether a marker is this network's. Without a root key (the operator's folder was lost) the network's name decides."""
    return found is not None and found.network == network and root_key in (None, found.root_key)
