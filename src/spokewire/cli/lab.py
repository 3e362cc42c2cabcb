"""`spokewire lab`: the machines of the lab, and trying outages with them."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spokewire.cli import options

if TYPE_CHECKING:
    from rich.table import Table

    from spokewire.cli.context import Context
    from spokewire.lab.machine import LabMachine, Machines

app = typer.Typer(help="Look into the lab, and break it.", no_args_is_help=True, rich_markup_mode=None)

Machine = Annotated[str, typer.Argument(help="The machine's name.", metavar="MACHINE")]


@app.command("list", epilog=options.example("spokewire lab list"))
def list_machines(config: options.Config = options.DEFAULT_CONFIG, as_json: options.Json = False) -> None:
    """List the lab's machines."""
    from dataclasses import asdict

    context, machines = _open(config, as_json=as_json)
    found = machines.observe()
    context.output.result(
        [
            {
                "name": m.name,
                "role": m.role,
                "nat": m.wiring.nat,
                "public_address": str(m.wiring.public_address),
                "power": "on" if m.pid is not None else "off",
                "link": asdict(m.fault),
            }
            for m in found
        ]
    )
    context.output.show(lambda: _table(found))


@app.command(
    "exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog=options.example(
        "spokewire lab exec node-1 -- wg show",
        "spokewire lab exec node-1 -- ping -c 3 10.88.0.12",
        "spokewire lab exec --json node-1 -- ip -brief addr",
    ),
)
def exec_command(
    machine: Machine,
    command: Annotated[list[str], typer.Argument(help="The command, after --.", metavar="COMMAND…")],
    config: options.Config = options.DEFAULT_CONFIG,
    as_json: options.Json = False,
) -> int:
    """Run a command inside a machine; its exit status is ours."""
    import os

    from spokewire.host import processes

    context, machines = _open(config, as_json=as_json)
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    argv = machines.enter(machines.find(machine), command)
    environment = {**os.environ, "PATH": path}
    if not as_json:
        return processes.call(argv, environment)
    done = processes.capture(argv, environment)
    context.output.result({"machine": machine, "status": done.status, "stdout": done.stdout, "stderr": done.stderr})
    return done.status


@app.command(epilog=options.example("spokewire lab logs node-1", "spokewire lab logs hub-1 --follow"))
def logs(
    machine: Machine,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    config: options.Config = options.DEFAULT_CONFIG,
    as_json: options.Json = False,
) -> int:
    """Print what a machine's daemon wrote."""
    from spokewire.host import files, processes

    context, machines = _open(config, as_json=as_json)
    path = machines.log_path(machines.find(machine))
    if follow and not as_json:
        return processes.call(["tail", "-n", "+1", "-F", str(path)])
    if follow:
        for line in processes.lines(["tail", "-n", "+1", "-F", str(path)]):
            context.output.raw(json.dumps({"machine": machine, "line": line}) + "\n")
        return 1
    text = files.read(path) or ""
    context.output.result({"machine": machine, "lines": text.splitlines()})
    if not as_json:
        context.output.raw(text)
    return 0


@app.command(epilog=options.example("spokewire lab kill node-1"))
def kill(machine: Machine, config: options.Config = options.DEFAULT_CONFIG, as_json: options.Json = False) -> None:
    """Cut a machine's power: every process of it is gone at once."""
    context, machines = _open(config, as_json=as_json)
    with context.changing():
        machines.kill(machines.find(machine))
    _done(context, machine, "is switched off")


@app.command(epilog=options.example("spokewire lab restart node-1"))
def restart(machine: Machine, config: options.Config = options.DEFAULT_CONFIG, as_json: options.Json = False) -> None:
    """Boot a machine again, with its disk as it was."""
    context, machines = _open(config, as_json=as_json)
    with context.changing():
        machines.restart(machines.find(machine))
    _done(context, machine, "boots")


@app.command(
    epilog=options.example(
        "spokewire lab link node-1 down",
        "spokewire lab link node-1 loss=5% rate=10mbit",
        "spokewire lab link node-1 up",
    )
)
def link(
    machine: Machine,
    words: Annotated[
        list[str],
        typer.Argument(
            help="up (mends everything), down, loss=5%, rate=10mbit, mtu=1280; several at once.", metavar="FAULT…"
        ),
    ],
    config: options.Config = options.DEFAULT_CONFIG,
    as_json: options.Json = False,
) -> None:
    """Break or mend a machine's uplink."""
    from spokewire.lab.plan import parse_fault

    context, machines = _open(config, as_json=as_json)
    with context.changing():
        found = machines.find(machine)
        fault = parse_fault(tuple(words), found.fault)
        machines.set_fault(found, fault)
    _done(context, machine, f"has an uplink that is {fault.describe()}")


@app.command(epilog=options.example("spokewire lab add bare-1 --nat symmetric"))
def add(
    machine: Machine,
    nat: Annotated[
        str, typer.Option(help="none, full-cone, port-restricted, symmetric or udp-blocked.")
    ] = "port-restricted",
    config: options.Config = options.DEFAULT_CONFIG,
    as_json: options.Json = False,
) -> None:
    """Add a bare machine to the lab: a host of your own, with nothing of ours running."""
    from spokewire.errors import Code, InputError
    from spokewire.network.names import MACHINE_NAME_RULE, MachineName, is_machine_name
    from spokewire.network.spec import Nat

    if nat not in set(Nat):
        raise InputError(
            Code.REQUEST_INVALID, f"There is no NAT called {nat!r}.", hint="Choose one of: " + ", ".join(Nat) + "."
        )
    if not is_machine_name(machine):
        raise InputError(
            Code.REQUEST_INVALID, f"{machine!r} is no machine's name.", hint=f"A name has {MACHINE_NAME_RULE}."
        )
    context, machines = _open(config, as_json=as_json)
    with context.changing():
        if any(known.name == machine for known in machines.observe()):
            raise InputError(Code.REQUEST_INVALID, f"The lab has a machine called {machine} already.")
        machines.create(MachineName(machine), "bare", Nat(nat), None)
    _done(context, machine, "boots, bare")


@app.command(epilog=options.example("spokewire lab remove bare-1"))
def remove(machine: Machine, config: options.Config = options.DEFAULT_CONFIG, as_json: options.Json = False) -> None:
    """Remove a bare machine from the lab."""
    from spokewire.errors import Code, InputError

    context, machines = _open(config, as_json=as_json)
    with context.changing():
        found = machines.find(machine)
        if found.role != "bare":
            raise InputError(
                Code.REQUEST_INVALID,
                f"{machine} belongs to the network.",
                hint=f"Run: spokewire node remove {machine}.",
            )
        machines.destroy(found)
    _done(context, machine, "is gone")


def _open(config: Path, *, as_json: bool) -> "tuple[Context, Machines]":
    from spokewire.cli.context import Context
    from spokewire.errors import Code, InputError
    from spokewire.lab.machine import Machines
    from spokewire.lab.world import find_world

    context = Context(config, as_json=as_json)
    world = find_world(context.lab_folder)
    if world is None:
        _ = context.spec
        raise InputError(Code.NOT_DEPLOYED, "No lab of this network is running.", hint="Run: spokewire deploy.")
    return context, Machines(world)


def _table(found: "list[LabMachine]") -> "Table":
    from rich.table import Table

    table = Table(
        "machine", "role", "nat", "public address", "power", "link", box=None, header_style="bold", padding=(0, 2, 0, 0)
    )
    for m in found:
        address, power = str(m.wiring.public_address), "on" if m.pid is not None else "off"
        table.add_row(m.name, m.role, m.wiring.nat, address, power, m.fault.describe())
    return table


def _done(context: "Context", machine: str, what: str) -> None:
    context.output.result({"machine": machine, "result": what})
    context.output.say(f"{machine} {what}.")
