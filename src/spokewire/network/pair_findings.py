"""What is wrong between machines that are well by themselves: pairs that do not reach each other, and lines that lose packets. Pure."""

from collections.abc import Iterator, Mapping

from spokewire.errors import Code
from spokewire.network.families import name_family
from spokewire.network.findings import ALIVE, Examination, Finding, Kind, list_tried, make_finding, name_some
from spokewire.network.status import PeerStatus, State

MANY_PAIRS = 3
"""If so many pairs are all that there are, and all are cut, it is what they have in common: the relay."""
Pair = tuple[str, str]
Sides = list[tuple[str, PeerStatus]]
"""Who says what of the other."""


def find_pairs(seen: Examination) -> Iterator[Finding]:
    """Pairs of nodes that are cut or lossy, and what many of them have in common."""
    pairs = _list_pairs(seen)
    cut = {pair: sides for pair, sides in pairs.items() if any(_is_cut(view) for _, view in sides)}
    yield from _find_mixed(seen)
    yield from _find_common(seen, pairs, cut)
    for (one, other), sides in cut.items():
        yield make_finding(
            Kind.PAIR_CUT,
            [one, other],
            f"{one} and {other} do not reach each other.",
            f"Run spokewire test; then look at the firewalls of {one} and {other} outside Spokewire's table.",
            since=min(seen.at_home(by, view.since) for by, view in sides if _is_cut(view)),
            evidence=[f"{by} of {view.name}: {view.reason}." for by, view in sides],
            tried=[*list_tried(seen, {one}, by={other}), *list_tried(seen, {other}, by={one})],
        )
    for (one, other), sides in pairs.items():
        if (one, other) not in cut and any(view.state is State.DEGRADED for _, view in sides):
            yield make_finding(
                Kind.PAIR_LOSSY,
                [one, other],
                f"Packets are lost between {one} and {other}.",
                f"Test the lines of {one} and {other} without the tunnel.",
                since=min(seen.at_home(by, view.since) for by, view in sides if view.state is State.DEGRADED),
                evidence=[f"{by} of {view.name}: {view.reason}." for by, view in sides],
            )


def find_lossy_hubs(seen: Examination) -> Iterator[Finding]:
    """Hubs to which all nodes lose packets: then it is the hub's line and not theirs."""
    for hub in seen.overview.hubs:
        views = [(by, view) for by, view in seen.views_of.get(hub.name, []) if by in seen.told]
        lossy = [(by, view) for by, view in views if view.state is State.DEGRADED]
        if len(lossy) > 1 and len(lossy) == len(views):
            yield make_finding(
                Kind.HUB_LOSSY,
                [hub.name],
                f"The line of {hub.name} loses packets: all nodes lose them on the way to it.",
                f"Look at the line, the traffic limit and the processor of {hub.name}.",
                since=min(seen.at_home(by, view.since) for by, view in lossy),
                evidence=[f"{by}: {view.reason}." for by, view in lossy],
            )


def name_families(seen: Examination) -> Mapping[str, str]:
    """Which family each node is on outside, as the hubs see it."""
    views = [view for hub in seen.hubs.values() if hub.status is not None for view in hub.status.nodes]
    return {view.name: name_family(view.endpoint) for view in views if view.endpoint is not None}


def _is_cut(view: PeerStatus) -> bool:
    return view.state is State.DISCONNECTED


def _list_pairs(seen: Examination) -> dict[Pair, Sides]:
    """By unordered pair of nodes that are both known, what each says of the other, in the order of the overview."""
    places = {node.name: place for place, node in enumerate(seen.overview.nodes)}
    pairs: dict[Pair, Sides] = {}
    for node in seen.overview.nodes:
        for peer in node.peers:
            if peer.name in places:
                first, second = sorted((node.name, peer.name), key=places.__getitem__)
                pairs.setdefault((first, second), []).append((node.name, peer))
    return pairs


def _find_mixed(seen: Examination) -> Iterator[Finding]:
    families = name_families(seen)
    for name, evidence in seen.hubs.items():
        for issue in [] if evidence.status is None else evidence.status.issues:
            if issue.code == Code.MIXED_FAMILY:
                machines = [node.name for node in seen.overview.nodes if node.name in families]
                since = seen.at_home(name, issue.since)
                evidence_lines = [f"{node} is on {families[node]}." for node in machines]
                yield make_finding(
                    Kind.MIXED_FAMILY, machines, issue.text, issue.hint, since=since, evidence=evidence_lines
                )


def _find_common(seen: Examination, pairs: Mapping[Pair, Sides], cut: Mapping[Pair, Sides]) -> Iterator[Finding]:
    """The relay, if no two nodes that reach it reach each other; else each node that reaches no other."""
    well = {name for name, words in seen.told.items() if any(hub.state in ALIVE for hub in words.hubs)}
    judged = {pair: sides for pair, sides in pairs.items() if well.issuperset(pair)}
    if len(judged) >= MANY_PAIRS and judged.keys() <= cut.keys():
        refused = [
            f"{name} refuses {rate:.1f} handshakes a second: {reason}."
            for name, rates in seen.refused_per_s.items()
            for reason, rate in rates.items()
            if rate > 0
        ]
        hubs = [hub.name for hub in seen.overview.hubs]
        alive = [hub.name for hub in seen.overview.hubs if hub.state in ALIVE] or hubs
        verdict = "it does not relay" if len(alive) == 1 else "they do not relay"
        yield make_finding(
            Kind.RELAY_CUT,
            hubs,
            f"No two nodes reach each other, though all of them reach {name_some(alive)}: {verdict}.",
            f"Read the log of {name_some(hubs)}, and look there at nft list ruleset for rules that are not ours.",
            since=min(seen.at_home(by, v.since) for p in judged for by, v in cut[p] if _is_cut(v)),
            evidence=[f"{len(judged)} of {len(judged)} pairs are cut.", *refused],
        )
        return
    for name in sorted(well, key=list(seen.told).index):
        own = [pair for pair in judged if name in pair]
        if len(own) > 1 and all(pair in cut for pair in own):
            others = [one if other == name else other for one, other in own]
            yield make_finding(
                Kind.NODE_ISOLATED,
                [name],
                f"{name} reaches {'the hub' if len(seen.hub_names) == 1 else 'a hub'}, but no other node.",
                f"Look at the firewall of {name} outside Spokewire's table: nft list ruleset there.",
                since=min(seen.at_home(by, v.since) for p in own for by, v in cut[p] if _is_cut(v)),
                evidence=[f"No echo passes between it and {name_some(others)}."],
            )
