"""The kernel tells when somebody changes links, addresses or rules."""

import asyncio
import os
import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, subprocess, sys
from spokewire.host.monitor import watch_changes

async def scenario():
    told = asyncio.Event()
    async def expect(*command):
        told.clear()
        subprocess.run(command, check=True)
        try:
            async with asyncio.timeout(5):
                await told.wait()
        except TimeoutError:
            print("silent:", *command)
    watching = asyncio.create_task(watch_changes(told.set))
    await asyncio.sleep(0.1)
    await expect("ip", "link", "add", "made", "type", "bridge")
    await asyncio.sleep(1)
    await expect("ip", "address", "add", "10.9.8.7/24", "dev", "made")
    await asyncio.sleep(1)
    await expect("nft", "add", "table", "inet", "made")
    await asyncio.sleep(1)
    subprocess.run(["nft", "add map inet made m { type ipv4_addr : ipv4_addr; }"], check=True)
    await asyncio.sleep(1)
    told.clear()
    subprocess.run(["nft", "add element inet made m { 10.0.0.1 : 10.0.0.2 }"], check=True)
    await asyncio.sleep(0.2)
    print("told of a map's element" if told.is_set() else "silent about a map's element")
    await expect("nft", "flush", "ruleset")
    watching.cancel()
    print("done")

asyncio.run(scenario())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace of its own needs root")
def test_a_change_of_links_addresses_or_rules_is_noticed_at_once_and_the_coming_and_going_in_maps_is_not() -> None:
    environment = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    command = ["unshare", "--net", sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert (done.stdout, done.returncode) == ("silent about a map's element\ndone\n", 0), done.stderr


def test_without_changes_nobody_is_called() -> None:
    from spokewire.host.monitor import watch_changes

    async def scenario() -> int:
        calls: list[int] = []
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await watch_changes(lambda: calls.append(1))
        return len(calls)

    assert asyncio.run(scenario()) <= 1
