"""What several hubs see of one node, as one view. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spokewire.network.status import HubView, NodeStatus

REPORT_FRESH_S = 8.0
"""Reports come every two seconds; three may be late."""


@dataclass(frozen=True)
class Sighting:
    """What one hub sees of a node, with the report that it hands on; None if there is none, or none that the node signed."""

    view: HubView
    report: NodeStatus | None


def merge_sightings(sightings: Sequence[Sighting]) -> Sighting | None:
    """One view of a node: each age is the freshest, and of the fresh reports the one that the node made last, whatever a hub says of its age.

    None: no hub knows it. Bytes and endpoint are told as the hub sees them that heard it last.
    """
    if not sightings:
        return None
    views = [sighting.view for sighting in sightings]
    nearest = min(views, key=lambda view: _or_never(view.last_echo_age_s))
    newest = max(sightings, key=_rank_report)
    view = nearest.model_copy(
        update={
            "agent": any(view.agent for view in views),
            "last_handshake_age_s": _freshest([view.last_handshake_age_s for view in views]),
            "report": newest.view.report,
            "report_age_s": newest.view.report_age_s,
            "api_connected": any(view.api_connected for view in views),
        }
    )
    return Sighting(view, newest.report)


def group_sightings(by_hub: Mapping[str, Sequence[Sighting]]) -> dict[str, Sighting]:
    """By node, what all hubs together see of it."""
    found: dict[str, list[Sighting]] = {}
    for sightings in by_hub.values():
        for sighting in sightings:
            found.setdefault(sighting.view.name, []).append(sighting)
    return {name: merged for name, same in found.items() if (merged := merge_sightings(same)) is not None}


def _freshest(ages_s: Sequence[float | None]) -> float | None:
    return min((age_s for age_s in ages_s if age_s is not None), default=None)


def _or_never(age_s: float | None) -> float:
    return float("inf") if age_s is None else age_s


def _rank_report(sighting: Sighting) -> tuple[bool, bool, float]:
    """A report that came lately comes before an old one, whose time may be of a clock that was set back since."""
    if sighting.report is None:
        return False, False, 0.0
    return True, _or_never(sighting.view.report_age_s) <= REPORT_FRESH_S, sighting.report.time
