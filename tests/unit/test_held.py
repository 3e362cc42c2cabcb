from spokewire.hub.held import HOLD_S, MAX_HELD, Heard, Held
from spokewire.relay.places import Endpoint
from tests.unit.relay.test_messages import initiation, response

SOURCE = Endpoint(bytes([203, 0, 113, 11]), 1)


def held(*messages: bytes) -> Held:
    found = Held()
    for at, message in enumerate(messages):
        found.keep(Heard(message, SOURCE, float(at)))
    return found


def test_what_came_too_early_is_tried_once_more_in_its_order() -> None:
    first, second = initiation(1), initiation(2)
    waiting = held(first, second)
    assert waiting.take(1.0) == [Heard(first, SOURCE, 0.0), Heard(second, SOURCE, 1.0)]
    assert waiting.take(1.0) == []


def test_what_is_still_too_early_waits_on_but_no_longer_than_a_second_in_all() -> None:
    [early] = held(initiation(1)).take(0.6)
    waiting = Held()
    waiting.keep(early)
    assert waiting.take(HOLD_S) == [early]
    waiting.keep(early)
    assert waiting.take(HOLD_S + 0.1) == []


def test_after_a_second_wireguard_is_about_to_repeat_it_itself() -> None:
    first, second = initiation(1), initiation(2)
    assert held(first, second).take(HOLD_S + 0.5) == [Heard(second, SOURCE, 1.0)]


def test_a_greeting_that_was_answered_by_another_way_is_not_delivered_any_more() -> None:
    answered, other, back = initiation(7), initiation(8), response(7, 9)
    waiting = held(answered, back, other)
    for message in (initiation(8), b"", response(5, 6)):
        waiting.note(message)
    assert [heard.message for heard in waiting.take(1.0)] == [answered, back, other]
    waiting = held(answered, back, other)
    waiting.note(response(5, 7))
    assert [heard.message for heard in waiting.take(1.0)] == [back, other]


def test_a_flood_pushes_out_the_oldest() -> None:
    messages = [initiation(number) for number in range(MAX_HELD + 1)]
    waiting = Held()
    for message in messages:
        waiting.keep(Heard(message, SOURCE, 0.0))
    assert [heard.message for heard in waiting.take(0.0)] == messages[1:]
