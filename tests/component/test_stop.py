"""Daemons that are told to stop, do."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from spokewire.api.client import connect
from spokewire.errors import Code, InputError, TemporaryError
from spokewire.host.loops import Ending, run_until_stopped
from spokewire.network.keys import format_private_key
from tests.component.made import Network
from tests.component.served import until

REPOSITORY = Path(__file__).parents[2]
STREAMS = 20


@contextmanager
def hub_process(folder: Path, network: Network) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    command = [sys.executable, "-m", "tests.component.hub_process", str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=REPOSITORY) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(format_private_key(network.root) + "\n")
        process.stdin.flush()
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_hub_with_open_streams_stops_within_two_seconds_and_without_a_trace(tmp_path: Path, number: int) -> None:
    network = Network()

    async def scenario(process: "subprocess.Popen[str]", port: int) -> float:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(connect(f"https://127.0.0.1:{port}", network.operator))
            streams = [client.stream_roster() for _ in range(STREAMS)]
            for stream in streams:
                assert len((await anext(stream)).documents) == 2
            _, half = await asyncio.open_connection("127.0.0.1", port)
            begun = time.monotonic()
            process.send_signal(number)
            for stream in streams:
                with pytest.raises((TemporaryError, StopAsyncIteration)):
                    await anext(stream)
            await asyncio.to_thread(process.wait, 10)
            half.close()
            return time.monotonic() - begun

    with hub_process(tmp_path, network) as (process, port):
        took_s = asyncio.run(scenario(process, port))
        _, errors = process.communicate()
    assert process.returncode == 0
    assert took_s < 2.0
    assert "Traceback" not in errors
    assert "ERROR" not in errors


class Closed:
    """How the daemon was closed."""

    endings: list[Ending]

    def __init__(self) -> None:
        self.endings = []

    async def __call__(self, ending: Ending) -> None:
        self.endings.append(ending)


def test_the_error_that_ends_a_daemon_is_told_as_itself() -> None:
    """Not as a group of errors with a trace, which is what a task group makes of it."""

    async def nested() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail(), name="fail")

    async def fail() -> None:
        raise InputError(Code.TOKEN_DAMAGED, "The token is damaged.")

    async def wait() -> None:
        await asyncio.Event().wait()

    closed = Closed()
    with pytest.raises(InputError) as ended:
        asyncio.run(run_until_stopped({"nested": nested(), "wait": wait()}, closed))
    assert ended.value.code is Code.TOKEN_DAMAGED
    assert closed.endings == [Ending.STOP]


def test_a_defect_that_ends_a_daemon_keeps_its_trace_and_the_tunnel() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    closed = Closed()
    with pytest.raises(ExceptionGroup) as ended:
        asyncio.run(run_until_stopped({"part": fail()}, closed))
    assert ended.group_contains(ZeroDivisionError)
    assert closed.endings == [Ending.HAND_OVER]


@pytest.mark.parametrize(
    ("number", "ending"),
    [
        (signal.SIGTERM, Ending.STOP),
        (signal.SIGINT, Ending.STOP),
        (signal.SIGHUP, Ending.STOP),
        (signal.SIGUSR1, Ending.HAND_OVER),
    ],
)
def test_only_the_signal_of_a_restart_leaves_the_tunnel_to_the_next_daemon(
    number: signal.Signals, ending: Ending
) -> None:
    async def stop() -> None:
        signal.raise_signal(number)
        await asyncio.Event().wait()

    closed = Closed()
    asyncio.run(run_until_stopped({"stop": stop()}, closed))
    assert closed.endings == [ending]


def test_a_part_that_ends_by_itself_does_not_end_the_daemon() -> None:
    done: list[str] = []

    async def end() -> None:
        done.append("ended")

    async def stop() -> None:
        await until(lambda: done == ["ended"])
        signal.raise_signal(signal.SIGTERM)
        await asyncio.Event().wait()

    asyncio.run(run_until_stopped({"end": end(), "stop": stop()}, Closed()))
    assert done == ["ended"]
