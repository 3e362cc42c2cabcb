"""`spokewire path`: how packets of two nodes go, and why."""

from typing import TYPE_CHECKING, Annotated

import typer

from spokewire.cli import options

if TYPE_CHECKING:
    from rich.table import Table

    from spokewire.cli.context import Context
    from spokewire.network.explanation import Explanation, Leg, Side


def complete_node(context: typer.Context, incomplete: str) -> list[str]:
    """The nodes of the spec that begin like this; none where there is no spec that can be read."""
    from spokewire.deploy.editor import load_spec
    from spokewire.errors import SpokewireError

    try:
        nodes = load_spec((context.params.get("config") or options.DEFAULT_CONFIG).absolute()).nodes
    except (SpokewireError, OSError):
        return []
    taken = context.params.get("one")
    return [node.name for node in nodes if node.name.startswith(incomplete) and node.name != taken]


One = Annotated[
    str, typer.Argument(help="A node's name.", metavar="NODE", show_default=False, autocompletion=complete_node)
]
Other = Annotated[
    str, typer.Argument(help="Another node's name.", metavar="NODE", show_default=False, autocompletion=complete_node)
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=options.example("spokewire path node-1 node-2", "spokewire path node-1 node-2 --json"))(path)


def path(
    one: One,
    other: Other,
    config: options.Config = options.DEFAULT_CONFIG,
    as_json: options.Json = False,
) -> int:
    """Explain the path of two nodes: how packets go now, since when and why, how each hub is reached, and what would be taken next."""
    import asyncio

    from spokewire.cli.context import Context

    context = Context(config, as_json=as_json)
    context.enter_lab()
    return asyncio.run(run(context, one, other))


async def run(context: "Context", one: str, other: str) -> int:
    """Look, explain, print, and return the exit status of the pair's state: 0 connected, 3 degraded, 75 starting, 1 disconnected."""
    from spokewire.cli.output import STYLES
    from spokewire.cli.status import exit_status, look
    from spokewire.network.explanation import explain_path

    _refuse(context, one, other)
    overview = await look(context)
    found = explain_path(context.spec, overview, one, other)
    context.output.result(found.model_dump(mode="json"))
    for side in found.sides:
        context.output.say(_tell_side(side), STYLES[side.state])
    context.output.show(lambda: _table(found))
    context.output.say(f"Next: {found.next_reason}.")
    return exit_status(found)


def _refuse(context: "Context", one: str, other: str) -> None:
    from spokewire.errors import Code, InputError

    known = [node.name for node in context.spec.nodes]
    for name in (one, other):
        if name not in known:
            what = "is a hub" if any(hub.name == name for hub in context.spec.hubs) else "is no node of the spec"
            raise InputError(Code.NAME_UNKNOWN, f"{name} {what}.", hint=f"Name two of: {', '.join(known) or 'none'}.")
    if one == other:
        raise InputError(Code.REQUEST_INVALID, "A path has two ends.", hint="Name two nodes.")


def _tell_side(side: "Side") -> str:
    from spokewire.cli.tables import tell_instant
    from spokewire.host import clock

    if side.path is None:
        return f"{side.node}: {side.state_reason}."
    since = "" if side.since is None else f" since {tell_instant(side.since, clock.wall())}"
    why = f" ({side.reason})" if side.reason else ""
    return f"{side.node}: {side.path}{since}{why}; {side.state}: {side.state_reason}."


def _table(found: "Explanation") -> "Table":
    from rich.table import Table
    from rich.text import Text

    from spokewire.cli.output import printable
    from spokewire.cli.tables import number

    legs = [f"{side.node}'s leg" for side in found.sides]
    table = Table("", "path", "weight", *legs, "rtt", "loss", "", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for item in found.candidates:
        weight = "-" if item.weight is None else f"{item.weight}, drains" if item.drain else str(item.weight)
        cells = [_tell_leg(leg) for leg in item.legs] or ["-", "-"]
        table.add_row(
            Text("*" if item.in_use else ""),
            Text(item.path, style="green" if item.usable else "red"),
            weight,
            *cells,
            number(item.rtt_ms, "ms"),
            number(item.loss_pct, "%"),
            printable(item.reason),
        )
    return table


def _tell_leg(leg: "Leg") -> str:
    from spokewire.cli.tables import number

    if leg.state is None:
        return "not known"
    return f"{leg.state}, {number(leg.rtt_ms, 'ms')}, {number(leg.loss_pct, '%')} lost"
