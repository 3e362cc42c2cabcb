"""Tables for people."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from spokewire.cli.output import STYLES, printable
from spokewire.cloud.provider import Price
from spokewire.deploy.plan import Plan, Verb
from spokewire.network.findings import Finding, Severity
from spokewire.network.issues import list_issues
from spokewire.network.names import MachineName
from spokewire.network.overview import NetworkOverview, NodeOverview
from spokewire.network.proof import MAX_LOSS_PCT, PairResult
from spokewire.network.redundancy import VIA
from spokewire.network.status import PeerStatus, State
from spokewire.network.story import tell_span

VERB_STYLES = {
    Verb.CREATE: "green",
    Verb.REPLACE: "yellow",
    Verb.START: "green",
    Verb.DESTROY: "red",
    Verb.INVITE: "cyan",
}


def plan_table(plan: Plan, prices: Mapping[MachineName, Price]) -> Table:
    """A plan for people; with a column of prices and their sum where something costs money."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for action in plan.actions:
        price = prices.get(action.name)
        words = [f"${price.monthly:.2f} a month ({price.what})"] if price is not None else [""] if prices else []
        verb = Text(action.verb, style=VERB_STYLES[action.verb])
        table.add_row("", verb, action.name, *words, Text(action.reason, style="dim"))
    if plan.settings_reason:
        words = [""] if prices else []
        table.add_row("", Text("sign", style="cyan"), "settings", *words, Text(plan.settings_reason, style="dim"))
    if prices:
        monthly, hourly = (sum(getattr(p, kind) for p in prices.values()) for kind in ("monthly", "hourly"))
        table.add_row("", "", "together", f"${monthly:.2f} a month, ${hourly:.4f} an hour", "")
    return table


def status_table(overview: NetworkOverview, width: int) -> RenderableType:
    """The whole network for people, as a table for a terminal of that many columns.

    Where a line has no room for the reason, what is connected tells none, and the rest tell theirs below the table.
    """
    rows = list(_list_rows(overview))
    columns: tuple[str, ...] = next(columns for least, columns in _LAYOUTS if width >= least)
    if not any(_COST in row for row in rows):
        columns = tuple(column for column in columns if column != _COST)
    table = Table(title=None, header_style="bold", box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=column != "reason", overflow="fold")
    for row in rows:
        table.add_row(*(row.get(column, "") for column in columns))
    if "reason" in columns:
        return table
    told = [row for row in rows if row["reason"] and str(row["state"]) != State.CONNECTED]
    return Group(
        table, *(Text.assemble((f"{row.get('who', row['machine'])}: ", "bold"), str(row["reason"])) for row in told)
    )


Row = dict[str, str | Text]
"""The cells of a line by column; `who` is what the line is about, where its first cell alone does not say it."""
_COST = "$ a month"
_ALL = ("machine", "address", "state", "echo", "rtt", "loss", "handshake", "path", _COST, "reason")
_LAYOUTS = ((110, _ALL), (64, _ALL[:6]), (0, ("machine", "state", "rtt")))
"""The columns for terminals of at least so many."""


def _list_rows(overview: NetworkOverview) -> Iterator[Row]:
    for hub in overview.hubs:
        yield {
            "machine": hub.name,
            "address": hub.overlay_ip or "-",
            "state": _state(hub.state),
            "path": hub.address or "-",
            "reason": printable(hub.reason),
            **_cost(hub.monthly_usd),
        }
    for node in overview.nodes:
        head: Row = {"machine": node.name, "address": node.overlay_ip or "-"}
        yield head | _measures(node, never="never") | _cost(node.monthly_usd)
        for peer in node.peers:
            row: Row = {"machine": f"  to {peer.name}", "address": Text(peer.overlay_ip, style="dim")}
            quiet: Row = {"reason": ""} if peer.state is State.CONNECTED else {}
            yield row | _measures(peer, never="-") | quiet | {"who": f"{node.name} to {peer.name}"}
    for shared in list_issues(overview):
        yield {
            "machine": shared.machines[0],
            "address": "-",
            "state": Text(printable(shared.issue.code), style="yellow"),
            "reason": printable(f"{shared.issue.text} {shared.issue.hint}"),
        }
    for item in overview.missing:
        state = Text("missing", style="red")
        yield {"machine": item.name, "address": "-", "state": state, "reason": printable(item.reason)}


def _cost(monthly_usd: float | None) -> Row:
    return {} if monthly_usd is None else {_COST: f"{monthly_usd:.2f}"}


def _measures(of: NodeOverview | PeerStatus, *, never: str) -> Row:
    age_s = of.last_handshake_age_s
    return {
        "state": _state(of.state),
        "echo": _age(of.last_echo_age_s),
        "rtt": number(of.rtt_ms, "ms"),
        "loss": number(of.loss_pct, "%"),
        "handshake": never if age_s is None else _age(age_s),
        "path": printable(of.path),
        "reason": printable(of.reason),
    }


def proof_table(pairs: list[PairResult]) -> Table:
    """The matrix of a proof for people: row speaks to column. Each pair's path is told unless all take the same one."""
    names = list(dict.fromkeys(pair.source for pair in pairs))
    common = len({pair.path for pair in pairs}) == 1
    cells = {(pair.source, pair.target): pair for pair in pairs}
    table = Table(header_style="bold", box=None, padding=(0, 2, 0, 0))
    table.add_column("from \\ to")
    for name in names:
        table.add_column(name)
    for source in names:
        table.add_row(source, *(_pair(cells.get((source, target)), with_path=not common) for target in names))
    return table


SEVERITY_STYLES = {Severity.CRITICAL: "bold red", Severity.WARNING: "bold yellow", Severity.NOTE: "bold cyan"}


def findings_table(findings: Sequence[Finding], now: float) -> RenderableType:
    """What is wrong, for people: each finding with its evidence and what to do. Times are of this computer's zone."""
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for place, finding in enumerate(findings, 1):
        style = SEVERITY_STYLES[finding.severity]
        table.add_row(f"{place}.", Text(finding.severity, style=style), Text(printable(finding.what), style="bold"))
        for head, lines in _list_parts(finding, now):
            table.add_row("", Text(head, style="dim"), printable("\n".join(lines)))
    return table


def _list_parts(finding: Finding, now: float) -> Iterator[tuple[str, list[str]]]:
    if finding.since is not None:
        yield "since", [f"{tell_instant(finding.since, now)}, for {tell_span(now - finding.since)}"]
    heads = {"seen": finding.evidence, "tried": finding.tried, "explains": finding.explains}
    yield from ((head, lines) for head, lines in heads.items() if lines)
    yield "do", [finding.todo]
    if finding.runbook:
        yield "read", [finding.runbook]


def tell_instant(at: float, now: float) -> str:
    """An instant by the clock of this computer's zone; with its date unless it is today."""
    then = datetime.fromtimestamp(at, UTC).astimezone()
    is_today = then.date() == datetime.fromtimestamp(now, UTC).astimezone().date()
    return f"{then:%H:%M:%S}" if is_today else f"{then:%Y-%m-%d %H:%M:%S}"


def _pair(pair: PairResult | None, *, with_path: bool) -> Text:
    if pair is None:
        return Text("·", style="dim")
    if not pair.ok:
        words = [
            word
            for word, ok in (
                ("udp", pair.udp_loss_pct <= MAX_LOSS_PCT),
                ("tcp", pair.tcp_ok),
                ("sum", pair.checksum_ok),
            )
            if not ok
        ]
        return Text(f"FAILED {' '.join(words)}", style="red")
    rate = "" if pair.mbits is None else f", {pair.mbits:.0f} Mbit/s"
    loss = f", {pair.udp_loss_pct:.0f} % lost" if pair.udp_loss_pct else ""
    path = f", {printable(pair.path.removeprefix(VIA))}" if with_path and pair.path else ""
    return Text(f"ok {pair.rtt_ms or 0:.1f} ms{loss}{rate}{path}", style="green")


def _state(state: State) -> Text:
    return Text(state, style=STYLES[state])


def _age(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004


def number(value: float | None, unit: str) -> str:
    """A figure with its unit; "-" if there is none."""
    return "-" if value is None else f"{value:.1f} {unit}"
