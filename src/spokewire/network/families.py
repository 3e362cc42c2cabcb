"""IPv4 and IPv6 outside: between which nodes a sealed relay cannot carry packets. Pure.

The kernel rewrites the addresses of a packet where they are; it does not turn a packet of one family into one of the other.
"""

from collections.abc import Mapping, Sequence

from spokewire.errors import Code
from spokewire.network.status import Issue

_MOST_NAMES = 8
"""More of them help nobody to find the fault."""


def name_family(endpoint: str) -> str:
    """The family of an endpoint as `wg` prints it: "IPv4" or "IPv6"."""
    return "IPv6" if endpoint.startswith("[") else "IPv4"


def find_mixed(hub: str, endpoints: Mapping[str, str | None], since: float) -> Issue | None:
    """The issue of all pairs that a sealed relay cannot carry, in one; None if its nodes are of one family. `endpoints` are the nodes', by name."""
    found: dict[str, list[str]] = {"IPv4": [], "IPv6": []}
    for name, endpoint in endpoints.items():
        if endpoint is not None:
            found[name_family(endpoint)].append(name)
    if not all(found.values()):
        return None
    sides = " and ".join(f"{list_names(names)} ({family})" for family, names in found.items())
    return Issue(
        code=Code.MIXED_FAMILY,
        text=f"{sides} do not reach each other: {hub} relays sealed packets within one family only.",
        hint='Connect them all over one family, or set relay = "routed", which carries packets between both.',
        since=since,
    )


def list_names(names: Sequence[str]) -> str:
    """Names for a sentence, not too many of them."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
