"""`spokewire demo`: a whole network on this machine, deployed, shown, proved and removed."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spokewire.cli import options

if TYPE_CHECKING:
    from spokewire.cli.context import Context
    from spokewire.cli.output import Output

STAGE = "SPOKEWIRE_DEMO_STAGE"
PREFIX = "spokewire-demo-"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=options.example("spokewire demo"))(demo)


def demo(
    nodes: Annotated[int, typer.Option(help="How many nodes.", min=2, max=100)] = 3,
    as_json: options.Json = False,
) -> int:
    """Show everything on this machine: a hub and three nodes, each behind its own NAT, deployed, proved and removed. Nothing is left."""
    from spokewire.cli.output import Output

    output = Output(as_json=as_json)
    stage = os.environ.get(STAGE)
    if stage is not None:
        return asyncio.run(perform(Path(stage), output))
    return run(nodes, output)


def run(nodes: int, output: "Output") -> int:
    """Build the lab, perform inside it, and take it down, whatever happens in between."""
    import tempfile

    from spokewire.deploy.editor import LAB_NAT, TEMPLATE
    from spokewire.errors import Code, InputError
    from spokewire.host import clock, files, processes
    from spokewire.lab.world import find_world, start_world

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    begun = clock.monotonic()
    _sweep(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    lab = folder / ".spokewire/lab"
    try:
        spec = TEMPLATE.format(name="demo", provider="lab").replace("count = 3", f"count = {nodes}") + LAB_NAT
        files.write(folder / "spokewire.toml", spec)
        output.say(
            "1. A lab: namespaces on this machine that hold a small internet. Nothing of it appears in the host's network.",
            "bold",
        )
        world = start_world(lab, dies_with_us=True)
        argv = [sys.executable, "-m", "spokewire", "demo", *(["--json"] if output.as_json else [])]
        status = processes.call(world.enter(argv), {**world.environment(), STAGE: str(folder)})
    finally:
        world_now = find_world(lab)
        if world_now is not None:
            world_now.stop()
        files.remove_folder(folder)
    left = find_world(lab) is not None or folder.exists()
    if left:
        raise InputError(Code.LAB_FAILED, "The lab could not be removed.")
    output.say(
        f"Nothing is left: no process, interface, namespace or file. {clock.monotonic() - begun:.1f} s in all.",
        "green" if status == 0 else "red",
    )
    return status


def _sweep(folder: Path) -> None:
    """Remove what demos left that were killed: their labs died with them, their folders could not."""
    from spokewire.host import files, processes

    for left in folder.glob(f"{PREFIX}*-*"):
        pid = left.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and processes.start_time(int(pid)) is None and left.stat().st_uid == os.geteuid():
            files.remove_folder(left)


async def perform(folder: Path, output: "Output") -> int:
    """The demo itself, inside the lab."""
    from spokewire.cli import deploy, status, test
    from spokewire.cli.context import Context
    from spokewire.host import clock

    context = Context(folder / "spokewire.toml", as_json=output.as_json)
    context.output.kept = []
    begun = clock.monotonic()
    _announce(
        output,
        "2. Deploy: one hub with a public address, and nodes that only dial out, each behind its own port-restricted NAT router.",
    )
    deployed = await deploy.run(context, confirmed=True, timeout_s=deploy.TIMEOUT_S)
    _announce(
        output,
        "3. Status: a node is connected only if its echoes come back through the tunnel, now. A handshake alone counts for nothing.",
    )
    shown = await status.run(context)
    _announce(
        output,
        "4. Proof: every node speaks to every other over the overlay: UDP echoes, a TCP connection, 256 KiB with a checksum.",
    )
    proved = await test.run(context, bandwidth=False)
    elapsed_s = clock.monotonic() - begun
    output.say(f"From deploy to proof: {elapsed_s:.1f} s.")
    _announce(output, "5. Removal: every machine, then the lab itself.")
    removed = _remove(context)
    status_now = max(deployed, shown, proved, removed)
    results = dict(zip(("deploy", "status", "test"), context.output.kept, strict=True))
    output.result({"ok": status_now == 0, "deploy_to_proof_s": round(elapsed_s, 1), **results})
    return status_now


def _remove(context: "Context") -> int:
    operator = context.operator()
    for name in operator.observe_machines():
        operator.provider_of(name).destroy(name)
    return 1 if operator.observe_machines() else 0


def _announce(output: "Output", text: str) -> None:
    output.say("")
    output.say(text, "bold")
