"""A node asks a hub from which endpoint it is seen, on loopback addresses of their own."""

import asyncio
import socket

from spokewire.host.echo import EchoService
from spokewire.network.echo import PORT, Echo, Kind, format_echo, locate
from tests.component.served import until
from tests.component.test_overlay_services import echo_service

HERE, THERE, NOWHERE = "127.0.0.77", "127.0.0.78", "127.0.0.79"
QUESTION = Echo(Kind.WHERE, session=7, sequence=8, sent_at=9)


def test_who_asks_where_it_is_seen_is_told_by_those_who_know() -> None:
    told: list[tuple[str, str]] = []
    answered: list[int] = []

    async def scenario() -> None:
        near = EchoService(
            located=lambda *place: told.append(place), answered=lambda answer: answered.append(answer.sequence)
        )
        hub = EchoService(find_endpoint={HERE: "203.0.113.5:1234"}.get)
        async with echo_service(HERE, near), echo_service(THERE, hub), echo_service(NOWHERE, EchoService()):
            near.ask_where(NOWHERE, 1)
            near.ask_where(THERE, 2)
            near.ask(THERE, 3)
            near.ask(NOWHERE, 4)
            await until(lambda: len(answered) == 2)

    asyncio.run(scenario())
    assert told == [(THERE, "203.0.113.5:1234")]


def test_a_place_that_nobody_asked_for_is_not_believed() -> None:
    told: list[tuple[str, str]] = []
    answered: list[int] = []
    unasked = locate(QUESTION, "203.0.113.5:1234")

    async def scenario() -> None:
        near = EchoService(
            located=lambda *place: told.append(place), answered=lambda answer: answered.append(answer.sequence)
        )
        async with echo_service(HERE, near):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as liar:
                liar.bind((THERE, PORT))
                liar.sendto(format_echo(unasked), (HERE, PORT))
            async with echo_service(THERE, EchoService()):
                near.ask(THERE, 1)
                await until(lambda: answered == [1])

    asyncio.run(scenario())
    assert told == []
