"""The one shape of a loop, and the programs that it runs."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from spokewire.errors import Code, InputError, PermanentError, SpokewireError, TemporaryError
from spokewire.host import clock, processes
from spokewire.host.loops import LONGEST_BACKOFF_S, Backoff, repeat
from tests.component.served import until

NEVER_S = 3600.0


def test_waits_double_up_to_the_longest_and_begin_again_after_a_success() -> None:
    backoff = Backoff(first_s=1.0, longest_s=8.0)
    waits = [backoff.next_s() for _ in range(100)]
    for wait, ideal in zip(waits, [1, 2, 4, 8, 8], strict=False):
        assert 0.7 * ideal <= wait <= ideal
    assert max(waits) <= 8.0
    backoff.reset()
    assert backoff.next_s() <= 1.0
    assert Backoff().longest_s == LONGEST_BACKOFF_S


def test_a_failing_step_is_tried_again_and_its_recovery_is_told() -> None:
    told: list[SpokewireError | None] = []
    failures = [TemporaryError(Code.TIMEOUT, "one"), TemporaryError(Code.TIMEOUT, "two")]

    async def step() -> None:
        if len(told) < 2:
            raise failures[len(told)]

    async def scenario() -> None:
        backoff = Backoff(first_s=0.001, longest_s=0.002)
        loop = asyncio.create_task(repeat("step", step, NEVER_S, report=told.append, backoff=backoff))
        await until(lambda: len(told) == 3)
        loop.cancel()
        await asyncio.wait([loop])

    asyncio.run(scenario())
    assert told == [*failures, None]


@pytest.mark.parametrize("kind", [TemporaryError, PermanentError, InputError])
def test_an_event_wakes_a_loop_at_once_even_while_it_waits_after_a_failure(kind: type[SpokewireError]) -> None:
    ran: list[None] = []

    async def step() -> None:
        ran.append(None)
        if len(ran) == 2:
            raise kind(Code.TIMEOUT, "not now")

    async def scenario() -> None:
        wake = asyncio.Event()
        backoff = Backoff(first_s=NEVER_S, longest_s=NEVER_S)
        loop = asyncio.create_task(repeat("step", step, NEVER_S, wake=wake, backoff=backoff))
        for count in (1, 2, 3):
            await until(lambda count=count: len(ran) == count)  # type: ignore[misc]
            wake.set()
        loop.cancel()
        await asyncio.wait([loop])

    asyncio.run(scenario())
    assert len(ran) == 3


def test_a_loop_that_says_how_long_to_wait_is_asked_after_each_step() -> None:
    happened: list[str] = []

    async def step() -> None:
        happened.append("step")

    def choose_wait_s() -> float:
        happened.append("wait")
        return 0.0 if len(happened) < 6 else NEVER_S

    async def scenario() -> None:
        loop = asyncio.create_task(repeat("step", step, choose_wait_s))
        await until(lambda: len(happened) >= 6)
        loop.cancel()
        await asyncio.wait([loop])

    asyncio.run(scenario())
    assert happened == ["step", "wait"] * 3


def test_a_defect_in_a_step_ends_the_loop() -> None:
    async def step() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(repeat("step", step, 0.0))


def test_a_program_that_fails_is_one_sentence_with_its_own_words() -> None:
    with pytest.raises(PermanentError) as failed:
        processes.run([sys.executable, "-c", "import sys; sys.exit('these words')"])
    assert (failed.value.code, "these words" in failed.value.message) == (Code.COMMAND_FAILED, True)
    assert processes.attempt([sys.executable, "-c", "exit(3)"]).status == 3


def test_a_program_that_is_missing_says_which_package_to_install() -> None:
    with pytest.raises(PermanentError) as missing:
        processes.run(["surely-not-a-program"])
    assert (missing.value.code, "apt-get install surely-not-a-program" in missing.value.hint) == (
        Code.TOOL_MISSING,
        True,
    )
    assert processes.PACKAGES["wg"] in processes.tool_missing("wg").hint
    assert not processes.installed("surely-not-a-program")


def test_a_program_that_hangs_is_given_up() -> None:
    with pytest.raises(TemporaryError) as late:
        processes.run([sys.executable, "-c", "input()"], timeout_s=0.0, stdin="")
    assert late.value.code is Code.TIMEOUT


def test_a_program_gets_its_input_and_odd_output_does_no_harm() -> None:
    echo = [sys.executable, "-c", "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read() + bytes([255]))"]
    assert processes.run(echo, stdin="words") == "words\ufffd"


def test_a_process_is_known_by_its_start_as_well_as_its_id_and_ended_only_then(tmp_path: Path) -> None:
    log = tmp_path / "log"
    pid = processes.spawn([sys.executable, "-c", "print('up', flush=True); import time; time.sleep(60)"], log_path=log)
    started = processes.start_time(pid)
    assert started is not None
    while "up" not in log.read_text():
        time.sleep(0.01)
    assert processes.is_alive(pid, started)
    assert not processes.is_alive(pid, started + 1)
    processes.end(pid, started + 1)
    assert processes.is_alive(pid, started), "another process of that id must be left alone"
    assert (pid, processes.command_line(pid)) in list(processes.command_lines())
    assert processes.namespace_ids(pid)[0] == pid
    processes.end(pid, started)
    processes.wait_until_gone(pid, started, 5.0)
    assert processes.start_time(pid) is None
    assert processes.command_line(pid) == []
    assert processes.namespace_ids(2**22 + 1) == []


def test_the_end_of_a_process_is_noticed_at_once() -> None:
    async def scenario() -> float:
        pid = processes.spawn([sys.executable, "-c", "input()"])
        started = processes.start_time(pid)
        assert started is not None
        waiting = asyncio.create_task(processes.wait_for_end(pid, started))
        begun = clock.monotonic()
        processes.end(pid, started)
        await asyncio.wait_for(waiting, 5)
        await processes.wait_for_end(pid, started)
        return clock.monotonic() - begun

    assert asyncio.run(scenario()) < 2.0


def test_who_calls_a_program_gets_its_exit_status() -> None:
    assert processes.call([sys.executable, "-c", "exit(7)"]) == 7
    assert processes.call([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]) == 128 + 9
    assert os.getpid() in [pid for pid, _ in processes.command_lines()]
