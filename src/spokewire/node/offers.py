"""What a node knows and a hub does not: handed in, so that a hub that lost its disk, or was kept in the dark, learns it.

A machine with an agent hands in its own record as soon as it finds the hub. A stock client has no agent, another hub may never call this one, and a node may be
switched off: their records come from whoever knows them.
"""

import random
from collections.abc import Iterable

FIRST_OFFER_S = 2.0
"""After the hub told its roster: machines with an agent have handed in their own by then."""
INTERVAL_S = 10.0
MOST_AT_ONCE = 4
"""Of a thousand nodes each offers: what one has handed in, the others hear of at once, and do not offer any more."""


class Offers:
    """What one hub has told since we follow it, and what is offered to it. Instants are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self._theirs: set[int] = set()
        """Their hashes: a thousand records are a megabyte and a half."""
        self._due_at = now + FIRST_OFFER_S * random.uniform(1.0, 2.0)  # noqa: S311 - jitter, not a secret

    def hear(self, documents: Iterable[str]) -> None:
        """The hub has these documents, or will not have them."""
        self._theirs.update(map(hash, documents))

    def choose(self, known: Iterable[str], now: float) -> list[str]:
        """Documents of those `known` to offer now; in no order, so that of many nodes each offers others."""
        if now < self._due_at:
            return []
        self._due_at = now + INTERVAL_S * random.uniform(0.7, 1.0)  # noqa: S311
        missing = [text for text in known if hash(text) not in self._theirs]
        return random.sample(missing, min(len(missing), MOST_AT_ONCE))
