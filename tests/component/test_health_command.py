"""`spokewire node health` and `spokewire hub health`, which a container's health check runs, against the real servers."""

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

from spokewire.api.serve import listen
from spokewire.host import clock
from spokewire.node import server
from tests.component.served import serve_hub, serving
from tests.component.test_node_status import make_board


async def run(*arguments: str, port: int) -> tuple[int | None, str]:
    """The command in a process of its own, beside a proxy that does not exist; its exit status and what it printed."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SPOKEWIRE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "spokewire", *arguments, str(port),
        env={**kept, "http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 20)
    return process.returncode, out.decode().strip()


def ask_node(folder: Path, *, echoes: bool) -> tuple[int | None, str]:
    board, _ = make_board(folder, echoes=echoes)

    async def scenario() -> tuple[int | None, str]:
        async with serving(listen(0, None, "127.0.0.1"), server.build(board.status, clock.monotonic)) as port:
            return await run("node", "health", "--status-port", port=port)

    return asyncio.run(scenario())


def test_a_node_whose_echoes_come_back_is_healthy(tmp_path: Path) -> None:
    status, said = ask_node(tmp_path, echoes=True)
    assert (status, said.partition(":")[0]) == (0, "connected")


def test_a_node_without_echoes_is_unhealthy_and_says_why(tmp_path: Path) -> None:
    status, said = ask_node(tmp_path, echoes=False)
    assert (status, said.partition(":")[0]) == (1, "disconnected")
    assert len(said) > len("disconnected: ")


def test_a_hub_that_answers_is_healthy_though_its_certificate_is_its_own(tmp_path: Path) -> None:
    async def scenario() -> tuple[int | None, str]:
        async with serve_hub(tmp_path) as hub:
            return await run("hub", "health", "--api-port", port=hub.port)

    assert asyncio.run(scenario()) == (0, "ok")


@pytest.mark.parametrize("words", [("node", "health", "--status-port"), ("hub", "health", "--api-port")])
def test_a_daemon_that_does_not_run_is_unhealthy_in_one_sentence(words: tuple[str, ...]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        status, said = asyncio.run(run(*words, port=port))
    assert status == 1
    assert said.startswith("no answer from ")
    assert said.endswith(f":{port}/{'health' if words[0] == 'node' else 'healthz'}: Connection refused")
