"""`spokewire hub`: the hub's daemon."""

from pathlib import Path
from typing import Annotated

import typer

from spokewire.cli import options

app = typer.Typer(help="Run a hub.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Run a hub."""


@app.command(epilog=options.example("SPOKEWIRE_TOKEN=… spokewire hub run --public-address 203.0.113.1"))
def run(  # noqa: PLR0913, PLR0917 - one argument for each option
    public_address: Annotated[
        str,
        typer.Option(
            envvar="SPOKEWIRE_PUBLIC_ADDRESS", help="The IP address or name under which nodes reach this hub."
        ),
    ] = "",
    public_address6: Annotated[
        str,
        typer.Option(
            envvar="SPOKEWIRE_PUBLIC_ADDRESS6",
            help="The hub's IPv6 address, where --public-address is an IPv4 address and nodes without IPv4 shall reach it too.",
        ),
    ] = "",
    inside_address: Annotated[
        str,
        typer.Option(
            envvar="SPOKEWIRE_INSIDE_ADDRESS",
            help="The address of this machine's own at which packets to --public-address arrive, where a router before it translates them.",
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
    network: options.Network = None,
    api_port: Annotated[
        int, typer.Option(envvar="SPOKEWIRE_API_PORT", help="TCP port of the API.", min=1, max=65535)
    ] = 443,
    log_level: Annotated[
        str, typer.Option(envvar="SPOKEWIRE_LOG_LEVEL", help="debug, info, warning or error.")
    ] = "info",
    config: options.DaemonConfig = None,
    as_json: options.JsonLines = False,
) -> None:
    """Run the hub's daemon in the foreground until SIGTERM or SIGINT. The token comes in SPOKEWIRE_TOKEN at first start, and is kept."""
    from spokewire.cli.daemon import begin
    from spokewire.cli.launch import become_daemon
    from spokewire.errors import Code, Fault, InputError

    faults = [
        Fault("--open-ports", repr(word), '"tcp/22" or "udp/123"') for word in open_ports.split() if not _is_port(word)
    ]
    if not public_address:
        faults.append(Fault("--public-address", "missing", "the IP address or name under which nodes reach this hub"))
    if inside_address and not _is_ip(inside_address):
        faults.append(Fault("--inside-address", repr(inside_address), 'an IP address such as "10.19.0.5"'))
    if public_address6 and not _is_ipv6(public_address6):
        faults.append(Fault("--public-address6", repr(public_address6), 'an IPv6 address such as "2001:db8::1"'))
    if faults:
        raise InputError(Code.REQUEST_INVALID, "The hub cannot be started like this.", faults=faults)
    network = begin(log_level, as_json=as_json, config=config, network=network, state_folder=state_dir)
    become_daemon(
        "hub",
        log_level,
        as_json=as_json,
        public_address=public_address,
        public_address6=public_address6 or None,
        inside_address=inside_address or None,
        state_folder=str(state_dir),
        network=network,
        api_port=api_port,
        open_ports=open_ports.split(),
    )


def _is_ip(text: str) -> bool:
    from ipaddress import ip_address

    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    from ipaddress import IPv6Address

    try:
        return IPv6Address(text).scope_id is None
    except ValueError:
        return False


def _is_port(word: str) -> bool:
    protocol, _, port = word.partition("/")
    return protocol in ("tcp", "udp") and port.isdigit() and 0 < int(port) < 65536  # noqa: PLR2004
