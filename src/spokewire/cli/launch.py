"""A daemon starts in two steps: the first parses the command line; the second takes its place and never loads it, 4 MB of each agent.

In its place means execve(2): process id, command line and environment stay as the supervisor gave them.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, Literal

from spokewire.host.processes import replace_self

PARSED = "SPOKEWIRE_PARSED"
"""In the environment of the second step: what the first one understood, as JSON. No secret is in it."""


def become_daemon(role: Literal["hub", "node"], log_level: str, *, as_json: bool, **settings: object) -> None:
    """Become the daemon with these settings, by the names that its `Settings` have; does not return."""
    parsed = json.dumps({"role": role, "log_level": log_level, "as_json": as_json, "settings": settings})
    replace_self([sys.executable, *sys.orig_argv[1:]], {**os.environ, PARSED: parsed})


def is_daemon() -> bool:
    """Whether this process is the second step."""
    return PARSED in os.environ


def run_daemon() -> None:
    """Run the daemon that this process became, until it is told to stop."""
    import asyncio

    from spokewire.host import files, logs

    parsed = json.loads(os.environ.pop(PARSED))
    logs.configure(parsed["log_level"], json_lines=parsed["as_json"])
    logs.adopt_foreign()
    settings: dict[str, Any] = parsed["settings"]
    settings["state_folder"] = Path(settings["state_folder"])
    token_file = settings.pop("token_file", None)
    token = os.environ.pop("SPOKEWIRE_TOKEN", None) or None
    if token is None and token_file is not None:
        token = files.read(Path(token_file))
    if parsed["role"] == "node":
        from spokewire.node import main as node

        asyncio.run(node.run(node.Settings(token=token, **settings)))
    else:
        from spokewire.hub import main as hub
        from spokewire.hub import record

        settings["open_ports"] = tuple(settings["open_ports"])
        asyncio.run(hub.run(record.Settings(token=token, **settings)))
