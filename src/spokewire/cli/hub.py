"""`spokewire hub`: the hub's daemon."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from spokewire.cli import options

app = typer.Typer(help="Run a hub.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Run a hub."""


@app.command(epilog=options.example("SPOKEWIRE_TOKEN=… spokewire hub run --public-address 203.0.113.1"))
def run(
    public_address: Annotated[
        str,
        typer.Option(
            envvar="SPOKEWIRE_PUBLIC_ADDRESS", help="The IP address or name under which nodes reach this hub."
        ),
    ] = "",
    open_ports: Annotated[
        str,
        typer.Option(
            envvar="SPOKEWIRE_OPEN_PORTS",
            help='Ports that the firewall leaves open beside the hub\'s own, such as "tcp/22 udp/123".',
        ),
    ] = "",
    state_dir: Annotated[
        Path, typer.Option(envvar="SPOKEWIRE_STATE_DIR", help="Where keys and documents are kept.")
    ] = Path("/var/lib/spokewire"),
    network: Annotated[str | None, typer.Option(help="Which network, if this machine belongs to several.")] = None,
    api_port: Annotated[
        int, typer.Option(envvar="SPOKEWIRE_API_PORT", help="TCP port of the API.", min=1, max=65535)
    ] = 443,
    log_level: Annotated[
        str, typer.Option(envvar="SPOKEWIRE_LOG_LEVEL", help="debug, info, warning or error.")
    ] = "info",
) -> None:
    """Run the hub's daemon in the foreground until SIGTERM or SIGINT. The token comes in SPOKEWIRE_TOKEN at first start, and is kept."""
    from spokewire.errors import Code, Fault, InputError
    from spokewire.host import logs
    from spokewire.hub import main

    faults = [
        Fault("--open-ports", repr(word), '"tcp/22" or "udp/123"') for word in open_ports.split() if not _is_port(word)
    ]
    if not public_address:
        faults.append(Fault("--public-address", "missing", "the IP address or name under which nodes reach this hub"))
    if faults:
        raise InputError(Code.REQUEST_INVALID, "The hub cannot be started like this.", faults=faults)
    logs.configure(log_level)
    token = os.environ.pop("SPOKEWIRE_TOKEN", None) or None
    asyncio.run(
        main.run(
            main.Settings(
                public_address=public_address,
                state_folder=state_dir,
                token=token,
                network=network,
                api_port=api_port,
                open_ports=tuple(open_ports.split()),
            )
        )
    )


def _is_port(word: str) -> bool:
    protocol, _, port = word.partition("/")
    return protocol in ("tcp", "udp") and port.isdigit() and 0 < int(port) < 65536  # noqa: PLR2004
