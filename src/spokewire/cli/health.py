"""`spokewire node health` and `spokewire hub health`: for a container's health check."""

from pathlib import Path
from typing import Annotated

import typer

from spokewire.cli import options

HEALTHY, UNHEALTHY = 0, 1
"""What Docker's HEALTHCHECK knows."""


def register(node: typer.Typer, hub: typer.Typer) -> None:
    """Add the two commands to their nouns."""
    node.command("health", epilog=options.example("spokewire node health", "spokewire node health --json"))(ask_node)
    hub.command("health", epilog=options.example("spokewire hub health", "spokewire hub health --json"))(ask_hub)


def ask_node(
    status_port: Annotated[
        int, typer.Option(envvar="SPOKEWIRE_STATUS_PORT", help="TCP port of the status server.", min=1, max=65535)
    ] = 8000,
    config: options.OptionalConfig = None,
    as_json: options.Json = False,
) -> int:
    """Ask the node's agent on this machine whether echoes come back. Exit status 0 if they do, else 1: as a container's health check needs it."""
    return _ask(f"http://127.0.0.1:{status_port}/health", config, as_json=as_json)


def ask_hub(
    api_port: Annotated[
        int, typer.Option(envvar="SPOKEWIRE_API_PORT", help="TCP port of the API.", min=1, max=65535)
    ] = 443,
    config: options.OptionalConfig = None,
    as_json: options.Json = False,
) -> int:
    """Ask the hub's daemon on this machine whether it answers. Exit status 0 if it does, else 1: as a container's health check needs it."""
    return _ask(f"https://127.0.0.1:{api_port}/healthz", config, as_json=as_json)


def _ask(url: str, config: Path | None, *, as_json: bool) -> int:
    """Ask. A spec is not needed; one that is given must be right, as everywhere."""
    from spokewire.api import local
    from spokewire.cli.output import Output

    if config is not None:
        from spokewire.deploy.editor import load_spec

        load_spec(config)
    answer = local.ask(url)
    output = Output(as_json=as_json)
    output.result({"healthy": answer.ok, "words": answer.words})
    output.say(answer.words)
    return HEALTHY if answer.ok else UNHEALTHY
