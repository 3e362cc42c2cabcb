"""Two machines that claim to be one: found by what they say, and called by a name. Pure.

Two agents with the same keys each give a mark that only they have, such as the instant of their start. A restarted agent has a new mark and never shows
the old one again; so a mark that comes back after another one was seen is a second machine that lives.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from spokewire.errors import Code
from spokewire.network.status import Issue

SPACING_S = 1.0
"""What was on its way when an agent was restarted comes within it."""
RETURNS = 2
"""So often a mark must come back before it counts."""
SHARED_S = 30.0
"""For so long the newest sign counts: both machines say something every two seconds."""
MAX_MARKS = 8


@dataclass
class Marks:
    """The marks that came under one name. Instants are monotonic seconds."""

    current: str = ""
    returned_at: "deque[float]" = field(default_factory=lambda: deque(maxlen=RETURNS))
    _known: "OrderedDict[str, None]" = field(default_factory=OrderedDict)

    def note(self, mark: str, now: float) -> None:
        """Note a mark that came now."""
        if mark == self.current:
            return
        if mark in self._known and (not self.returned_at or now - self.returned_at[-1] >= SPACING_S):
            self.returned_at.append(now)
        self._known[mark] = None
        self._known.move_to_end(mark)
        while len(self._known) > MAX_MARKS:
            self._known.popitem(last=False)
        self.current = mark

    def is_shared(self, now: float) -> bool:
        """Whether two machines live under this name."""
        return len(self.returned_at) == RETURNS and now - self.returned_at[0] <= SHARED_S


def is_rivalled(refused_at: float | None, now: float) -> bool:
    """Whether another machine with the same token was refused of late: it tries again every second."""
    return refused_at is not None and now - refused_at <= SHARED_S


def describe_clone(machine: str, code: Code, since: float, hub: str = "") -> Issue:
    """The issue of a machine that exists twice, for the operator, or with `hub`, for the machine that was told so by a hub."""
    says = f"{hub} says: a" if hub else "A"
    if code is Code.GRANT_IN_USE:
        text = f"{says}nother machine tries to join with the token of {machine}; it is kept out."
        hint = f"Find the other machine, whose own status says {code}, and give it a token of its own (spokewire node token NAME). If you do not know it, the token was stolen: spokewire node remove {machine}."
    else:
        text = f"{says} second machine runs with the keys of {machine}: its disk or state folder was copied. The two take each other's packets."
        hint = f"Stop one of the two, remove its state folder, and let it join with a token of its own (spokewire node token NAME). If you do not know it: spokewire node remove {machine}."
    return Issue(code=code, text=text, hint=hint, since=since, subject=machine)
