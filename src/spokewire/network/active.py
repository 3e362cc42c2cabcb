"""The active hub of a node in a routed network. Only nodes that have the same one reach each other, so all must choose alike. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from spokewire.network.paths import HOLD_S, Path, Way

TOGETHER_S = 5.0
"""A hub that has answered about as long as the active one is no newcomer: when a node starts, it hears one of them first."""


def choose_active(ways: Sequence[Way], path: Path, now: float) -> Path:
    """The active hub from now on: the same, or another with the reason why.

    What all nodes see alike decides: whether a hub answers, drains, is a standby, and its rank. Loss and round trips differ from node to node, and a
    node that moved alone because of them would be cut off from all others.
    """
    here = next((way for way in ways if way.hub == path.hub), None)
    candidates = [way for way in ways if way.works and (way is here or here is None or _is_steady(way, here, now))]
    if not candidates:
        return path
    best = max(candidates, key=_merit)
    return path if best is here else replace(path, hub=best.hub, since=now, reason=_tell(path, here, best))


def _is_steady(way: Way, here: Way, now: float) -> bool:
    """Whether a hub that works may be gone to: at once from one that does not, else only when it has been there for a while."""
    since, since_here = way.mine.alive_since, here.mine.alive_since
    if since is None or not here.works or since_here is None:
        return True
    return now - since >= HOLD_S or since - since_here <= TOGETHER_S


def _merit(way: Way) -> tuple[bool, bool, float, str]:
    return not way.policy.drain, way.policy.weight > 0, way.rank, way.hub


def _tell(path: Path, here: Way | None, best: Way) -> str:
    if here is None:
        return f"{path.hub} is no hub of the network any more"
    if not here.works:
        return f"{path.hub} is silent here"
    if here.policy.drain and not best.policy.drain:
        return f"{path.hub} drains"
    if best.policy.weight and not here.policy.weight:
        return f"{path.hub} is a standby"
    return f"{best.hub} is the one that all nodes of a routed network use"
