"""Which hub carries a pair's packets, and when that changes. Pure: a small machine of states with `now` as an argument.

A candidate is judged by its two legs, each measured by echoes through the tunnel: ours to the hub, and the other end's, of which it tells us. The one
that is in use is judged end to end as well, by the echoes of the pair itself. Whatever fails is left at once, by both ends: every hub knows the labels
of every session, so that a move costs nothing (docs/decisions/0018). What is merely better is moved to by one end only, the one that calls first, after
it has been better for HOLD_S; the other end follows.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from spokewire.network.documents import HubPolicy
from spokewire.network.names import MachineName
from spokewire.network.probing import Trail
from spokewire.network.status import State

LOSS_BETTER_PCT = 20.0
"""Less loss by so much is better: a line that loses a tenth of its packets each way differs by that much from itself once in some hours."""
RTT_BETTER_MS = 10.0
RTT_BETTER_SHARE = 0.25
"""A shorter round trip counts if it is shorter by both."""
HOLD_S = 15.0
"""How long a path has to be better before a pair moves to it: what comes and goes is not followed."""
GRACE_S = 0.9
"""A hub that has not answered yet counts as one that will, for so long: both ends of a new pair begin on the hub that is its share."""
LEAST_MISSING = 7
MISSING_S = 0.7
"""So many echoes to a hub unanswered for so long, while another hub answers, and it carries nothing any more. A line that loses a tenth each way loses
seven round trips in a row nine times in a million."""
LEAST_SILENT = 8
SILENT_S = 1.2
"""The same for echoes to a peer, whatever its hub answers. With six of them such a line left a path without cause once in an hour or two."""
FOLLOW_SPACING_S = 5.0
"""How soon the end that does not lead follows again: whoever chooses to and fro fills nobody's history. Meanwhile each end sends through another hub."""
FOLLOWER_WAITS_S = 1.0
"""How much longer the end waits that does not lead: else both might leave a path, each for another."""
STRAYS_S = 3.5
"""How long WireGuard has to go back to another hub, however often it is set right, until the end that leads goes there too. The other end insists on its
choice for three seconds at most (`PIN_S` of node/paths.py)."""
NEVER_S = 6.0
"""And for a peer that has never answered: it may be about to start, and a handshake that got lost is repeated before."""
NEXT_ROUND_S = 10.0
"""When every path was tried in vain, the next round begins after this: the other machine may be switched off."""
DOUBT_S, LONGEST_DOUBT_S = 20.0, 3600.0
"""A hub that answers, but by which no echo of the pair came back where another's did, is not gone back to for so long, twice as long each further time."""
FORGIVEN_S = 600.0
"""When a doubt has been over for so long, the next one counts as the first."""


@dataclass(frozen=True)
class Leg:
    """How one end and one hub hear each other. `alive_since`: monotonic seconds; None: not now."""

    alive_since: float | None
    loss_pct: float = 0.0
    """Of the last minute's echoes."""
    rtt_ms: float | None = None


@dataclass(frozen=True)
class Way:
    """A candidate: the path via one hub."""

    hub: MachineName
    rank: float
    """Of paths that are equal, the one with the highest rank is taken: see network/shares.py."""
    mine: Leg
    theirs: Leg | None = None
    """None: the other end has not told of it lately."""
    policy: HubPolicy = field(default_factory=HubPolicy)

    @property
    def works(self) -> bool:
        """Whether both ends hear the hub, as far as known."""
        return self.mine.alive_since is not None and (self.theirs is None or self.theirs.alive_since is not None)

    @property
    def loss_pct(self) -> float:
        """Echoes that both legs together would lose."""
        theirs = 0.0 if self.theirs is None else self.theirs.loss_pct
        return 100.0 - (100.0 - self.mine.loss_pct) * (100.0 - theirs) / 100.0

    @property
    def rtt_ms(self) -> float | None:
        """The round trip over both legs; None while one is not known."""
        if self.mine.rtt_ms is None or self.theirs is None or self.theirs.rtt_ms is None:
            return None
        return self.mine.rtt_ms + self.theirs.rtt_ms


@dataclass(frozen=True)
class Doubt:
    """A hub did not carry a pair's echoes where another did: when that was found out last, and how often."""

    at: float
    times: int = 1

    @property
    def ends_at(self) -> float:
        """Until when the hub is avoided."""
        return self.at + min(DOUBT_S * 2.0 ** (self.times - 1), LONGEST_DOUBT_S)

    def holds(self, way: Way, now: float) -> bool:
        """Whether the hub is still to be avoided. One that was away since has begun anew."""
        has_begun_anew = way.mine.alive_since is None or way.mine.alive_since > self.at
        return not has_begun_anew and now < self.ends_at

    def again(self, now: float) -> "Doubt":
        """The doubt when the same is found out once more."""
        return Doubt(now, 1 if now >= self.ends_at + FORGIVEN_S else self.times + 1)


@dataclass(frozen=True)
class Path:
    """The path of a pair. Instants are monotonic seconds."""

    hub: MachineName
    since: float
    reason: str
    better: MachineName | None = None
    """A path that has been better since `better_since`."""
    better_since: float = 0.0
    tried: Mapping[MachineName, float] = field(default_factory=dict)
    """The paths that were left because no echo of the pair came back, and when."""
    doubts: Mapping[MachineName, Doubt] = field(default_factory=dict)
    is_followed: bool = False
    """Whether it was taken because the other end had."""

    def may_follow(self, now: float) -> bool:
        """Whether another may be taken because the other end has."""
        return not self.is_followed or now - self.since >= FOLLOW_SPACING_S

    def trusts(self, way: Way, now: float) -> bool:
        """Whether nothing is known against a way that works."""
        return way.hub not in self.doubts or not self.doubts[way.hub].holds(way, now)


@dataclass(frozen=True)
class Pair:
    """What else is known of the two ends."""

    leads: bool
    """Whether this end decides what is better."""
    silent_since: float | None = None
    """Since when echoes to the other end are unanswered, if that means something."""
    told: MachineName | None = None
    """The hub that the other end has chosen, if it leads."""
    strays_to: MachineName | None = None
    """The hub that the other end sends through, as WireGuard roams, although we send through the path's."""
    strays_since: float = 0.0


def is_leg_alive(trail: Trail, state: State, other_answered_at: float | None, now: float) -> bool:
    """Whether a hub still carries packets. `other_answered_at`: when another hub answered last; if none does, it is our own line that is silent."""
    if state is State.DISCONNECTED:
        return False
    if state is State.STARTING:
        return now - trail.begins_at < GRACE_S
    since = trail.unanswered_since
    is_missing = since is not None and trail.unanswered >= LEAST_MISSING and now - since >= MISSING_S
    return not (is_missing and other_answered_at is not None and since is not None and other_answered_at > since)


def is_direct_silent(trail: Trail, now: float) -> bool:
    """Whether a direct path carries nothing any more, one way or both."""
    since = trail.unanswered_since
    return since is not None and trail.unanswered >= LEAST_MISSING and now - since >= MISSING_S


def find_silence(trail: Trail, now: float, *, leads: bool) -> float | None:
    """Since when a peer's echoes are unanswered; None if that means nothing yet. `leads`: whether this end decides what is better."""
    since = trail.unanswered_since
    patience_s = (SILENT_S if leads else SILENT_S + FOLLOWER_WAITS_S) if trail.last_answer_at is not None else NEVER_S
    return since if since is not None and trail.unanswered >= LEAST_SILENT and now - since >= patience_s else None


def begin_path(ways: Sequence[Way], observed: MachineName | None, now: float) -> Path:
    """The first path of a pair: where its packets go already, if that works. There must be a way."""
    for way in ways:
        if way.hub == observed and way.works:
            return Path(way.hub, now, "it was there before other hubs were known")
    best = _find_best(ways)
    return Path(best.hub, now, f"{best.hub} is the pair's share of equal hubs" if best.works else "no hub answers yet")


def choose_path(ways: Sequence[Way], path: Path, pair: Pair, now: float) -> Path:
    """The path from now on: the same, or another with the reason why."""
    here = next((way for way in ways if way.hub == path.hub), None)
    others = [way for way in ways if way.hub != path.hub]
    if not others:
        return path
    working = [way for way in others if way.works]
    if here is None:
        return _move(path, working or others, f"{path.hub} is no hub of the network any more", now)
    if not here.works:
        return _leave_broken(path, here, others, now)
    if pair.leads and pair.strays_to is not None and now - pair.strays_since >= STRAYS_S:
        return _stray(path, working, pair.strays_to, now)
    if pair.silent_since is not None:
        return _leave_silent(path, working, pair.silent_since, now)
    return _choose_among_working(_conclude(path, now), here, working, pair, now)


def follow(ways: Sequence[Way], path: Path, observed: MachineName | None, now: float) -> Path:
    """The path of the end that does not lead, when WireGuard has roamed to another hub: the leading end sends through that one."""
    is_sound = any(way.hub == observed and way.works for way in ways)
    if observed is None or observed == path.hub or not is_sound or not path.may_follow(now):
        return path
    return _follow(path, observed, now)


def _follow(path: Path, hub: MachineName, now: float) -> Path:
    return Path(hub, now, "the other end chose it", doubts=path.doubts, is_followed=True)


def _leave_broken(path: Path, here: Way, others: Sequence[Way], now: float) -> Path:
    """One of the two does not hear the hub. A hub that only this end hears is better than none: it may know how to reach the other end."""
    is_heard_here = here.mine.alive_since is not None
    reachable = [way for way in others if way.works]
    if not reachable and not is_heard_here:
        reachable = [way for way in others if way.mine.alive_since is not None]
    if not reachable:
        return path
    reachable = [way for way in reachable if path.trusts(way, now)] or reachable
    return _move(path, reachable, f"{path.hub} is silent {'at the other end' if is_heard_here else 'here'}", now)


def _choose_among_working(path: Path, here: Way, working: Sequence[Way], pair: Pair, now: float) -> Path:
    trusted = [way for way in working if path.trusts(way, now)]
    if here.policy.drain and any(not way.policy.drain for way in trusted):
        return _move(path, [way for way in trusted if not way.policy.drain], f"{path.hub} drains", now)
    if pair.leads:
        return _prefer(path, here, trusted, now)
    told = [way for way in working if way.hub == pair.told and (here.policy.drain or not way.policy.drain)]
    return _follow(path, told[0].hub, now) if told and path.may_follow(now) else path


def _leave_silent(path: Path, working: Sequence[Way], silent_since: float, now: float) -> Path:
    """No echo of the pair comes back, though both ends hear the hub: it may not relay."""
    if now - max(path.since, silent_since) < SILENT_S:
        return path
    tried = {hub: at for hub, at in path.tried.items() if now - at < NEXT_ROUND_S}
    fresh = [way for way in working if way.hub not in tried]
    fresh = [way for way in fresh if path.trusts(way, now)] or fresh
    if not fresh:
        return path
    moved = _move(path, fresh, f"no echo came back via {path.hub}", now)
    return replace(moved, tried={**tried, path.hub: now})


def _stray(path: Path, working: Sequence[Way], hub: MachineName, now: float) -> Path:
    """What we send by the path does not arrive there, or the other end would have roamed to it: its hub missed the handshake, while an agent was away."""
    there = [way for way in working if way.hub == hub]
    if not there:
        return path
    moved = _move(path, there, f"the other end does not receive what goes via {path.hub}, and sends via {hub}", now)
    doubts = {doubted: doubt for doubted, doubt in _doubt(path, {path.hub}, now).items() if doubted != hub}
    return replace(moved, doubts=doubts)


def _conclude(path: Path, now: float) -> Path:
    """Echoes of the pair come back here, so what was tried before it does not carry them."""
    return replace(path, tried={}, doubts=_doubt(path, path.tried.keys() - {path.hub}, now)) if path.tried else path


def _doubt(path: Path, hubs: AbstractSet[MachineName], now: float) -> dict[MachineName, Doubt]:
    known = path.doubts
    return {**known, **{hub: known[hub].again(now) if hub in known else Doubt(now) for hub in hubs}}


def _prefer(path: Path, here: Way, working: Sequence[Way], now: float) -> Path:
    best = here
    for way in sorted(working, key=lambda way: way.rank, reverse=True):
        if _is_better(way, best) and _has_held(way, now):
            best = way
    if best is here:
        return path if path.better is None else replace(path, better=None)
    if path.better != best.hub:
        return replace(path, better=best.hub, better_since=now)
    return _move(path, [best], _tell_better(best, here), now) if now - path.better_since >= HOLD_S else path


def _has_held(way: Way, now: float) -> bool:
    since = way.mine.alive_since
    return since is not None and now - since >= HOLD_S


def _is_better(way: Way, than: Way) -> bool:
    """Usable before draining, ordinary before standby, then loss, then round trip, then rank: each with a dead band but the last."""
    if way.policy.drain != than.policy.drain:
        return than.policy.drain
    if (way.policy.weight == 0) != (than.policy.weight == 0):
        return than.policy.weight == 0
    if abs(than.loss_pct - way.loss_pct) >= LOSS_BETTER_PCT:
        return way.loss_pct < than.loss_pct
    if way.rtt_ms is not None and than.rtt_ms is not None:
        difference_ms = abs(than.rtt_ms - way.rtt_ms)
        if difference_ms >= max(RTT_BETTER_MS, RTT_BETTER_SHARE * max(way.rtt_ms, than.rtt_ms)):
            return way.rtt_ms < than.rtt_ms
    return way.rank > than.rank


def _tell_better(way: Way, than: Way) -> str:
    if way.policy.weight and not than.policy.weight:
        return f"{than.hub} is a standby"
    if than.loss_pct - way.loss_pct >= LOSS_BETTER_PCT:
        return f"{than.hub} loses {than.loss_pct:.0f} % of the echoes, {way.hub} {way.loss_pct:.0f} %"
    if way.rtt_ms is not None and than.rtt_ms is not None and than.rtt_ms - way.rtt_ms >= RTT_BETTER_MS:
        return f"the round trip is {way.rtt_ms:.0f} ms, {than.rtt_ms:.0f} ms via {than.hub}"
    return f"{way.hub} is the pair's share of equal hubs"


def _find_best(ways: Sequence[Way]) -> Way:
    best = ways[0]
    for way in sorted(ways, key=lambda way: way.rank, reverse=True):
        if (way.works, not way.policy.drain) > (best.works, not best.policy.drain) or (
            way.works == best.works and _is_better(way, best)
        ):
            best = way
    return best


def _move(path: Path, ways: Sequence[Way], reason: str, now: float) -> Path:
    return Path(_find_best(ways).hub, now, reason, tried=path.tried, doubts=path.doubts)
