"""Floods of what is public, or nearly: the probes keep their timing."""

import asyncio
import itertools
import os
import sys
from pathlib import Path

from spokewire.api.serve import listen
from spokewire.host import clock
from spokewire.host.echo import EchoService
from spokewire.host.loops import repeat
from spokewire.network.echo import PORT
from spokewire.network.names import WireGuardKey
from spokewire.node import probe, server
from spokewire.node.probe import JITTER, Prober
from spokewire.node.targets import Target
from tests.component.served import running, serving, speak, until
from tests.component.test_node_status import make_board

HERE, THERE = "127.0.0.74", "127.0.0.75"
HUB = Target("hub-1", is_hub=True, peer=WireGuardKey("key of hub-1"), calls=True)
SECONDS, RATE = 4.0, 1000
FLOOD = """
import collections, select, socket, sys, time
port, rate, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
poll, socks, codes, n, late = select.poll(), {}, collections.Counter(), 0, 0.0
begun = turned = time.monotonic()
while turned - begun < seconds:
    while n < (turned - begun) * rate:
        n += 1
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port))
        socks[sock.fileno()] = sock
        poll.register(sock, select.POLLOUT)
    for number, event in poll.poll(2):
        sock = socks[number]
        try:
            if event & select.POLLOUT:
                sock.send(b"GET /status HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n")
                poll.modify(sock, select.POLLIN)
                continue
            codes[sock.recv(4096)[9:12].decode()] += 1
        except OSError:
            codes["reset"] += 1
        poll.unregister(number)
        socks.pop(number).close()
    now = time.monotonic()
    late, turned = max(late, now - turned), now
print(n, codes["429"] + codes["reset"] + codes[""], codes["200"], late)
"""


def test_a_thousand_requests_a_second_leave_the_probes_their_timing_and_are_refused(tmp_path: Path) -> None:
    heard: list[float] = []

    async def scenario() -> list[str]:
        prober = Prober(lambda _watched, _before: None)
        far = EchoService(asked=lambda _address, _session, now: heard.append(now))
        await prober.service.open(HERE)
        await far.open(THERE)
        prober.watch({THERE: HUB})
        app = server.build(make_board(tmp_path)[0].status, clock.monotonic)
        async with (
            serving(listen(0), app) as port,
            running(repeat("probe", prober.step, prober.wait_s, wake=prober.wake)),
        ):
            await until(lambda: bool(heard))
            flood = await asyncio.create_subprocess_exec(
                sys.executable, "-c", FLOOD, str(port), str(RATE), str(SECONDS), stdout=asyncio.subprocess.PIPE
            )
            told, _ = await flood.communicate()
        prober.service.close()
        far.close()
        return told.decode().split()

    sent, refused, answered, late_s = asyncio.run(scenario())
    gap_s = max(later - earlier for earlier, later in itertools.pairwise(heard))
    print(f"measured: longest pause between probes {gap_s:.2f} s, the flood itself late by {float(late_s):.2f} s")
    assert int(sent) > RATE * SECONDS / 2
    assert int(refused) > int(answered) > 0
    assert gap_s <= 1 + JITTER + probe.TICK_S + 0.2 + 2 * float(late_s), "beyond what this machine does to any process"


def test_a_flood_of_garbage_echoes_is_dropped_and_the_next_echo_answered() -> None:
    answered: list[int] = []

    async def scenario() -> None:
        near = EchoService(answered=lambda answer: answered.append(answer.sequence))
        far = EchoService()
        await near.open(HERE)
        await far.open(THERE)
        assert near._socket is not None
        for size in range(2000):
            near._socket.send(os.urandom(size % 1400), (THERE, PORT))
        await until(lambda: _ask(near) and bool(answered))
        near.close()
        far.close()

    def _ask(near: EchoService) -> bool:
        near.ask(THERE, 1)
        return True

    asyncio.run(scenario())
    assert set(answered) == {1}


def test_one_address_cannot_keep_all_others_out_with_idle_connections(tmp_path: Path) -> None:
    async def scenario() -> bytes:
        app = server.build(make_board(tmp_path)[0].status, clock.monotonic)
        async with serving(listen(0), app) as port:
            idle = [await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.9", 0)) for _ in range(300)]
            answer = await speak(port, b"GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", tls=False)
            for _, writer in idle:
                writer.transport.abort()
            return answer

    assert asyncio.run(scenario()).startswith(b"HTTP/1.1 200")
