"""`spokewire node health` and `spokewire hub health`: for a container's health check."""

from typing import Annotated

import typer

from spokewire.cli import options

HEALTHY, UNHEALTHY = 0, 1
"""What Docker's HEALTHCHECK knows."""


def register(node: typer.Typer, hub: typer.Typer) -> None:
    """Add the two commands to their nouns."""
    node.command("health", epilog=options.example("spokewire node health"))(ask_node)
    hub.command("health", epilog=options.example("spokewire hub health"))(ask_hub)


def ask_node(
    status_port: Annotated[
        int, typer.Option(envvar="SPOKEWIRE_STATUS_PORT", help="TCP port of the status server.", min=1, max=65535)
    ] = 8000,
) -> int:
    """Ask the node's agent on this machine whether echoes come back. Exit status 0 if they do, else 1: as a container's health check needs it."""
    return _ask(f"http://127.0.0.1:{status_port}/health")


def ask_hub(
    api_port: Annotated[
        int, typer.Option(envvar="SPOKEWIRE_API_PORT", help="TCP port of the API.", min=1, max=65535)
    ] = 443,
) -> int:
    """Ask the hub's daemon on this machine whether it answers. Exit status 0 if it does, else 1: as a container's health check needs it."""
    return _ask(f"https://127.0.0.1:{api_port}/healthz")


def _ask(url: str) -> int:
    from spokewire.api import local
    from spokewire.cli.output import Output

    answer = local.ask(url)
    Output(as_json=False).say(answer.words)
    return HEALTHY if answer.ok else UNHEALTHY
