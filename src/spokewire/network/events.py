"""What a node keeps of its past: events, and roll-ups of its echoes. The shapes of GET /history, and what may stand in them. Pure."""

import re
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from spokewire.errors import Code, InputError
from spokewire.network.status import Issue, State

SubjectKind = Literal["node", "hub", "peer"]
MAX_TEXT = 300
"""Characters of a reason or a text; it bounds the size of an answer."""

_SPAN = re.compile(r"([0-9]{1,6})(s|m|h|d)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_V4 = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
_ADDRESS = re.compile(
    rf"(?<![\w.])(?:\[(?P<boxed>[0-9a-fA-F:.]+)(?:%\w+)?\]|(?P<v6>[0-9a-fA-F]{{0,4}}(?::[0-9a-fA-F]{{0,4}}){{1,7}}(?:(?<=:){_V4})?)(?:%\w+)?"
    rf"|(?P<v4>{_V4}))(?P<port>:[0-9]{{1,5}})?(?!\w|[./][0-9])"
)
_AT_HOME = [
    ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1/128")
]
"""RFC 1918, RFC 4193 and the loopback: an address from here leads nobody anywhere."""


class EventCode(StrEnum):
    """What happened. An event may carry another code than these; it is then told by its text alone."""

    STATE_CHANGED = "state-changed"
    ISSUE_OPENED = "issue-opened"
    ISSUE_CLOSED = "issue-closed"
    FIX_WORKED = "fix-worked"
    """A fix was tried, and the fault was gone when it was looked for again."""
    FIX_FAILED = "fix-failed"
    AGENT_STARTED = "agent-started"
    AGENT_STOPPED = "agent-stopped"
    CLOCK_JUMPED = "clock-jumped"
    """The machine's clock was set; instants of before were told by the old one."""
    PATH_CHANGED = "path-changed"
    """Packets for the subject go through another hub, or directly; where it is the node itself, those for everybody do."""
    MACHINE_LEFT = "machine-left"
    """The subject is no longer in the roster, so nothing more is heard of it."""
    HISTORY_RESUMED = "history-resumed"
    HISTORY_REPAIRED = "history-repaired"


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Event(_Shape):
    """Something that happened on or to `subject`, the name of a machine, at `at` (seconds since 1970, by the clock of the node that tells it)."""

    at: float
    code: str
    subject: str
    kind: SubjectKind | None = None
    """What the subject is to the node that tells this: itself, a hub, another node. None where it is no change of a state."""
    before: State | None = None
    after: State | None = None
    text: str
    """Of a change the reason, else a sentence."""
    stored: bool = True
    """Whether it is safe on the disk; what is not is lost if the agent dies."""


class EchoSummary(_Shape):
    """The echoes to one machine from `since` on (seconds since 1970), of which there are measurements."""

    subject: str
    since: float
    sent: int
    lost: int
    rtt_ms_avg: float | None = None
    rtt_ms_max: float | None = None
    worst_loss_pct: float = 0.0
    """The highest loss of a single minute, or of ten minutes where that is what is kept, and when that was."""
    worst_at: float | None = None


class NodeHistory(_Shape):
    """What a node tells of its past: GET /history."""

    node: str
    network: str
    since: float
    """From when on was asked for."""
    kept_since: float | None = None
    """When the oldest event happened that is kept; None: there is none."""
    complete: bool
    """False: more events happened since then than were asked for, and only the newest are here."""
    events: list[Event] = Field(default_factory=list)
    """The oldest first."""
    echoes: list[EchoSummary] = Field(default_factory=list)
    problem: Issue | None = None
    """Why nothing can be written at this moment."""
    time: float


def parse_span(text: str) -> float:
    """Read a length of time such as 90s, 30m, 1h or 7d; return seconds."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise InputError(
            Code.REQUEST_INVALID,
            f"{text!r} is no length of time.",
            hint="Say a number and a unit: 90s, 30m, 1h or 7d.",
        )
    return float(int(found.group(1)) * _UNITS[found.group(2)])


def shorten(text: str) -> str:
    """Text as it is kept: on one line, printable, without endpoints, of bounded length."""
    printable = "".join(char if char.isprintable() else " " for char in text[: 4 * MAX_TEXT])
    words = " ".join(hide_endpoints(printable).split())
    return words if len(words) <= MAX_TEXT else words[: MAX_TEXT - 1] + "…"


def hide_endpoints(text: str) -> str:
    """Text without anybody's endpoint: an address with a port, or a public address, becomes "…". Networks such as 10.88.0.0/24 stay."""
    return _ADDRESS.sub(_hide, text)


def _hide(match: re.Match[str]) -> str:
    try:
        address = ip_address(match["boxed"] or match["v4"] or match["v6"])
    except ValueError:
        return match.group()
    stays = match["port"] is None and any(
        address in network for network in _AT_HOME if network.version == address.version
    )
    return match.group() if stays else "…"
