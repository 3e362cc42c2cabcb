"""`spokewire test`: the proof."""

from typing import TYPE_CHECKING, Annotated

import typer

from spokewire.cli import options

if TYPE_CHECKING:
    from rich.table import Table

    from spokewire.cli.context import Context


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=options.example("spokewire test", "spokewire test --bandwidth", "spokewire test --json"))(test)


def test(
    bandwidth: Annotated[bool, typer.Option("--bandwidth", help="Measure Mbit/s too, one pair at a time.")] = False,
    config: options.Config = options.DEFAULT_CONFIG,
    as_json: options.Json = False,
) -> int:
    """Prove the network with real traffic: every node speaks to every other over the overlay, UDP and TCP, with checksums."""
    import asyncio

    from spokewire.cli.context import Context

    context = Context(config, as_json=as_json)
    context.enter_lab()
    return asyncio.run(run(context, bandwidth=bandwidth))


async def run(context: "Context", *, bandwidth: bool) -> int:
    """Prove, print the matrix, and return the exit status: 0 all pairs, 3 all pairs of those that joined, 1 not."""
    from spokewire.deploy.prove import prove

    def make() -> "Table":
        from spokewire.cli.tables import proof_table

        return proof_table(verdict.pairs)

    operator, root = context.operator(), context.keeper.load_key()
    with context.output.progress() as progress:
        verdict = await prove(operator, root, bandwidth=bandwidth, progress=lambda text: progress("proof", text))
    context.output.result(
        {
            "ok": verdict.ok,
            "pairs": [
                {"from": pair.source, "to": pair.target}
                | {"path": pair.path or None}
                | pair.model_dump(include={"rtt_ms", "udp_loss_pct", "tcp_ok", "checksum_ok"})
                | ({} if pair.mbits is None else {"mbits": round(pair.mbits, 1)})
                | ({"error": pair.error} if pair.error else {})
                for pair in verdict.pairs
            ],
        }
    )
    context.output.show(make)
    paths = {pair.path for pair in verdict.pairs}
    if len(context.spec.hubs) > 1 and len(paths) == 1 and "" not in paths:
        context.output.say(f"Every pair goes {paths.pop()}.")
    for pair in verdict.pairs:
        if pair.error:
            context.output.say(f"{pair.source} to {pair.target}: {pair.error}", "red")
    proved = sum(pair.ok for pair in verdict.pairs)
    context.output.say(
        f"{proved} of {len(verdict.pairs)} pairs proved their traffic: UDP echo, TCP, checksum.",
        "green" if verdict.ok else "red",
    )
    if not verdict.ok:
        return 1
    tested = {pair.source for pair in verdict.pairs}
    absent = [node.name for node in context.spec.nodes if node.name not in tested]
    if absent:
        context.output.say(f"Not tested, because they have not joined or run no agent: {', '.join(absent)}.", "yellow")
    return 3 if absent else 0
