"""The first steps of a command: into the lab of its spec, with little loaded."""

import subprocess
import sys
from typing import Any

import pytest
import typer.main

from spokewire.cli.app import tree
from spokewire.cli.entry import COMMANDS_INSIDE, find_config


@pytest.mark.parametrize("words", sorted(COMMANDS_INSIDE), ids=" ".join)
@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--config", "a.toml"],
        ["--config=a.toml"],
        ["-c", "a.toml"],
        ["-ca.toml"],
        ["--config", "b.toml", "-c", "a.toml"],
        ["--json", "--config", "a.toml"],
        ["-c", "--json"],
    ],
    ids=" ".join,
)
def test_the_short_look_finds_the_spec_that_parsing_finds(words: tuple[str, ...], arguments: list[str]) -> None:
    """A command that entered the lab of another spec than its own would work on the wrong network."""
    needed = {"node": ["node-1"], "path": ["node-1", "node-2"]}.get(words[0], [])
    command: Any = typer.main.get_command(tree())
    for word in words:
        command = command.commands[word]
    parsed = command.make_context("spokewire", [*arguments, *needed]).params["config"]
    assert find_config([*words, *arguments, *needed]) == parsed
    assert find_config([*words, *needed, *arguments]) == parsed


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["init"],
        ["node", "list"],
        ["lab", "exec"],
        ["status", "--help"],
        ["status", "-h"],
        ["deploy", "-yc", "a.toml"],
    ],
    ids=" ".join,
)
def test_the_short_look_leaves_everything_else_to_parsing(arguments: list[str]) -> None:
    assert find_config(arguments) is None


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("spokewire.cli.main", {"asyncio", "cryptography", "httpcore", "pydantic", "rich", "typer"}),
        ("spokewire.cli.context", {"asyncio", "cryptography", "httpcore", "pydantic", "rich", "tomlkit"}),
        ("spokewire.deploy.gather", {"fastapi", "httpx", "pyroute2", "rich", "tomlkit", "uvicorn"}),
        ("spokewire.cli.launch", {"asyncio", "cryptography", "pydantic", "rich", "typer"}),
        (
            "spokewire.node.main",
            {
                "cryptography.x509",
                "fastapi",
                "httpx",
                "jwt",
                "prometheus_client",
                "pyroute2",
                "rich",
                "tomlkit",
                "typer",
            },
        ),
    ],
)
def test_nothing_is_loaded_that_is_not_needed(module: str, unwanted: set[str]) -> None:
    """Each of them takes every start 20 to 100 ms, and every daemon 2 to 10 MB."""
    script = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert module in loaded
    assert unwanted & set(loaded) == set()
