"""`spokewire status`."""

from typing import TYPE_CHECKING, Annotated

import typer

from spokewire.cli import options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from spokewire.cli.context import Context
    from spokewire.network.explanation import Explanation
    from spokewire.network.overview import NetworkOverview

    Costs = Mapping[str, float]

WATCH_INTERVAL_S = 1.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=options.example("spokewire status", "spokewire status --watch", "spokewire status --json"))(
        status
    )


def status(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it again every second until interrupted.")] = False,
    config: options.Config = options.DEFAULT_CONFIG,
    as_json: options.Json = False,
) -> int:
    """Show the truth about the network: every hub and node, what is missing, and why."""
    import asyncio

    from spokewire.cli.context import Context

    context = Context(config, as_json=as_json)
    context.enter_lab()
    return asyncio.run(follow(context) if watch else run(context))


async def run(context: "Context", costs: "Costs | None" = None) -> int:
    """Look once, print, and return the exit status: 0 all connected, 3 in part, 1 nothing is."""
    from spokewire.cli.output import STYLES

    def make() -> "RenderableType":
        from spokewire.cli.tables import status_table

        return status_table(overview, context.output.out.console.width)

    overview = with_costs(await look(context), await find_costs(context) if costs is None else costs)
    context.output.result(overview.model_dump(mode="json"))
    context.output.show(make)
    context.output.say(f"{overview.network}: {overview.state}: {overview.reason}", STYLES[overview.state])
    return exit_status(overview)


async def look(context: "Context") -> "NetworkOverview":
    """Gather the evidence and judge it."""
    from spokewire.deploy.gather import gather

    return await gather(context.operator(), context.keeper.load_key() if context.keeper.has_key() else None)


async def find_costs(context: "Context") -> "Costs":
    """What each machine costs a month, where it costs something."""
    import asyncio

    operator = context.operator()
    if not operator.has_clouds:
        return {}
    return {name: float(price.monthly) for name, price in (await asyncio.to_thread(operator.find_costs)).items()}


def with_costs(overview: "NetworkOverview", costs: "Costs") -> "NetworkOverview":
    """The same network with what its machines cost."""
    if not costs:
        return overview
    hubs = [hub.model_copy(update={"monthly_usd": costs.get(hub.name)}) for hub in overview.hubs]
    nodes = [node.model_copy(update={"monthly_usd": costs.get(node.name)}) for node in overview.nodes]
    return overview.model_copy(update={"hubs": hubs, "nodes": nodes})


async def follow(context: "Context") -> int:
    """Look again and again."""
    import asyncio

    costs = await find_costs(context)
    if context.output.as_json or not context.output.out.is_terminal:
        while True:
            await run(context, costs)
            await asyncio.sleep(WATCH_INTERVAL_S)
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from spokewire.cli.output import STYLES, printable
    from spokewire.cli.tables import status_table

    console = context.output.out.console
    with Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            overview = with_costs(await look(context), costs)
            words = printable(f"{overview.network}: {overview.state}: {overview.reason}")
            # A table may be longer than the screen, which shows its beginning: what matters most stands there.
            head = Text(words, style=STYLES[overview.state])
            live.update(Group(head, status_table(overview, console.width)), refresh=True)
            await asyncio.sleep(WATCH_INTERVAL_S)


def exit_status(overview: "NetworkOverview | Explanation") -> int:
    """The exit status that tells the state of a network, or of a pair, to a script."""
    from spokewire.network.status import State

    match overview.state:
        case State.CONNECTED:
            return 0
        case State.DEGRADED:
            return 3
        case State.STARTING:
            return 75
        case State.DISCONNECTED:
            return 1
