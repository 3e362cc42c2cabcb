"""The echo and transfer services, on loopback addresses of their own, under honest and other callers."""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from spokewire.errors import Code, PermanentError
from spokewire.host import keys
from spokewire.host.echo import EchoService
from spokewire.network.echo import PORT, Echo, Kind, format_echo
from spokewire.network.names import WireGuardKey
from spokewire.network.probing import SUSPECT_S
from spokewire.network.proof import ECHOES_PER_PAIR, TRANSFER_BYTES, Pace, PairResult, Step, join
from spokewire.network.status import State
from spokewire.node import probe, prove, transfer
from spokewire.node.probe import Prober
from spokewire.node.targets import Target
from spokewire.node.transfer import MAX_CHECK_BYTES, MAX_CONVERSATIONS, TransferService, format_head
from tests.component.served import until

HERE, THERE, NOWHERE = "127.0.0.71", "127.0.0.72", "127.0.0.73"
QUESTION = Echo(Kind.REQUEST, session=7, sequence=8, sent_at=9)


@asynccontextmanager
async def echo_service(address: str, service: EchoService) -> AsyncIterator[EchoService]:
    await service.open(address)
    try:
        yield service
    finally:
        service.close()


@asynccontextmanager
async def transfer_service(address: str) -> AsyncIterator[TransferService]:
    service = TransferService()
    await service.open(address)
    try:
        yield service
    finally:
        service.close()


async def converse(data: bytes) -> bytes:
    """Send bytes to the transfer service, and read until it hangs up."""
    reader, writer = await asyncio.open_connection(THERE, PORT)
    try:
        writer.write(data)
        writer.write_eof()
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def test_echoes_go_there_and_back_and_both_sides_take_note() -> None:
    answered: list[tuple[str, int]] = []
    asked: list[str] = []

    async def scenario() -> None:
        near = EchoService(answered=lambda answer: answered.append((answer.address, answer.sequence)))
        far = EchoService(asked=lambda address, _, __: asked.append(address))
        async with echo_service(HERE, near), echo_service(THERE, far):
            for sequence in (1, 2, 3):
                near.ask(THERE, sequence)
            await until(lambda: len(answered) == 3)

    asyncio.run(scenario())
    assert answered == [(THERE, 1), (THERE, 2), (THERE, 3)]
    assert asked == [HERE] * 3


def test_echoes_of_chosen_sizes_come_back_as_large_and_are_counted_apart_from_the_usual_ones() -> None:
    usual: list[tuple[int, int]] = []
    sized: list[tuple[int, int]] = []
    sizes: list[int] = []

    async def scenario() -> None:
        near = EchoService(
            answered=lambda answer: usual.append((answer.sequence, answer.received)),
            sized=lambda answer: sized.append((answer.sequence, answer.received)),
        )
        far = EchoService(answered_sized=lambda _, size: sizes.append(size))
        async with echo_service(HERE, near), echo_service(THERE, far):
            near.ask(THERE, 1)
            for sequence, size in ((1, 1392), (2, 548)):
                near.ask_sized(THERE, sequence, size)
            near.ask(THERE, 2)
            await until(lambda: len(usual) == len(sized) == 2)

    asyncio.run(scenario())
    assert usual == sized == [(1, 1), (2, 2)]
    assert sizes == [1392, 548]


def test_echoes_to_where_nobody_is_are_lost_without_an_error() -> None:
    async def scenario() -> None:
        async with echo_service(HERE, EchoService()) as near:
            near.ask(NOWHERE, 1)
            near.ask("192.0.2.1", 1)
        near.ask(THERE, 1)

    asyncio.run(scenario())


def test_garbage_strangers_and_answers_of_another_life_are_not_answered_and_not_counted() -> None:
    answered: list[int] = []
    asked: list[str] = []

    async def scenario() -> bytes:
        service = EchoService(
            answered=lambda answer: answered.append(answer.sequence), asked=lambda address, _, __: asked.append(address)
        )
        loop = asyncio.get_running_loop()
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
        ):
            for sock, port in ((peer, PORT), (stranger, 0)):
                sock.setblocking(False)
                sock.bind((HERE, port))
            async with echo_service(THERE, service):
                good = format_echo(QUESTION)
                bad = [b"", b"x", good[:-1], good + b"x", b"X" + good[1:], good[:4] + b"\x02" + good[5:]]
                bad += [good[:5] + b"\x05" + good[6:], good[:5] + b"\x03" + good[6:], bytes(65000)]
                bad.append(format_echo(replace(QUESTION, kind=Kind.ANSWER)))
                for data in bad:
                    await loop.sock_sendto(peer, data, (THERE, PORT))
                await loop.sock_sendto(stranger, good, (THERE, PORT))
                await loop.sock_sendto(peer, good, (THERE, PORT))
                first = await asyncio.wait_for(loop.sock_recv(peer, 1000), 5)
                with pytest.raises(BlockingIOError):
                    peer.recv(1000)
                with pytest.raises(BlockingIOError):
                    stranger.recv(1000)
                return first

    assert asyncio.run(scenario()) == format_echo(replace(QUESTION, kind=Kind.ANSWER, received=1))
    assert (answered, asked) == ([], [HERE])


def test_a_port_in_use_is_one_sentence_that_names_it() -> None:
    async def scenario() -> list[PermanentError]:
        refused = []
        async with echo_service(HERE, EchoService()), transfer_service(THERE):
            for open_again in (EchoService().open(HERE), TransferService().open(THERE)):
                with pytest.raises(PermanentError) as error:
                    await open_again
                refused.append(error.value)
        return refused

    for error, protocol in zip(asyncio.run(scenario()), ("udp", "tcp"), strict=True):
        assert error.code is Code.PORT_IN_USE
        assert f"{protocol.upper()} port {PORT}" in error.message
        assert "ss -" in error.hint


def test_a_transfer_comes_back_with_its_checksum() -> None:
    data = keys.make_bytes(MAX_CHECK_BYTES)

    async def scenario() -> bytes:
        async with transfer_service(THERE):
            return await converse(format_head(transfer.Kind.CHECK, len(data)) + data)

    assert asyncio.run(scenario()) == hashlib.sha256(data).digest() + data


def test_a_sink_counts_what_arrives() -> None:
    async def scenario() -> bytes:
        async with transfer_service(THERE):
            return await converse(format_head(transfer.Kind.SINK, 2**40) + bytes(300_000))

    assert int.from_bytes(asyncio.run(scenario()), "big") == 300_000


@pytest.mark.parametrize(
    "question",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"SPW", id="half a head"),
        pytest.param(b"x" * 64, id="garbage"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP"),
        pytest.param(transfer.HEAD.pack(b"SPWT", 1, 9, 0, 1) + b"x", id="unknown kind"),
        pytest.param(transfer.HEAD.pack(b"SPWT", 2, 1, 0, 1) + b"x", id="unknown version"),
        pytest.param(format_head(transfer.Kind.CHECK, MAX_CHECK_BYTES + 1) + b"x", id="too much"),
        pytest.param(format_head(transfer.Kind.CHECK, 2**64 - 1), id="far too much"),
        pytest.param(format_head(transfer.Kind.CHECK, 1000) + b"x" * 999, id="cut short"),
    ],
)
def test_a_senseless_question_is_hung_up_on_and_the_next_one_answered(question: bytes) -> None:
    async def scenario() -> tuple[bytes, bytes]:
        async with transfer_service(THERE):
            return await converse(question), await converse(format_head(transfer.Kind.CHECK, 2) + b"ok")

    refused, served = asyncio.run(scenario())
    assert refused == b""
    assert served == hashlib.sha256(b"ok").digest() + b"ok"


def test_a_flood_of_conversations_is_bounded_and_over_when_they_end() -> None:
    async def scenario() -> None:
        async with transfer_service(THERE) as service:
            flood = [await asyncio.open_connection(THERE, PORT) for _ in range(MAX_CONVERSATIONS)]
            for _, writer in flood:
                writer.write(b"SPWT")
            await until(lambda: service.conversations == MAX_CONVERSATIONS)
            assert await converse(format_head(transfer.Kind.CHECK, 2) + b"ok") == b"", "one too many is hung up on"
            for _, writer in flood:
                writer.transport.abort()
            await until(lambda: service.conversations == 0)
            assert await converse(format_head(transfer.Kind.CHECK, 2) + b"ok") == hashlib.sha256(b"ok").digest() + b"ok"

    asyncio.run(scenario())


async def prove_pair(address: str, prober: Prober) -> PairResult:
    """Both halves of the proof of one pair, as the operator asks for them."""
    halves = [
        (await prove.prove_peers("node-1", {"node-2": address}, prober, step, Pace(1, TRANSFER_BYTES)))[0]
        for step in (Step.ECHO, Step.TRANSFER)
    ]
    return join(*halves)


def test_a_proof_between_two_services_shows_round_trip_and_checksum() -> None:
    async def scenario() -> None:
        prober = make_prober()
        async with echo_service(HERE, prober.service), echo_service(THERE, EchoService()), transfer_service(THERE):
            result = await prove_pair(THERE, prober)
        assert result.ok
        assert (result.udp_loss_pct, result.error, result.mbits) == (0.0, "", None)
        assert result.rtt_ms is not None
        assert 0 < result.rtt_ms < 1000

    asyncio.run(scenario())


def test_a_proof_towards_nobody_is_a_failed_result_and_no_error() -> None:
    async def scenario() -> None:
        prober = make_prober()
        async with echo_service(HERE, prober.service):
            result = await prove_pair(NOWHERE, prober)
        assert (result.ok, result.rtt_ms, result.udp_loss_pct) == (False, None, 100.0)
        assert result.error.startswith("TCP: ")

    asyncio.run(scenario())


async def lie(alter: Callable[[bytes, bytes], bytes]) -> str:
    """What a proof says when the peer answers with something else."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = transfer.parse_head(await reader.readexactly(transfer.HEAD.size))
        assert head is not None
        data = await reader.readexactly(head[1])
        writer.write(alter(hashlib.sha256(data).digest(), data))
        writer.close()

    server = await asyncio.start_server(answer, THERE, PORT)
    prober = make_prober()
    try:
        async with echo_service(HERE, prober.service), echo_service(THERE, EchoService()):
            result = await prove_pair(THERE, prober)
        assert (result.tcp_ok, result.checksum_ok, result.ok) == (True, False, False)
        return result.error
    finally:
        server.close()


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        pytest.param(lambda digest, data: digest + b"x" + data[1:], "other bytes came back", id="the bytes"),
        pytest.param(lambda _, data: bytes(32) + data, "received other bytes", id="the checksum"),
        pytest.param(lambda digest, data: digest + data[:-1], "ended early", id="the end missing"),
    ],
)
def test_a_peer_that_answers_with_other_bytes_does_not_pass(alter: Callable[[bytes, bytes], bytes], words: str) -> None:
    assert words in asyncio.run(lie(alter))


def make_prober() -> Prober:
    return Prober(lambda _watched, _before: None)


CALLED = Target("node-2", is_hub=False, peer=WireGuardKey("key of node-2"), calls=True)


def test_an_agent_sleeps_until_an_echo_is_due_or_an_answer_is_missing_and_wakes_for_news() -> None:
    async def scenario() -> None:
        prober = make_prober()
        assert prober.wait_s() == probe.LONGEST_WAIT_S
        prober.watch({THERE: CALLED})
        assert prober.wake.is_set(), "somebody new is asked at once"
        prober.wake.clear()
        await prober.step()
        assert probe.TICK_S < prober.wait_s() <= SUSPECT_S, "the answer is looked for when it begins to be missing"
        prober.watch({THERE: CALLED})
        assert not prober.wake.is_set(), "nothing has changed"
        prober.hurry()
        assert prober.wake.is_set()
        assert prober.wait_s() == probe.TICK_S

    asyncio.run(scenario())


def test_of_two_nodes_that_learn_of_each_other_only_one_calls_and_the_other_answers_at_once() -> None:
    """Two WireGuard handshakes that cross end each other."""

    async def scenario() -> tuple[int, int]:
        caller, answerer = make_prober(), make_prober()
        async with echo_service(HERE, caller.service), echo_service(THERE, answerer.service):
            caller.watch({THERE: CALLED})
            answerer.watch({HERE: replace(CALLED, name="node-1", calls=False)})
            await answerer.step()
            before = answerer.watched[HERE].trail.sequence
            await caller.step()
            await until(lambda: answerer.watched[HERE].trail.last_answer_at is not None)
            return before, answerer.watched[HERE].trail.sequence

    assert asyncio.run(scenario()) == (0, 1)


def test_a_node_that_begins_anew_calls_at_once_whom_it_knew_before() -> None:
    """The other end has a session with it that is over, and does not know that."""

    async def scenario() -> tuple[int, int]:
        prober = Prober(lambda _watched, _before: None, known={"node-1"})
        async with echo_service(HERE, prober.service):
            first, second = replace(CALLED, name="node-1", calls=False), replace(CALLED, name="node-3", calls=False)
            prober.watch({THERE: first, NOWHERE: second})
            await prober.step()
            return prober.watched[THERE].trail.sequence, prober.watched[NOWHERE].trail.sequence

    assert asyncio.run(scenario()) == (1, 0)


def test_a_peer_that_is_reached_in_another_way_is_judged_anew() -> None:
    async def scenario() -> list[State]:
        prober = make_prober()
        async with echo_service(HERE, prober.service), echo_service(THERE, EchoService()):
            prober.watch({THERE: CALLED})
            await prober.step()
            await until(lambda: prober.watched[THERE].health.state is State.CONNECTED)
            prober.watch({THERE: CALLED})
            same = prober.watched[THERE].health.state
            prober.watch({THERE: replace(CALLED, peer=None)})
            return [same, prober.watched[THERE].health.state]

    assert asyncio.run(scenario()) == [State.CONNECTED, State.STARTING]


def test_a_measurement_counts_its_own_echoes_only() -> None:
    async def scenario() -> tuple[float | None, float]:
        prober = make_prober()
        async with echo_service(HERE, prober.service), echo_service(THERE, EchoService()):
            prober.watch({THERE: CALLED})
            await prober.step()
            return await prober.measure(THERE, ECHOES_PER_PAIR, 0.001)

    rtt_ms, loss_pct = asyncio.run(scenario())
    assert loss_pct == 0.0
    assert rtt_ms is not None


def test_a_daemon_that_ends_in_the_middle_of_a_transfer_does_so_quietly(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        service = TransferService()
        await service.open(THERE)
        _, writer = await asyncio.open_connection(THERE, PORT)
        writer.write(b"SPWT")
        await until(lambda: service.conversations == 1)
        service.close()
        writer.transport.abort()

    asyncio.run(scenario())
    assert caplog.messages == []
