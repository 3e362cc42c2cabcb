"""`spokewire node`: the node's agent, and the nodes of a network."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spokewire.cli import options

if TYPE_CHECKING:
    from rich.table import Table

    from spokewire.cli.context import Context
    from spokewire.network.names import MachineName
    from spokewire.network.spec import MachineSpec

app = typer.Typer(help="Run a node, or manage the nodes of a network.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="The node's name.", metavar="NAME")]
Provider = Annotated[str, typer.Option(help="Who makes it: lab, phala, or host (your own).")]


@app.command(epilog=options.example("SPOKEWIRE_TOKEN=… spokewire node run"))
def run(  # noqa: PLR0913, PLR0917 - one argument for each option
    state_dir: Annotated[
        Path, typer.Option(envvar="SPOKEWIRE_STATE_DIR", help="Where keys and documents are kept.")
    ] = Path("/var/lib/spokewire"),
    network: options.Network = None,
    token_file: Annotated[
        Path | None,
        typer.Option(envvar="SPOKEWIRE_TOKEN_FILE", help="A file that holds the token, instead of SPOKEWIRE_TOKEN."),
    ] = None,
    root_key: Annotated[
        str | None,
        typer.Option(envvar="SPOKEWIRE_ROOT_KEY", help="Take no token but of the network with this root public key."),
    ] = None,
    status_port: Annotated[
        int, typer.Option(envvar="SPOKEWIRE_STATUS_PORT", help="TCP port of the status server.", min=1, max=65535)
    ] = 8000,
    log_level: Annotated[
        str, typer.Option(envvar="SPOKEWIRE_LOG_LEVEL", help="debug, info, warning or error.")
    ] = "info",
    config: options.DaemonConfig = None,
    as_json: options.JsonLines = False,
) -> None:
    """Run the node's agent in the foreground until SIGTERM or SIGINT. The token comes in SPOKEWIRE_TOKEN at first start, and is kept."""
    from spokewire.cli.daemon import begin
    from spokewire.cli.launch import become_daemon

    network = begin(log_level, as_json=as_json, config=config, network=network, state_folder=state_dir)
    become_daemon(
        "node",
        log_level,
        as_json=as_json,
        state_folder=str(state_dir),
        network=network,
        status_port=status_port,
        root_key=root_key or None,
        token_file=None if token_file is None else str(token_file),
    )


@app.command("list", epilog=options.example("spokewire node list", "spokewire node list --json"))
def list_nodes(config: options.Config = options.DEFAULT_CONFIG, as_json: options.Json = False) -> None:
    """List the nodes that the spec wants, with their addresses."""
    from spokewire.cli.context import Context

    context = Context(config, as_json=as_json)
    numbers = _numbers(context)
    rows = [(node, str(context.spec.cidr[numbers[node.name]])) for node in context.spec.nodes]
    context.output.result(
        [
            {"name": n.name, "overlay_ip": ip, "provider": n.provider, "nat": n.nat, "tags": list(n.tags)}
            for n, ip in rows
        ]
    )
    context.output.show(lambda: _table(rows))


@app.command(
    epilog=options.example(
        "spokewire node add build-1",
        "spokewire node add laptop --provider host",
        "spokewire node add shop-4 --provider phala",
    )
)
def add(
    name: Name,
    provider: Provider = "lab",
    nat: Annotated[
        str | None, typer.Option(help="Lab only: none, full-cone, port-restricted, symmetric or udp-blocked.")
    ] = None,
    config: options.Config = options.DEFAULT_CONFIG,
    as_json: options.Json = False,
) -> None:
    """Add a node to the spec. `spokewire deploy` then makes it. One on Phala is made as the spec's first node there."""
    from spokewire.cli.context import Context
    from spokewire.deploy.editor import add_node
    from spokewire.network.spec import ProviderName

    context = Context(config, as_json=as_json)
    _ = context.spec
    add_node(context.path, name, provider, nat)
    context.reload()
    context.output.result({"added": name})
    then = (
        f"spokewire node token {name}" if context.spec.find(name).provider is ProviderName.HOST else "spokewire deploy"
    )
    context.output.say(f"Added {name} to {config}. Next: {then}")


@app.command(epilog=options.example("spokewire node remove node-2"))
def remove(
    name: Name,
    config: options.Config = options.DEFAULT_CONFIG,
    as_json: options.Json = False,
) -> int:
    """Remove a node from the spec and from the network: it loses access everywhere at once, and for good."""
    import asyncio

    from spokewire.cli.context import Context
    from spokewire.deploy.editor import remove_node
    from spokewire.errors import Code, InputError
    from spokewire.network.names import MachineName

    context = Context(config, as_json=as_json)
    machine = _find_removable(context, name)
    if machine is not None and machine.role == "hub":
        raise InputError(
            Code.REQUEST_INVALID, f"{name} is a hub.", hint="Remove its table from the spec and run spokewire deploy."
        )
    context.enter_lab()
    with context.changing():
        if machine is not None:
            remove_node(context.path, name)
            context.reload()
        return asyncio.run(_remove(context, MachineName(name)))


@app.command(
    epilog=options.example(
        "spokewire node token laptop", "SPOKEWIRE_TOKEN=$(spokewire node token laptop) spokewire node run"
    )
)
def token(
    name: Name,
    days: Annotated[int, typer.Option(help="How long the token is valid.", min=1, max=36500)] = 3650,
    config: options.Config = options.DEFAULT_CONFIG,
    as_json: options.Json = False,
) -> None:
    """Mint a token: all that a machine needs to join. Secret: whoever has it is the machine. Needs no hub."""
    from spokewire.cli.context import Context

    context = Context(config, as_json=as_json)
    _ = context.spec
    with context.changing():
        machine = _find_or_add(context, name)
        text = _mint(context, machine, days)
    context.output.result({"name": name, "token": text})
    if not as_json:
        context.output.raw(text + "\n")


@app.command(epilog=options.example("spokewire node export phone > phone.conf"))
def export(name: Name, config: options.Config = options.DEFAULT_CONFIG, as_json: options.Json = False) -> int:
    """Print a wg-quick file for a stock WireGuard client. Its key is made on the spot and kept nowhere else. Secret."""
    import asyncio

    from spokewire.cli.context import Context
    from spokewire.deploy.export import export_node
    from spokewire.errors import Code, InputError
    from spokewire.network.spec import ProviderName

    context = Context(config, as_json=as_json)
    _ = context.spec
    context.keeper.load_key()
    if any(m.name == name and m.provider is not ProviderName.HOST for m in context.spec.machines):
        raise InputError(
            Code.REQUEST_INVALID,
            f"{name} is a machine that runs the agent.",
            hint="Choose another name for the stock client.",
        )
    context.enter_lab()
    with context.changing():
        machine = _find_or_add(context, name)
        text = asyncio.run(export_node(context.operator(), machine, _numbers(context)[machine.name]))
    context.output.result({"name": name, "wg_quick": text})
    if not as_json:
        context.output.raw(text)
    return 0


def _table(rows: "list[tuple[MachineSpec, str]]") -> "Table":
    from rich.table import Table

    table = Table("node", "address", "provider", "nat", "tags", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for node, ip in rows:
        table.add_row(node.name, ip, node.provider, node.nat, " ".join(node.tags))
    return table


REMOVAL_TIMEOUT_S = 20.0
"""How long a hub may take to answer before the removal goes on without it."""


async def _remove(context: "Context", name: "MachineName") -> int:
    """Revoke a node's grant on every hub and remove its machine; 3 if a hub could not be told."""
    from spokewire.deploy.apply import Deployment
    from spokewire.deploy.plan import plan_removal

    operator = context.operator()
    if not context.keeper.has_key():
        context.output.result({"removed": name, "revoked": True, "missing": []})
        context.output.say(f"Removed {name} from the spec. Nothing was deployed.")
        return 0
    observed = await operator.observe()
    with context.output.progress() as progress:
        deployment = Deployment(operator, plan_removal(name), observed, context.keeper.load_key(), progress)
        outcome = await deployment.remove(REMOVAL_TIMEOUT_S)
    failed = [{"name": machine, "reason": error.message} for machine, error in outcome.failed.items()]
    context.output.result({"removed": name, "revoked": not failed, "missing": failed})
    for item in failed:
        context.output.say(f"{item['name']}: {item['reason'].rstrip('.')}.", "yellow")
    if failed:
        context.output.say(
            f"{name} is out of the spec, but not every hub knows: run spokewire deploy when they answer.", "red"
        )
        return 3
    context.output.say(f"{name} is removed and revoked.", "green")
    return 0


def _find_or_add(context: "Context", name: str) -> "MachineSpec":
    """The wanted machine; a name that is new becomes a host of the user's own in the spec."""
    from spokewire.deploy.editor import add_node

    if not any(machine.name == name for machine in context.spec.machines):
        add_node(context.path, name, "host", None)
        context.reload()
        context.output.note(f"Added {name} to {context.path.name} as a host of your own.")
    return context.spec.find(name)


def _find_removable(context: "Context", name: str) -> "MachineSpec | None":
    """The wanted machine of that name; None if only a leftover has it; InputError if nobody has."""
    from spokewire.network.names import MachineName

    for machine in context.spec.machines:
        if machine.name == name:
            return machine
    operator = context.operator()
    if MachineName(name) in operator.observe_machines() or MachineName(name) in context.keeper.load_state().grants:
        return None
    return context.spec.find(name)


def _numbers(context: "Context") -> dict[str, int]:
    from spokewire.deploy.plan import plan_numbers
    from spokewire.network.addresses import AddressPlan, derive_ula
    from spokewire.network.names import NetworkId

    plan = AddressPlan(context.spec.cidr, derive_ula(NetworkId("")))
    return {
        str(name): number
        for name, number in plan_numbers(context.spec, plan, context.keeper.load_state().grants).items()
    }


def _mint(context: "Context", machine: "MachineSpec", days: int) -> str:
    from dataclasses import replace

    from spokewire.deploy.keeper import make_token, mint

    root = context.keeper.load_or_make_key()
    state = context.keeper.load_state()
    text, key = mint(context.spec, machine, _numbers(context)[machine.name], root, days=days)
    context.keeper.store_state(replace(state, grant_texts=state.grant_texts | {machine.name: text}))
    operator = context.operator()
    urls = list(operator.all_hub_urls(operator.observe_machines()).values()) if machine.role == "node" else []
    return make_token(root, text, key, urls)
