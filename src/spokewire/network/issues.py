"""The issues of a whole network in one list. Pure."""

from dataclasses import dataclass, field

from spokewire.network.overview import HubOverview, NetworkOverview, NodeOverview
from spokewire.network.status import Issue


@dataclass
class SharedIssue:
    """One issue, and all machines that have it in the same words."""

    issue: Issue
    machines: list[str] = field(default_factory=list)


def list_issues(overview: NetworkOverview) -> list[SharedIssue]:
    """Everything that machines found wrong, each once."""
    machines: list[HubOverview | NodeOverview] = [*overview.hubs, *overview.nodes]
    found: dict[tuple[str, str], SharedIssue] = {}
    for machine in machines:
        for issue in machine.issues:
            found.setdefault((issue.code, issue.text), SharedIssue(issue)).machines.append(machine.name)
    return list(found.values())
