"""What a node wants its machine to be like, thought out anew only when something that decides it has changed. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from spokewire.network.documents import Grant
from spokewire.network.names import MachineName
from spokewire.network.roster import Roster
from spokewire.network.rules import plan_admission
from spokewire.network.topology import Choice, InterfaceSpec, plan_node
from spokewire.node.firewall import plan_rules
from spokewire.node.targets import Target, plan_targets


@dataclass(frozen=True)
class Wanted:
    """The interface, the text of the firewall's rules, and whom to send echoes to, by overlay address."""

    interface: InterfaceSpec
    rules: str
    targets: Mapping[str, Target]


@dataclass(frozen=True)
class _Planned:
    """What was thought out, from what, and between which instants of wall time it holds: then somebody's grant expires."""

    wanted: Wanted | None
    roster: Roster
    choices: Mapping[MachineName, Choice]
    since: float
    until: float


class Planner:
    """Plans one node; `interface` is the name of its own."""

    def __init__(self, me: Grant, interface: str) -> None:
        self._me = me
        self._interface = interface
        self._planned: _Planned | None = None

    def plan(self, roster: Roster, choices: Mapping[MachineName, Choice], now: float) -> Wanted | None:
        """What is wanted now; None until settings are known; InputError as `plan_node` raises it."""
        known = self._planned
        if known is None or not _holds(known, roster, choices, now):
            wanted = self._think(roster, choices, now)
            known = _Planned(wanted, roster, dict(choices), now, roster.next_expiry(now))
            self._planned = known
        return known.wanted

    def _think(self, roster: Roster, choices: Mapping[MachineName, Choice], now: float) -> Wanted | None:
        interface, plan = plan_node(roster, self._me, now, choices), roster.plan
        if interface is None or plan is None:
            return None
        rules = plan_rules(self._interface, (plan.cidr, plan.ula), plan_admission(roster, self._me, now))
        return Wanted(interface, rules, plan_targets(roster.members(now), self._me, interface, plan))


def _holds(known: _Planned, roster: Roster, choices: Mapping[MachineName, Choice], now: float) -> bool:
    return known.roster is roster and known.since <= now < known.until and known.choices == choices
