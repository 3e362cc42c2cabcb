"""The chaos plan: which fault strikes which machine when, drawn from a seed. Pure: the same seed gives the same plan."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What breaks."""

    LINK_DOWN = "its uplink is down"
    LOSS_20 = "its uplink loses 20 % each way"
    LOSS_5 = "its uplink loses 5 % each way"
    RATE = "its uplink is limited to 256 kbit/s"
    MACHINE_OFF = "its power is cut, and comes back"
    DAEMON_KILLED = "its daemon is killed (SIGKILL), and started again"
    DAEMON_STOPPED = "its daemon is stopped (SIGSTOP), and continued"
    DEVICE_KILLED = "its wireguard-go is killed"
    INTERFACE_DELETED = "its interface is deleted"
    RULES_FLUSHED = "all its nft rules are flushed"
    PEER_REMOVED = "one of its peers is removed by hand"
    NAT_FORGETS = "its NAT forgets all mappings"


@dataclass(frozen=True)
class Odds:
    """How often a fault is drawn, for how long it lasts (0: nobody but the product mends it), and whether it strikes hubs too."""

    weight: int
    shortest_s: float
    longest_s: float
    node: bool = True
    hub: bool = False


ODDS = {
    Kind.LINK_DOWN: Odds(3, 5, 18),
    Kind.LOSS_20: Odds(2, 12, 30),
    Kind.LOSS_5: Odds(2, 12, 30),
    Kind.RATE: Odds(1, 8, 20),
    Kind.MACHINE_OFF: Odds(3, 5, 15, hub=True),
    Kind.DAEMON_KILLED: Odds(4, 4, 15, hub=True),
    Kind.DAEMON_STOPPED: Odds(3, 3, 10, hub=True),
    Kind.DEVICE_KILLED: Odds(3, 0, 0, hub=True),
    Kind.INTERFACE_DELETED: Odds(2, 0, 0, hub=True),
    Kind.RULES_FLUSHED: Odds(2, 0, 0),
    Kind.PEER_REMOVED: Odds(2, 0, 0),
    Kind.NAT_FORGETS: Odds(3, 0, 0),
}
MOST_AT_ONCE = 2
FIRST_S = 6.0
LAST_S = 14.0
"""No fault is left in the last seconds, in which everything must be well again."""
HEALING_S = 8.0
"""A machine that has just been struck or mended is left alone for so long."""
HUB_SHARE = 0.35
"""How often a fault that may strike either strikes a hub."""
CALM_SHARE = 0.06
CALM_S = 45.0
"""Now and then nothing happens for a while: then no issue may be left."""


@dataclass(frozen=True)
class Fault:
    """One fault: seconds from the beginning of the run, and how long it lasts."""

    number: int
    kind: Kind
    machine: str
    at_s: float
    for_s: float
    other: str = ""
    """The peer that is removed, if it is that."""

    @property
    def ends_s(self) -> float:
        return self.at_s + self.for_s

    def __str__(self) -> str:
        how_long = f" for {self.for_s:.1f} s" if self.for_s else ""
        other = f" ({self.other})" if self.other else ""
        return f"fault {self.number}: {self.machine}: {self.kind}{other}{how_long}"


def plan_chaos(seed: int, duration_s: float, nodes: Sequence[str], hubs: Sequence[str]) -> tuple[Fault, ...]:
    """Draw the faults of a run: at most two at once, never two at one machine."""
    dice = random.Random(seed)
    planned: list[Fault] = []
    now_s = FIRST_S
    while True:
        fault = _draw(dice, len(planned) + 1, now_s, _free(planned, now_s, nodes, hubs))
        if now_s > duration_s - LAST_S:
            return tuple(planned)
        busy = [other.ends_s for other in planned if other.ends_s > now_s]
        if len(busy) >= MOST_AT_ONCE or fault is None:
            now_s = min(busy, default=now_s) + 0.5
        else:
            if fault.ends_s <= duration_s - LAST_S:
                planned.append(fault)
            now_s += dice.uniform(1.5, 6.0) + (CALM_S if dice.random() < CALM_SHARE else 0.0)


def _free(
    planned: Sequence[Fault], now_s: float, nodes: Sequence[str], hubs: Sequence[str]
) -> tuple[list[str], list[str]]:
    struck = {fault.machine for fault in planned if fault.ends_s + HEALING_S > now_s}
    return [node for node in nodes if node not in struck], [hub for hub in hubs if hub not in struck]


def _draw(dice: random.Random, number: int, now_s: float, free: tuple[list[str], list[str]]) -> Fault | None:
    nodes, hubs = free
    kind = dice.choices(list(ODDS), [odds.weight for odds in ODDS.values()])[0]
    odds = ODDS[kind]
    for_s, strikes_hub = round(dice.uniform(odds.shortest_s, odds.longest_s), 1), dice.random() < HUB_SHARE
    if len(nodes) < 2:
        return None
    machine, other = dice.sample(nodes, 2)
    if odds.hub and strikes_hub:
        if not hubs:
            return None
        machine = dice.choice(hubs)
    return Fault(number, kind, machine, round(now_s, 1), for_s, other if kind is Kind.PEER_REMOVED else "")
