"""`spokewire doctor`: can this machine run a lab, a hub, a node?"""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spokewire.cli import options

if TYPE_CHECKING:
    from rich.table import Table

    from spokewire.host.checks import Check

DEFAULT_CIDR = "10.88.0.0/24"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=options.example("spokewire doctor", "spokewire doctor --json"))(doctor)


def doctor(config: options.OptionalConfig = None, as_json: options.Json = False) -> int:
    """Check this machine: WireGuard, nftables, /dev/net/tun, namespaces, overlaps of the address plan; and say what to do."""
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
