from dataclasses import dataclass, field
from pathlib import Path

import pytest

from spokewire.relay.labels import LABEL_LIFETIME_S, Install, Label
from spokewire.relay.members import HANDSHAKE_BURST, LABELS_PER_PAIR, LABELS_SPARE
from spokewire.relay.messages import Index, announce
from spokewire.relay.places import Endpoint
from spokewire.relay.switch import ForHub, Forward, Refusal, Switch
from tests.unit.relay.test_messages import initiation, response

HUB_KEY = b"\xff" * 32
A, B, C = 11, 12, 13
HERE = {
    A: Endpoint(bytes([203, 0, 113, A]), 1),
    B: Endpoint(bytes([203, 0, 113, B]), 2),
    C: Endpoint(bytes([203, 0, 113, C]), 3),
}
STRANGER = Endpoint(bytes([198, 51, 100, 1]), 9)
NOW = 1000.0


def key(number: int) -> bytes:
    return bytes([number]) * 32


@dataclass
class Conversation:
    """A switch and what is said to it: `>>` by whom, what; the answers are compared."""

    switch: Switch = field(default_factory=lambda: Switch(HUB_KEY))

    def __post_init__(self) -> None:
        self.switch.set_nodes({number: key(number) for number in HERE})
        self.switch.set_endpoints(HERE)

    def greet(self, source: Endpoint, target: int, index: int, now: float = NOW) -> object:
        return self.switch.handle(initiation(index, key(target)), source, now)

    def answer(self, source: Endpoint, target: int, index: int, receiver: int, now: float = NOW) -> object:
        return self.switch.handle(response(index, receiver, key(target)), source, now)

    def announce_greeting(self, source: Endpoint, target: int, index: int, now: float = NOW) -> object:
        return self.switch.handle(announce(initiation(index, key(target))), source, now)

    def announce_answer(self, source: Endpoint, target: int, index: int, receiver: int, now: float = NOW) -> object:
        return self.switch.handle(announce(response(index, receiver, key(target))), source, now)


def label(source: int, index: int) -> Label:
    return Label(source, Index(index))


def test_a_handshake_installs_a_label_for_each_direction_before_it_is_forwarded() -> None:
    talk = Conversation()
    assert talk.greet(HERE[A], B, 100) == Forward((HERE[B],), (Install(label(B, 100), A),))
    assert talk.answer(HERE[B], A, 200, 100) == Forward((HERE[A],), (Install(label(A, 200), B),))


def test_what_is_for_the_hub_is_the_hubs() -> None:
    talk = Conversation()
    assert isinstance(talk.switch.handle(initiation(1, HUB_KEY), STRANGER, NOW), ForHub)


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        (lambda talk: talk.greet(STRANGER, B, 1), Refusal.UNKNOWN_SOURCE),
        (lambda talk: talk.greet(HERE[A], 99, 1), Refusal.NO_TARGET),
        (lambda talk: talk.greet(HERE[A], A, 1), Refusal.NO_TARGET),
        (lambda talk: talk.answer(HERE[B], A, 1, 12345), Refusal.NO_TARGET),
        (lambda talk: talk.switch.handle(b"garbage", HERE[A], NOW), Refusal.MALFORMED),
        (lambda talk: talk.switch.handle(b"\x04\0\0\0" + bytes(28), HERE[A], NOW), Refusal.MALFORMED),
    ],
)
def test_a_refused_message_is_counted_by_its_reason_and_changes_no_label(said: object, refusal: Refusal) -> None:
    talk = Conversation()
    assert said(talk) is refusal  # type: ignore[operator]
    assert talk.switch.refused == {refusal: 1}
    assert talk.switch.labels() == []


def test_the_first_owner_of_a_live_label_keeps_it() -> None:
    talk = Conversation()
    talk.greet(HERE[A], B, 100)
    assert talk.greet(HERE[C], B, 100) is Refusal.LABEL_TAKEN
    assert talk.switch.labels() == [(label(B, 100), A, NOW + LABEL_LIFETIME_S)]


def test_a_label_that_is_over_may_be_taken_by_another() -> None:
    talk = Conversation()
    talk.greet(HERE[A], B, 100)
    later = NOW + LABEL_LIFETIME_S
    assert talk.greet(HERE[C], B, 100, later) == Forward((HERE[B],), (Install(label(B, 100), C),))


def test_an_answer_from_somebody_else_than_the_one_greeted_is_refused() -> None:
    talk = Conversation()
    talk.greet(HERE[A], B, 100)
    assert talk.answer(HERE[C], A, 200, 100) is Refusal.NO_TARGET


def test_a_node_that_moves_is_answered_at_its_new_place_and_is_nobody_at_the_old_one() -> None:
    talk = Conversation()
    moved = Endpoint(bytes([203, 0, 113, 99]), 77)
    assert talk.switch.set_endpoints({B: moved}) == {B}
    assert talk.greet(HERE[A], B, 1) == Forward((moved,), (Install(label(B, 1), A),))
    assert talk.greet(HERE[B], A, 2) is Refusal.UNKNOWN_SOURCE


def test_an_endpoint_that_another_node_takes_over_is_the_new_ones() -> None:
    talk = Conversation()
    talk.switch.set_endpoints({B: HERE[A]})
    assert talk.greet(HERE[A], C, 1) == Forward((HERE[C],), (Install(label(C, 1), B),))
    talk.switch.set_endpoints({A: HERE[B]})
    assert talk.switch.places.sources == {HERE[A]: B, HERE[B]: A, HERE[C]: C}


def test_a_revoked_node_takes_its_labels_with_it_in_both_directions() -> None:
    talk = Conversation()
    talk.greet(HERE[A], B, 100)
    talk.answer(HERE[B], A, 200, 100)
    talk.greet(HERE[A], C, 300)
    dropped = talk.switch.set_nodes({A: key(A), C: key(C)})
    assert set(dropped) == {Install(label(B, 100), A), Install(label(A, 200), B)}
    assert [found for found, _, _ in talk.switch.labels()] == [label(C, 300)]
    assert talk.greet(HERE[B], A, 1) is Refusal.UNKNOWN_SOURCE
    assert talk.greet(HERE[A], B, 2) is Refusal.NO_TARGET


def test_a_node_with_another_key_is_another_node() -> None:
    talk = Conversation()
    talk.greet(HERE[A], B, 100)
    assert talk.switch.set_nodes({A: key(A), B: key(77), C: key(C)}) == [Install(label(B, 100), A)]
    assert B not in talk.switch.places.endpoints


def test_labels_of_a_node_are_bounded_and_free_again_when_they_are_over() -> None:
    talk = Conversation()
    limit = LABELS_PER_PAIR * len(HERE) + LABELS_SPARE
    for index in range(limit):
        assert isinstance(talk.greet(HERE[A], B, index), Forward)
    assert talk.greet(HERE[A], B, limit) is Refusal.LABEL_LIMIT
    assert isinstance(talk.greet(HERE[C], B, limit), Forward)
    later = NOW + LABEL_LIFETIME_S
    assert len(talk.switch.expire(later)) == limit + 1
    assert isinstance(talk.greet(HERE[A], B, limit, later), Forward)


def test_a_node_that_greets_too_often_is_slowed_and_others_are_not() -> None:
    talk = Conversation()
    answers = [talk.greet(HERE[A], B, 5) for _ in range(int(HANDSHAKE_BURST) + 1)]
    assert answers[-1] is Refusal.RATE
    assert isinstance(answers[-2], Forward)
    assert isinstance(talk.greet(HERE[C], B, 6), Forward)
    assert isinstance(talk.greet(HERE[A], B, 5, NOW + 1), Forward)


def test_a_pair_of_two_families_is_refused_by_that_name() -> None:
    talk = Conversation()
    talk.switch.set_endpoints({B: Endpoint(bytes(15) + b"\1", 2)})
    assert talk.greet(HERE[A], B, 1) is Refusal.MIXED_FAMILY


def test_saved_labels_are_taken_back_if_they_are_still_good() -> None:
    talk = Conversation()
    good = talk.switch.restore(
        [(label(B, 1), A, NOW + 10), (label(B, 2), A, NOW), (label(B, 3), 99, NOW + 10), (label(99, 4), A, NOW + 10)],
        NOW,
    )
    assert good == [Install(label(B, 1), A)]
    assert talk.greet(HERE[C], B, 1) is Refusal.LABEL_TAKEN


def test_a_member_who_forges_anothers_endpoint_does_not_get_it_while_the_other_is_there() -> None:
    talk = Conversation()
    assert talk.switch.set_endpoints({C: HERE[A], A: HERE[A]}) == set()
    assert talk.switch.places.endpoints == HERE
    assert talk.greet(HERE[A], B, 1) == Forward((HERE[B],), (Install(label(B, 1), A),))


def test_a_node_whose_place_another_has_now_is_nowhere_until_it_is_heard_again() -> None:
    talk = Conversation()
    assert talk.switch.set_endpoints({C: HERE[A]}) == {C}
    assert talk.switch.places.endpoints == {B: HERE[B], C: HERE[A]}
    assert talk.greet(HERE[B], A, 1) is Refusal.NO_TARGET


def test_nodes_that_swap_places_are_both_found() -> None:
    talk = Conversation()
    assert talk.switch.set_endpoints({A: HERE[B], B: HERE[A]}) == {A, B}
    assert talk.switch.places.endpoints == {A: HERE[B], B: HERE[A], C: HERE[C]}


@pytest.mark.parametrize("reason", [*Refusal, "flood"])
def test_every_reason_is_explained_to_operators(reason: str) -> None:
    page = Path(__file__).parents[3] / "docs/relay.md"
    assert f"| `{reason}` |" in page.read_text()


def test_announcements_install_what_their_messages_would_install_and_nothing_is_forwarded() -> None:
    talk = Conversation()
    assert talk.announce_greeting(HERE[A], B, 100) == Install(label(B, 100), A)
    assert talk.announce_answer(HERE[B], A, 200, 100) == Install(label(A, 200), B)
    assert (talk.switch.announced, talk.switch.forwarded) == (2, 0)
    assert not talk.switch.refused


def test_an_announced_answer_may_come_before_the_announcement_that_it_answers_or_without_it() -> None:
    talk = Conversation()
    assert talk.announce_answer(HERE[B], A, 200, 100) == Install(label(A, 200), B)
    assert talk.announce_greeting(HERE[A], B, 100) == Install(label(B, 100), A)


def test_a_node_that_is_not_here_may_come_later_and_finds_its_labels() -> None:
    talk = Conversation(Switch(HUB_KEY))
    talk.switch.set_nodes({A: key(A), B: key(B), 14: key(14)})
    assert talk.announce_greeting(HERE[A], 14, 100) == Install(label(14, 100), A)
    assert talk.greet(HERE[A], 14, 101) is Refusal.NO_TARGET


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        (lambda talk: talk.announce_greeting(STRANGER, B, 1), Refusal.UNKNOWN_SOURCE),
        (lambda talk: talk.announce_answer(STRANGER, B, 1, 2), Refusal.UNKNOWN_SOURCE),
        (lambda talk: talk.announce_greeting(HERE[A], 99, 1), Refusal.NO_TARGET),
        (lambda talk: talk.announce_greeting(HERE[A], A, 1), Refusal.NO_TARGET),
        (lambda talk: talk.switch.handle(announce(initiation(1, HUB_KEY)), HERE[A], NOW), Refusal.NO_TARGET),
        (lambda talk: talk.switch.handle(announce(initiation())[:-1], HERE[A], NOW), Refusal.MALFORMED),
        (lambda talk: talk.switch.handle(b"\x03\x01\0\0" + bytes(60), HERE[A], NOW), Refusal.MALFORMED),
    ],
)
def test_a_refused_announcement_is_counted_by_its_reason_and_changes_no_label(said: object, refusal: Refusal) -> None:
    talk = Conversation()
    assert said(talk) is refusal  # type: ignore[operator]
    assert talk.switch.refused == {refusal: 1}
    assert (talk.switch.labels(), talk.switch.announced) == ([], 0)


def test_an_announcement_takes_no_label_from_its_owner_and_renews_its_own() -> None:
    talk = Conversation()
    talk.greet(HERE[A], B, 100)
    assert talk.announce_greeting(HERE[C], B, 100) is Refusal.LABEL_TAKEN
    assert talk.announce_greeting(HERE[A], B, 100, NOW + 10) == Install(label(B, 100), A)
    assert talk.switch.labels() == [(label(B, 100), A, NOW + 10 + LABEL_LIFETIME_S)]


def test_announcements_and_handshakes_share_one_bound_of_labels_and_one_of_messages() -> None:
    talk = Conversation()
    limit = LABELS_PER_PAIR * len(HERE) + LABELS_SPARE
    for index in range(limit):
        assert isinstance((talk.greet if index % 2 else talk.announce_greeting)(HERE[A], B, index), Forward | Install)
    assert talk.announce_greeting(HERE[A], B, limit) is Refusal.LABEL_LIMIT
    answers = [talk.announce_greeting(HERE[B], A, 5) for _ in range(int(HANDSHAKE_BURST) + 1)]
    assert isinstance(answers[-2], Install)
    assert answers[-1] is Refusal.RATE


def test_an_announced_session_between_two_families_is_refused_by_that_name() -> None:
    talk = Conversation()
    talk.switch.set_endpoints({B: Endpoint(bytes(15) + b"\1", 2)})
    assert talk.announce_greeting(HERE[A], B, 1) is Refusal.MIXED_FAMILY
