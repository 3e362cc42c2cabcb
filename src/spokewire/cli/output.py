"""Everything that a command prints: results to standard output, progress and errors to standard error; colours respect NO_COLOR."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from spokewire.deploy.plan import Plan, Verb
from spokewire.errors import SpokewireError
from spokewire.host import clock
from spokewire.network.overview import NetworkOverview
from spokewire.network.proof import MAX_LOSS_PCT, PairResult
from spokewire.network.status import State

FILE_WIDTH = 160
"""Columns where no terminal tells its width."""
STYLES = {State.CONNECTED: "green", State.DEGRADED: "yellow", State.STARTING: "cyan", State.DISCONNECTED: "red"}
VERB_STYLES = {
    Verb.CREATE: "green",
    Verb.REPLACE: "yellow",
    Verb.START: "green",
    Verb.DESTROY: "red",
    Verb.INVITE: "cyan",
}


class Output:
    """Where one command prints."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.kept: list[Any] | None = None
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)

    def result(self, data: Any) -> None:
        """Print the documented JSON of a command, with --json; nothing otherwise. A command made of others keeps their results instead."""
        if self.kept is not None:
            self.kept.append(data)
        elif self.as_json:
            sys.stdout.write(json.dumps(data, indent=2, default=str) + "\n")
            sys.stdout.flush()

    def say(self, text: str, style: str = "") -> None:
        """Print a sentence for people; with --json to standard error."""
        (self.err if self.as_json else self.out).print(escape(text), style=style)

    def note(self, text: str) -> None:
        """Print a remark to standard error."""
        self.err.print(escape(text), style="dim")

    def show(self, table: Table) -> None:
        """Print a table for people."""
        if not self.as_json:
            self.out.print(table)

    def raw(self, text: str) -> None:
        """Print text as it is, for other programs."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def error(self, error: SpokewireError) -> None:
        """Print an error of ours: one sentence, its faults, and what to do."""
        if self.as_json:
            faults = [
                {"place": fault.place, "problem": fault.problem, "expected": fault.expected} for fault in error.faults
            ]
            self.result({"error": {"code": error.code, "message": error.message, "hint": error.hint, "faults": faults}})
            return
        self.err.print(Text.assemble(("error: ", "bold red"), error.message))
        for fault in error.faults:
            self.err.print(f"  {escape(str(fault))}")
        if error.hint:
            self.err.print(Text.assemble(("hint:  ", "bold"), error.hint))

    @contextmanager
    def progress(self) -> "Iterator[Progress]":
        """Show what each machine waits for, live on a terminal, as lines elsewhere."""
        progress = Progress(self.err)
        if not self.err.is_terminal:
            yield progress
            return
        with Live(progress, console=self.err, refresh_per_second=8, transient=False):
            yield progress


class Progress:
    """What each machine waits for."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun = clock.monotonic()
        self._machines: dict[str, tuple[str, float]] = {}

    def __call__(self, name: str, doing: str) -> None:
        """Note what a machine waits for now."""
        if self._machines.get(name, ("", 0.0))[0] == doing:
            return
        self._machines[name] = (doing, clock.monotonic() - self._begun)
        if not self._console.is_terminal and not doing.startswith("waiting for its echo"):
            self._console.print(f"{self._machines[name][1]:6.1f} s  {escape(name)}: {escape(doing)}")

    def __rich__(self) -> Table:
        """The live table."""
        table = Table.grid(padding=(0, 2))
        for name, (doing, at) in self._machines.items():
            style = "green" if doing in ("ready", "gone") else "red" if doing.startswith("failed") else "yellow"
            table.add_row(f"{at:6.1f} s", escape(name), Text(doing, style=style))
        return table


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=FILE_WIDTH)


def plan_table(plan: Plan) -> Table:
    """A plan for people."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for action in plan.actions:
        table.add_row(
            "", Text(action.verb, style=VERB_STYLES[action.verb]), action.name, Text(action.reason, style="dim")
        )
    if plan.settings_reason:
        table.add_row("", Text("sign", style="cyan"), "settings", Text(plan.settings_reason, style="dim"))
    return table


def status_table(overview: NetworkOverview) -> Table:
    """The whole network for people."""
    table = Table(title=None, header_style="bold", box=None, padding=(0, 2, 0, 0))
    for column in ("machine", "address", "state", "echo", "rtt", "loss", "handshake", "path", "reason"):
        table.add_column(column, no_wrap=column != "reason", overflow="fold")
    for hub in overview.hubs:
        table.add_row(
            hub.name, hub.overlay_ip or "-", _state(hub.state), "", "", "", "", hub.address or "-", hub.reason
        )
    for node in overview.nodes:
        cells = (
            _age(node.last_echo_age_s),
            _number(node.rtt_ms, "ms"),
            _number(node.loss_pct, "%"),
            _age(node.last_handshake_age_s),
        )
        table.add_row(node.name, node.overlay_ip or "-", _state(node.state), *cells, node.path, node.reason)
        for peer in node.peers:
            cells = (
                _age(peer.last_echo_age_s),
                _number(peer.rtt_ms, "ms"),
                _number(peer.loss_pct, "%"),
                "-" if peer.last_handshake_age_s is None else _age(peer.last_handshake_age_s),
            )
            reason = "" if peer.state is State.CONNECTED else peer.reason
            table.add_row(
                f"  to {peer.name}", Text(peer.overlay_ip, style="dim"), _state(peer.state), *cells, peer.path, reason
            )
    for item in overview.missing:
        table.add_row(item.name, "-", Text("missing", style="red"), "", "", "", "", "", item.reason)
    return table


def proof_table(pairs: list[PairResult]) -> Table:
    """The matrix of a proof for people: row speaks to column."""
    names = list(dict.fromkeys(pair.source for pair in pairs))
    cells = {(pair.source, pair.target): pair for pair in pairs}
    table = Table(header_style="bold", box=None, padding=(0, 2, 0, 0))
    table.add_column("from \\ to")
    for name in names:
        table.add_column(name)
    for source in names:
        table.add_row(source, *(_pair(cells.get((source, target))) for target in names))
    return table


def _pair(pair: PairResult | None) -> Text:
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
    return Text(f"ok {pair.rtt_ms or 0:.1f} ms{loss}{rate}", style="green")


def _state(state: State) -> Text:
    return Text(state, style=STYLES[state])


def _age(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004


def _number(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.1f} {unit}"
