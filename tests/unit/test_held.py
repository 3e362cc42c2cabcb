from spokewire.hub.held import HOLD_S, MAX_HELD, Held
from spokewire.relay.places import Endpoint
from tests.unit.relay.test_messages import initiation, response

SOURCE = Endpoint(bytes([203, 0, 113, 11]), 1)


def held(*messages: bytes) -> Held:
    found = Held()
    for at, message in enumerate(messages):
        found.keep(message, SOURCE, float(at))
    return found


def test_what_came_too_early_is_tried_once_more_in_its_order() -> None:
    first, second = initiation(1), initiation(2)
    waiting = held(first, second)
    assert list(waiting.take(1.0)) == [(first, SOURCE), (second, SOURCE)]
    assert list(waiting.take(1.0)) == []


def test_after_a_second_wireguard_is_about_to_repeat_it_itself() -> None:
    first, second = initiation(1), initiation(2)
    assert list(held(first, second).take(HOLD_S + 0.5)) == [(second, SOURCE)]


def test_a_greeting_that_was_answered_by_another_way_is_not_delivered_any_more() -> None:
    answered, other, back = initiation(7), initiation(8), response(7, 9)
    waiting = held(answered, back, other)
    for message in (initiation(8), b"", response(5, 6)):
        waiting.note(message)
    assert [message for message, _ in waiting.take(1.0)] == [answered, back, other]
    waiting = held(answered, back, other)
    waiting.note(response(5, 7))
    assert [message for message, _ in waiting.take(1.0)] == [back, other]


def test_a_flood_pushes_out_the_oldest() -> None:
    messages = [initiation(number) for number in range(MAX_HELD + 1)]
    waiting = Held()
    for message in messages:
        waiting.keep(message, SOURCE, 0.0)
    assert [message for message, _ in waiting.take(0.0)] == messages[1:]
