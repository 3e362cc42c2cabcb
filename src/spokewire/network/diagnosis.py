"""What is wrong with a network, the worst and the most causal first, and without what something else explains. Pure."""

from collections.abc import Iterable, Sequence

from spokewire.errors import Code
from spokewire.network.findings import API_CODES, Examination, Finding, Kind, Severity
from spokewire.network.hub_findings import CLOCK_DIFFERS_S, find_hubs, find_operator
from spokewire.network.node_findings import find_nodes
from spokewire.network.pair_findings import find_lossy_hubs, find_pairs, name_families
from spokewire.network.status import State
from spokewire.network.upkeep_findings import find_upkeep

MOST_EXPLAINED = 5

_ORDER = {kind: place for place, kind in enumerate(Kind)}
_WORST = {severity: place for place, severity in enumerate(Severity)}

_HUB_GONE = (Kind.HUB_OFF, Kind.HUB_MISSING, Kind.HUB_AWAY, Kind.HUB_NOT_RELAYING, Kind.HUB_STARTING)
_HUB_DEAF = (*_HUB_GONE, Kind.HUB_DAEMON_DEAD)
_API_GONE = (*_HUB_DEAF, Kind.HUB_API_AWAY)
_NODE_GONE = (
    Kind.MACHINE_OFF,
    Kind.AGENT_DEAD,
    Kind.AGENT_HANGS,
    Kind.MACHINE_UNREACHABLE,
    Kind.GRANT_EXPIRED,
    Kind.NODE_BLOCKED,
    Kind.TUNNEL_CUT,
    Kind.NODE_UNHEARD,
    Kind.NODE_STARTING,
)
_PAIRS = (Kind.RELAY_CUT, Kind.NODE_ISOLATED, Kind.PAIR_CUT, Kind.PAIR_LOSSY)

_BY_ALL_HUBS: list[tuple[tuple[Kind, ...], tuple[Kind, ...]]] = [
    (
        _HUB_GONE,
        (Kind.TUNNEL_CUT, Kind.NODE_STARTING, Kind.NODE_LOSSY, Kind.NODE_DEGRADED, Kind.FIXES_IN_VAIN, *_PAIRS),
    ),
    ((Kind.HUB_DAEMON_DEAD,), (Kind.NODE_DEGRADED, Kind.NODE_STARTING, Kind.FIXES_IN_VAIN)),
    (_API_GONE, (Kind.ROSTER_STALE, Kind.SETTINGS_OLD, Kind.NODE_UNHEARD)),
    ((Kind.HUB_UNSEEN,), (Kind.NODE_UNHEARD,)),
    ((Kind.HUB_LOSSY,), (Kind.NODE_LOSSY, Kind.PAIR_LOSSY)),
    ((Kind.RELAY_CUT,), (Kind.PAIR_CUT, Kind.FIXES_IN_VAIN)),
]
"""What explains what, if it holds for every hub that is wanted: then no other hub could have helped."""

_BY_MACHINE: list[tuple[tuple[Kind, ...], tuple[Kind, ...]]] = [
    (_NODE_GONE, (Kind.NODE_ISOLATED, Kind.PAIR_CUT, Kind.PAIR_LOSSY, Kind.FIXES_IN_VAIN)),
    ((Kind.NODE_ISOLATED,), (Kind.PAIR_CUT, Kind.FIXES_IN_VAIN)),
    ((Kind.PAIR_CUT,), (Kind.FIXES_IN_VAIN,)),
    ((Kind.NODE_LOSSY,), (Kind.PAIR_LOSSY,)),
    (_HUB_DEAF, (Kind.FIXES_IN_VAIN,)),
]
"""What explains what on one and the same machine."""


def diagnose(seen: Examination) -> list[Finding]:
    """Everything that is wrong and that nothing else explains, in order. What a finding explains is told by it."""
    machines = [*find_operator(seen), *find_hubs(seen), *find_nodes(seen)]
    return settle(seen, [*machines, *find_pairs(seen), *find_lossy_hubs(seen), *find_upkeep(seen)])


def settle(seen: Examination, findings: Iterable[Finding]) -> list[Finding]:
    """Put findings in order, and let each cause tell what it explains."""
    found = sorted(findings, key=lambda finding: _ORDER[finding.kind])
    explained: dict[int, list[str]] = {}
    roots: list[int] = []
    silencer = _Silencer(seen, found)
    for place, finding in enumerate(found):
        cause = silencer.find_cause(place, finding)
        roots.append(place if cause is None else roots[cause])
        if cause is not None:
            explained.setdefault(roots[place], []).append(finding.what)
    kept = [
        finding.model_copy(
            update={"explains": _shorten(explained.get(place, [])), "since": _limit(finding.since, seen.now)}
        )
        for place, finding in enumerate(found)
        if roots[place] == place
    ]
    return sorted(kept, key=lambda finding: (_WORST[finding.severity], _ORDER[finding.kind]))


def judge_exit(seen: Examination, findings: Iterable[Finding]) -> int:
    """The exit status: 0 nothing is wrong (notes do not count), 75 machines are starting, 1 nothing works, 3 all else."""
    wrong = [finding for finding in findings if finding.severity is not Severity.NOTE]
    if not wrong:
        return 0
    if all(finding.kind in (Kind.HUB_STARTING, Kind.NODE_STARTING) for finding in wrong):
        return 75
    return 1 if seen.overview.state is State.DISCONNECTED else 3


def count_examined(seen: Examination) -> dict[str, int]:
    """How much was looked at: a doctor who could ask nobody must not look like one who found nothing."""
    return {
        "hubs": len(seen.hubs),
        "hubs_answered": sum(hub.status is not None for hub in seen.hubs.values()),
        "nodes": len(seen.overview.nodes),
        "nodes_told": len(seen.told),
        "directions": sum(len(node.peers) for node in seen.overview.nodes),
        "clocks": len(seen.clocks_ahead_s),
        "grants": len(seen.grants_end),
    }


class _Silencer:
    """Finds what explains a finding among those before it: causes stand before their effects."""

    def __init__(self, seen: Examination, found: Sequence[Finding]) -> None:
        self._seen = seen
        self._families = name_families(seen)
        self._found = found
        self._by_kind: dict[Kind, list[int]] = {}
        self._first: dict[tuple[Kind, str | frozenset[str]], int] = {}
        """Of each kind about a machine; a cut pair is no cause for what concerns one of both only."""
        for place, finding in enumerate(found):
            self._by_kind.setdefault(finding.kind, []).append(place)
            is_pair = finding.kind is Kind.PAIR_CUT
            for subject in [frozenset(finding.machines)] if is_pair else finding.machines:
                self._first.setdefault((finding.kind, subject), place)

    def find_cause(self, place: int, finding: Finding) -> int | None:
        """The place of the first finding that explains this one; None: nothing does."""
        causes = [self._find_offline(finding), self._find_hub_cause(finding), *self._find_machine_causes(finding)]
        causes += [self._find_issue_cause(finding), self._find_mixed_cause(finding)]
        return min((cause for cause in causes if cause is not None and cause < place), default=None)

    def _find_offline(self, finding: Finding) -> int | None:
        """A computer that is offline sees nothing: only what needs no network is worth telling beside it."""
        alone = (
            Kind.OPERATOR_OFFLINE,
            Kind.HUB_OFF,
            Kind.MACHINE_OFF,
            Kind.HUB_MISSING,
            Kind.NODE_MISSING,
            Kind.LEFTOVER,
        )
        places = self._by_kind.get(Kind.OPERATOR_OFFLINE, [])
        return places[0] if places and finding.kind not in (*alone, Kind.GRANT_ENDS) else None

    def _find_hub_cause(self, finding: Finding) -> int | None:
        for causes, effects in _BY_ALL_HUBS:
            if finding.kind in effects:
                place = self._for_all_hubs(causes)
                if place is not None:
                    return place
        return None

    def _for_all_hubs(self, kinds: Iterable[Kind]) -> int | None:
        """The first finding of these kinds, if together they are about every hub."""
        places = [place for kind in kinds for place in self._by_kind.get(kind, [])]
        hubs = {name for place in places for name in self._found[place].machines}
        return min(places) if places and hubs >= set(self._seen.hub_names) else None

    def _find_machine_causes(self, finding: Finding) -> list[int | None]:
        subjects: list[str | frozenset[str]] = [*finding.machines, frozenset(finding.machines)]
        return [self._first.get((kind, subject)) for kind in _EXPLAINERS.get(finding.kind, ()) for subject in subjects]

    def _find_issue_cause(self, finding: Finding) -> int | None:
        """An issue is explained by hubs that nobody hears or reaches, or by a finding that tells it already."""
        if finding.kind is not Kind.ISSUE:
            return None
        hubs = _API_GONE if finding.code in API_CODES else _HUB_DEAF if finding.code == Code.TUNNEL_SILENT else ()
        place = self._for_all_hubs(hubs)
        if place is None:
            place = self._find_hub_told_of(hubs, finding.what)
        if place is not None:
            return place
        tellers = [place for kind in _TELLERS for place in self._by_kind.get(kind, [])]
        same = [place for place in tellers if self._found[place].code == finding.code]
        told_of = {name for place in same for name in self._found[place].machines}
        return min(same) if same and told_of >= set(finding.machines) else None

    def _find_hub_told_of(self, kinds: Iterable[Kind], text: str) -> int | None:
        """The finding about the hub that an issue names, where other hubs are well."""
        places = [place for kind in kinds for place in self._by_kind.get(kind, [])]
        return next((p for p in places if any(self._seen.is_about(text, n) for n in self._found[p].machines)), None)

    def _find_mixed_cause(self, finding: Finding) -> int | None:
        """Pairs of nodes that are on different families outside."""
        mixed = self._by_kind.get(Kind.MIXED_FAMILY, [])
        families = {self._families.get(name) for name in finding.machines}
        is_mixed_pair = finding.kind in (Kind.PAIR_CUT, Kind.FIXES_IN_VAIN) and len(families) > 1
        return mixed[0] if mixed and is_mixed_pair else None


_TELLERS = (
    Kind.NODE_BLOCKED,
    Kind.TUNNEL_CUT,
    Kind.HUB_NOT_RELAYING,
    Kind.LOOP_HUNG,
    Kind.DISK_LOW,
    Kind.CLOCK_DIFFERS,
)
"""Kinds that tell a machine's own issue in better words."""
_EXPLAINERS = {
    effect: [cause for causes, effects in _BY_MACHINE if effect in effects for cause in causes] for effect in Kind
}


def _limit(since: float | None, now: float) -> float | None:
    """An instant that can have been: machines tell whatever they like. Two clocks are never quite the same, so a little later is now."""
    return min(since, now) if since is not None and 0 < since <= now + CLOCK_DIFFERS_S else None


def _shorten(texts: list[str]) -> list[str]:
    more = len(texts) - MOST_EXPLAINED
    return texts[:MOST_EXPLAINED] + ([f"{more} more of the kind."] if more > 0 else [])
