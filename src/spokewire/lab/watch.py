"""What happens to a sentence that one node tells another: who can read it on its way, and how long it is away when a hub dies."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from spokewire.errors import Code, PermanentError
from spokewire.lab.machine import Machines

SENTENCE = "a sentence that only the two ends may read"
TIMES = 20
SPACING_S = 0.005
PORT = 51821
"""The echo service's, which ignores what is no echo: no ICMP error answers it."""
LIMIT_S = 20.0
FLOW_TIMES, FLOW_SPACING_S = 400, 0.02
"""While a hub dies: eight seconds."""
DEATH_AFTER_S = 1.5


@dataclass(frozen=True)
class Sight:
    """What passed a machine: all packets, and those that showed the sentence."""

    packets: int
    seen: int
    longest_s: float
    """Between two packets that showed it."""


@dataclass(frozen=True)
class Finding:
    """What the hub and the receiving node saw of a sentence that was sent TIMES times."""

    at_hub: Sight
    at_target: Sight


async def watch_hub(machines: Machines, hub: str, source: str, target: str, address: str) -> Finding:
    """Let `source` tell the sentence to `target` at its overlay address, and look for it at both the hub and the target."""
    async with _look(machines, hub) as at_hub, _look(machines, target) as at_target:
        argv = _enter(machines, source, "say", SENTENCE, address, str(PORT), str(TIMES), str(SPACING_S))
        speaker = await asyncio.create_subprocess_exec(*argv)
        await speaker.wait()
        return Finding(await _end(at_hub), await _end(at_target))


async def watch_death(machines: Machines, hub: str, source: str, target: str, address: str) -> Sight:
    """Cut a hub's power while `source` tells the sentence to `target` fifty times a second; what the target saw of FLOW_TIMES."""
    async with _look(machines, target) as at_target:
        argv = _enter(machines, source, "say", SENTENCE, address, str(PORT), str(FLOW_TIMES), str(FLOW_SPACING_S))
        speaker = await asyncio.create_subprocess_exec(*argv)
        await asyncio.sleep(DEATH_AFTER_S)
        await asyncio.to_thread(machines.kill, machines.find(hub))
        await speaker.wait()
        return await _end(at_target)


@asynccontextmanager
async def _look(machines: Machines, name: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(*_enter(machines, name, "look", SENTENCE), stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LIMIT_S):
            if await process.stdout.readline() != b"ready\n":
                raise PermanentError(Code.LAB_FAILED, f"{name} cannot be watched: a packet socket is needed.")
        yield process
    except TimeoutError as error:
        raise PermanentError(Code.LAB_FAILED, f"{name} cannot be watched: it does not answer.") from error
    finally:
        # The end of its input ends it, wherever it is; a signal would reach only `nsenter`, which stays between us.
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def _end(process: Process) -> Sight:
    async with asyncio.timeout(LIMIT_S):
        out, _ = await process.communicate(b"")
    packets, seen, longest_s = out.split()
    return Sight(int(packets), int(seen), float(longest_s))


def _enter(machines: Machines, name: str, *words: str) -> list[str]:
    return machines.enter(machines.find(name), [sys.executable, "-m", "spokewire.lab.witness", *words])
