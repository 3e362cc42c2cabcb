"""`spokewire doctor`: can this machine run a lab, a hub, a node? With --network: what is wrong with a live network?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spokewire.cli import options

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from spokewire.cli.context import Context
    from spokewire.host.checks import Check
    from spokewire.network.findings import Finding

DEFAULT_CIDR = "10.88.0.0/24"


def register(app: typer.Typer) -> None:
    """Add the command."""
    examples = ("spokewire doctor", "spokewire doctor --json", "spokewire doctor --network")
    app.command(epilog=options.example(*examples))(doctor)


def doctor(
    network: Annotated[
        bool, typer.Option("--network", help="Examine the live network instead: what is wrong, and what to do.")
    ] = False,
    config: options.OptionalConfig = None,
    as_json: options.Json = False,
) -> int:
    """Check this machine: WireGuard, nftables, /dev/net/tun, namespaces, overlaps of the address plan; and say what to do.

    With --network examine the live network: what is wrong, the worst first, since when, what shows it, what was tried, what to do.
    """
    if not network:
        return check(config, as_json=as_json)
    import asyncio

    from spokewire.cli.context import Context

    context = Context(config or options.DEFAULT_CONFIG, as_json=as_json)
    context.enter_lab()
    return asyncio.run(run(context))


def check(config: Path | None, *, as_json: bool) -> int:
    """Check this machine, print, and return the exit status: 0 all is well, 1 not."""
    from spokewire.cli.output import Output
    from spokewire.host.checks import check_machine

    output = Output(as_json=as_json)
    checks = check_machine(_cidr(config))
    output.result(
        {
            "ok": all(check.ok for check in checks),
            "checks": [{"name": c.name, "ok": c.ok, "found": c.found, "fix": c.fix} for c in checks],
        }
    )
    output.show(lambda: _table(checks))
    failed = sum(not check.ok for check in checks)
    output.say(
        f"{failed} of {len(checks)} checks failed." if failed else "This machine can run a lab, a hub and a node.",
        "red" if failed else "green",
    )
    return 1 if failed else 0


async def run(context: "Context") -> int:
    """Examine the network, print, and return the exit status: 0 nothing is wrong, 3 something is, 1 nothing works, 75 it is starting."""
    from spokewire.deploy.examine import examine
    from spokewire.errors import Code, InputError
    from spokewire.network.diagnosis import count_examined, diagnose, judge_exit

    def make() -> "RenderableType":
        from spokewire.cli.tables import findings_table

        return findings_table(findings, seen.now)

    _ = context.spec
    if not context.keeper.has_key():
        raise InputError(Code.NOT_DEPLOYED, "Nothing is deployed from here.", hint="Run: spokewire deploy.")
    seen = await examine(context.operator(), context.keeper.load_key())
    findings = diagnose(seen)
    counts = count_examined(seen)
    context.output.result(
        {
            "network": context.spec.name,
            "ok": judge_exit(seen, findings) == 0,
            "at": seen.now,
            "findings": [finding.model_dump(mode="json") for finding in findings],
            "examined": counts,
        }
    )
    if findings:
        context.output.show(make)
    context.output.note(
        f"Answers from {counts['hubs_answered']} of {counts['hubs']} hubs and {counts['nodes_told']} of {counts['nodes']} nodes; "
        f"compared: {counts['directions']} directions between nodes, {counts['clocks']} clocks, {counts['grants']} grants."
    )
    context.output.say(*_sum_up(context.spec.name, findings))
    return judge_exit(seen, findings)


def _sum_up(network: str, findings: "list[Finding]") -> tuple[str, str]:
    """The last line, and its style."""
    from spokewire.network.findings import Severity

    wrong = sum(finding.severity is not Severity.NOTE for finding in findings)
    if not wrong:
        return f"{network}: nothing is wrong.", "green"
    critical = sum(finding.severity is Severity.CRITICAL for finding in findings)
    things = "1 thing is wrong" if wrong == 1 else f"{wrong} things are wrong"
    how_bad = f", {critical} of them critical" if critical else ""
    return f"{network}: {things}{how_bad}. Begin at the top.", "red" if critical else "yellow"


def _table(checks: "list[Check]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for check in checks:
        table.add_row(Text("ok", style="green") if check.ok else Text("FAIL", style="red"), check.name, check.found)
        if not check.ok:
            table.add_row("", "", Text(check.fix, style="yellow"))
    return table


def _cidr(config: Path | None) -> str:
    from spokewire.deploy.editor import load_spec

    path = options.find_spec(config)
    return DEFAULT_CIDR if path is None else str(load_spec(path.absolute()).cidr)
