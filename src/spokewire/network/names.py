"""Names and identifiers."""

import re
from typing import NewType

NetworkId = NewType("NetworkId", str)
"""32 hexadecimal digits: the first half of the SHA-256 of the root public key."""
MachineName = NewType("MachineName", str)
GrantId = NewType("GrantId", str)
"""Random and unique to a grant; what a revocation names."""
WireGuardKey = NewType("WireGuardKey", str)
"""A WireGuard public key in base64, as `wg` prints it."""

MAX_NETWORK_NAME = 12
"""An interface name has at most 15 characters (IFNAMSIZ of linux/if.h less the final zero), and ours begins with `wg-`."""

_NETWORK = re.compile(r"[a-z](?:[a-z0-9-]{0,10}[a-z0-9])?")
_MACHINE = re.compile(r"[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?")

NETWORK_NAME_RULE = "1 to 12 lower-case letters, digits and hyphens, beginning with a letter"
MACHINE_NAME_RULE = "1 to 32 lower-case letters, digits and hyphens, beginning with a letter"


def is_network_name(text: str) -> bool:
    """Tell whether text names a network."""
    return _NETWORK.fullmatch(text) is not None


def is_machine_name(text: str) -> bool:
    """Tell whether text names a machine."""
    return _MACHINE.fullmatch(text) is not None


def interface_name(network: str) -> str:
    """Name the WireGuard interface of a network, the same on every machine."""
    return f"wg-{network}"


def natural_order(name: str) -> tuple[tuple[str, int], ...]:
    """Key for sorting names as people do: node-2 before node-10."""
    return tuple((word, int(digits or -1)) for word, digits in re.findall(r"([^0-9]*)([0-9]*)", name))
