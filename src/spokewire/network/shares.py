"""How pairs are shared among equal hubs: by weighted rendezvous hashing, so that both ends choose the same without a word. Pure."""

import hashlib
import math
from collections.abc import Mapping

from spokewire.network.documents import HubPolicy
from spokewire.network.names import MachineName


def rank_hub(pair: str, hub: str, weight: int) -> float:
    """The rank of a hub for a pair: weighted rendezvous hashing, so that pairs spread over hubs by weight, and a hub that comes or goes moves no others.

    Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (1998); the weighted form is Schindelhauer and Schomaker's.
    """
    if weight == 0:
        return 0.0
    digest = hashlib.sha256(f"{pair}\0{hub}".encode()).digest()
    share = (int.from_bytes(digest[:8], "big") + 1) / (2**64 + 2)
    return -weight / math.log(share)


def find_share(pair: str, hubs: Mapping[MachineName, HubPolicy]) -> MachineName:
    """The hub that is a pair's share of equal hubs: one that drains, or is a standby, only where there is no other. There must be one."""
    return max(
        hubs, key=lambda hub: (not hubs[hub].drain, hubs[hub].weight > 0, rank_hub(pair, hub, hubs[hub].weight), hub)
    )


def name_pair(one: str, other: str) -> str:
    """What both ends of a pair call it.

    A node by itself stands for all of its pairs, as in routed mode, where all nodes are called the same: only through one hub do they reach each other.
    """
    return "" if one == other else "\0".join(sorted((one, other)))
