"""`spokewire demo`: a whole network on this machine, deployed, shown, proved and removed."""

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
    from spokewire.lab.machine import Machines
    from spokewire.network.spec import NetworkSpec

STAGE = "SPOKEWIRE_DEMO_STAGE"
PREFIX = "spokewire-demo-"
NODES = 3
HUBS = 2
MOST_HUBS = 10
SETTLES_S = 10.0
"""For so long the ends of a pair may disagree about their path."""
FEWEST = 2
"""A proof needs a pair."""

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="A spec to perform; its folder is not touched.", metavar="PATH", show_default="built in"
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=options.example(
            "spokewire demo", "spokewire demo --nodes 5 --json", "spokewire demo --config spokewire.toml"
        )
    )(demo)


def demo(
    nodes: Annotated[
        int | None, typer.Option(help="How many nodes.", min=FEWEST, max=100, show_default=str(NODES))
    ] = None,
    hubs: Annotated[
        int | None,
        typer.Option(
            help="How many hubs; with several one is killed on stage.", min=1, max=MOST_HUBS, show_default=str(HUBS)
        ),
    ] = None,
    config: Config = None,
    as_json: options.Json = False,
) -> int:
    """Show everything on this machine: a hub and three nodes, each behind its own NAT, deployed, proved and removed. Nothing is left."""
    from spokewire.cli.output import Output

    output = Output(as_json=as_json)
    stage = os.environ.get(STAGE)
    if stage is not None:
        import asyncio

        return asyncio.run(perform(Path(stage), output))
    return run(_choose_spec(nodes, hubs, config), output)


def run(spec: str, output: "Output") -> int:
    """Build the lab, perform inside it, and take it down, whatever happens in between."""
    import tempfile

    from spokewire.errors import Code, PermanentError
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
        raise PermanentError(Code.LAB_FAILED, "The lab could not be removed.")
    output.say(
        f"Nothing is left: no process, interface, namespace or file. {clock.monotonic() - begun:.1f} s in all.",
        "green" if status == 0 else "red",
    )
    return status


def _choose_spec(nodes: int | None, hubs: int | None, config: Path | None) -> str:
    """The text of the spec to perform: a copy of the given one, whose folder is never touched, or the built-in one."""
    from spokewire.deploy.editor import LAB_NAT, TEMPLATE, load_spec
    from spokewire.errors import Code, Fault, InputError
    from spokewire.host import files

    if config is None:
        more = "".join(f'[[hubs]]\nname = "hub-{n}"\nprovider = "lab"\n\n' for n in range(2, (hubs or HUBS) + 1))
        text = TEMPLATE.format(name="demo", provider="lab").replace("count = 3", f"count = {nodes or NODES}")
        return text.replace("[[nodes]]", f"{more}[[nodes]]") + LAB_NAT
    if nodes is not None or hubs is not None:
        raise InputError(
            Code.REQUEST_INVALID,
            "A spec says itself how many nodes and hubs there are.",
            hint="Give --nodes and --hubs, or --config.",
        )
    path = config.absolute()
    spec = load_spec(path)
    faults = [
        Fault(machine.name, f"is of provider {machine.provider}", 'provider = "lab"')
        for machine in spec.machines
        if machine.provider != "lab"
    ]
    if len(spec.nodes) < FEWEST:
        faults.append(Fault("nodes", f"{len(spec.nodes)} in all", "at least two, to prove traffic between"))
    if faults:
        raise InputError(
            Code.REQUEST_INVALID,
            f"{config} cannot be performed as a demo: that happens on this machine alone.",
            hint="Name a spec whose machines are all of provider lab, or leave --config out for the built-in one.",
            faults=faults,
        )
    return files.read(path) or ""


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
        f"2. Deploy: {_describe(context.spec)}.",
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
    _announce(
        output,
        "5. What the hub sees: one node tells another a sentence, and all that passes the hub meanwhile is searched for it.",
    )
    kept = context.output.kept
    seen, watched = await _watch(context) if proved == 0 else (None, 1)
    lost, survived = None, 0
    if len(context.spec.hubs) > 1 and proved == 0:
        _announce(
            output, "6. A hub dies: its power is cut while one node speaks to another through it, fifty times a second."
        )
        lost, survived = await _kill(context)
    last = 7 if lost is not None else 6
    _announce(output, f"{last}. Removal: every machine, then the lab itself.")
    status_now = max(deployed, shown, proved, watched, survived, _remove(context))
    results = dict(zip(("deploy", "status", "test"), kept, strict=True))
    shares = {"hub_watch": seen, "hub_death": lost}
    output.result({"ok": status_now == 0, "deploy_to_proof_s": round(elapsed_s, 1), **results, **shares})
    return status_now


async def _watch(context: "Context") -> tuple[dict[str, int], int]:
    """Look for plaintext at the hub; what was seen, and the exit status: in a sealed network it must see none."""
    from spokewire.lab.watch import TIMES, watch_hub
    from spokewire.network.relays import Relay

    spec, output = context.spec, context.output
    cast = await _find_cast(context)
    source, target, hub = cast["source"], cast["target"], cast["hub"]
    found = await watch_hub(_machines(context), **cast)
    at_hub, at_target = found.at_hub, found.at_target
    output.say(f"{source} told {target} a sentence {TIMES} times; {target} read it {at_target.seen} times.")
    looked = at_hub.packets > TIMES and at_target.seen >= TIMES / 2
    if at_hub.seen:
        text = f'{hub} saw it {at_hub.seen} times in {at_hub.packets} packets: relay = "routed" lets it decrypt.'
    else:
        text = f"{hub} passed {at_hub.packets} packets, and none of them showed it: it saw only ciphertext, for which it has no key."
    is_right = looked and (at_hub.seen == 0) == (spec.relay is Relay.SEALED)
    output.say(text, "green" if is_right else "red")
    return {"packets": at_hub.packets, "seen": at_hub.seen, "read": at_target.seen}, 0 if is_right else 1


async def _kill(context: "Context") -> tuple[dict[str, float], int]:
    """Kill the hub that carries the first pair; how long nothing got through, and the exit status: at the end it must flow again."""
    from spokewire.lab.watch import FLOW_SPACING_S, FLOW_TIMES, watch_death

    cast = await _find_cast(context)
    seen = await watch_death(_machines(context), **cast)
    flows = seen.seen * FLOW_SPACING_S > FLOW_TIMES * FLOW_SPACING_S / 2
    words = f"{cast['hub']} is dead. {cast['target']} read {seen.seen} of {FLOW_TIMES} sentences"
    if flows:
        context.output.say(
            f"{words}: for {seen.longest_s:.1f} s none arrived, then they came through another hub.", "green"
        )
    else:
        context.output.say(f"{words}: no other hub took over.", "red")
    return {"sent": FLOW_TIMES, "read": seen.seen, "longest_s": round(seen.longest_s, 2)}, 0 if flows else 1


async def _find_cast(context: "Context") -> dict[str, str]:
    """The first two nodes, and the hub that their packets go through: waits until both send through the same one, for at most SETTLES_S."""
    import asyncio

    from spokewire.cli import status
    from spokewire.host import clock

    names = [str(node.name) for node in context.spec.nodes[:2]]
    deadline = clock.monotonic() + SETTLES_S
    while True:
        nodes = {node.name: node for node in (await status.look(context)).nodes if node.name in names}
        paths = {peer.path for node in nodes.values() for peer in node.peers if peer.name in names}
        hub = next((hub.name for hub in context.spec.hubs if paths == {f"via {hub.name}"}), None)
        if hub is not None or clock.monotonic() > deadline:
            source, target = (nodes[name] for name in names)
            hub = hub or context.spec.hubs[0].name
            return {"hub": hub, "source": source.name, "target": target.name, "address": target.overlay_ip or ""}
        await asyncio.sleep(0.25)


def _machines(context: "Context") -> "Machines":
    from spokewire.lab.machine import Machines
    from spokewire.lab.world import find_world

    world = find_world(context.lab_folder)
    assert world is not None
    return Machines(world)


def _describe(spec: "NetworkSpec") -> str:
    """What is deployed, in words."""
    hubs = "one hub with a public address" if len(spec.hubs) == 1 else f"{len(spec.hubs)} hubs with public addresses"
    kinds = {node.nat for node in spec.nodes}
    if kinds == {"none"}:
        return f"{hubs}, and nodes that only dial out"
    routers = f"its own {kinds.pop()} NAT router" if len(kinds) == 1 else "a NAT router of the kind that the spec says"
    return f"{hubs}, and nodes that only dial out, each behind {routers}"


def _remove(context: "Context") -> int:
    operator = context.operator()
    for name in operator.observe_machines():
        operator.provider_of(name).destroy(name)
    return 1 if operator.observe_machines() else 0


def _announce(output: "Output", text: str) -> None:
    output.say("")
    output.say(text, "bold")
