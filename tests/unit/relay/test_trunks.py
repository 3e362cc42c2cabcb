"""Trunks between hubs: nodes that no hub hears both of."""

import pytest

from spokewire.relay.labels import Install, Label
from spokewire.relay.members import HANDSHAKE_BURST, LABELS_PER_TRUNK, TRUNK_FACTOR
from spokewire.relay.messages import Index, announce
from spokewire.relay.places import Endpoint
from spokewire.relay.switch import Forward, Refusal, Switch
from tests.property.relay_hubs import A, B, C, Hubs, hub_place, key, node_place
from tests.unit.relay.test_messages import initiation, response


def label(source: int, index: int) -> Label:
    return Label(source, Index(index))


def shake_hands(hubs: Hubs, first: tuple[int, int], second: tuple[int, int], index: int = 100) -> None:
    """A node at a hub greets another at another, which answers; data must pass both ways then."""
    (one, near), (other, far) = first, second
    assert other in hubs.greet(one, near, other, index)
    assert hubs.answer(other, far, one, index + 1, index) == {one}
    assert hubs.pass_data(one, near, index + 1) == other
    assert hubs.pass_data(other, far, index) == one


@pytest.mark.parametrize(
    ("here", "near", "far"),
    [
        ({1: [A], 2: [B]}, 1, 2),
        ({1: [A], 2: [B], 3: []}, 1, 2),
        ({1: [], 2: [A], 3: [B, C]}, 2, 3),
        ({1: [A, B], 2: [A, B]}, 1, 1),
        ({1: [A], 2: [A, B]}, 2, 2),
    ],
)
def test_two_nodes_shake_hands_and_exchange_data_whichever_hubs_hear_them(
    here: dict[int, list[int]], near: int, far: int
) -> None:
    hubs = Hubs(here)
    shake_hands(hubs, (A, near), (B, far))
    shake_hands(hubs, (B, far), (A, near), 200)


def test_the_two_hubs_install_one_label_for_each_of_themselves_and_each_way() -> None:
    hubs = Hubs({1: [A], 2: [B]})
    shake_hands(hubs, (A, 1), (B, 2))
    trunk = {label(2, 100): A, label(A, 101): 2}
    assert trunk.items() <= hubs.kernels[1].items()
    assert {label(B, 100): 1, label(1, 101): B}.items() <= hubs.kernels[2].items()
    others = hubs.kernels[1].keys() - trunk.keys()
    assert others == {label(B, 100)}, "B may come, and go on with the session"


def test_a_node_that_two_other_hubs_hear_gets_a_handshake_from_both_and_may_answer_by_either() -> None:
    for far, other in ((2, 3), (3, 2)):
        hubs = Hubs({1: [A], 2: [B], 3: [B]})
        assert hubs.greet(A, 1, B, 100) == {B}
        assert [hub for hub, _ in hubs.decisions] == [1, 2, 3]
        assert hubs.answer(B, far, A, 101, 100) == {A}
        assert hubs.pass_data(A, 1, 101) == B
        assert hubs.pass_data(B, far, 100) == A
        assert hubs.pass_data(B, other, 100) == A


def test_what_came_by_a_trunk_never_leaves_by_one() -> None:
    hubs = Hubs({1: [A], 2: [], 3: [B]})
    for source in (1, 3):
        decision = hubs.switches[2].handle(initiation(5, key(B)), hub_place(source), hubs.now)
        assert decision is Refusal.NO_TARGET
    hubs.hear(2, [B])
    hubs.lose(2, B)
    decision = hubs.switches[2].handle(initiation(5, key(B)), hub_place(1), hubs.now, {B})
    assert decision == Forward((node_place(B),), (Install(label(B, 5), 1),))


def test_a_node_that_nobody_hears_is_looked_for_everywhere_and_awaited() -> None:
    hubs = Hubs({1: [A], 2: [], 3: []})
    assert hubs.greet(A, 1, B, 100) == set()
    (hub, decision) = hubs.decisions[0]
    assert hub == 1
    assert isinstance(decision, Forward)
    assert decision.to == (hub_place(2), hub_place(3))
    assert decision.is_awaited
    assert hubs.decisions[1:] == [(2, Refusal.NO_TARGET), (3, Refusal.NO_TARGET)]
    assert not any(switch.refused.total() for switch in hubs.switches.values()), "it is no fault of anybody's"


def test_a_node_that_has_gone_silent_here_is_looked_for_here_and_behind_the_trunks() -> None:
    hubs = Hubs({1: [A, B], 2: [B]})
    shake_hands(hubs, (A, 1), (B, 1))
    hubs.lose(1, B)
    assert hubs.pass_data(A, 1, 101) is None
    assert hubs.greet(A, 1, B, 200) == {B}
    decision = next(decision for hub, decision in hubs.decisions[::-1] if hub == 1)
    assert isinstance(decision, Forward)
    assert decision.to == (node_place(B), hub_place(2))
    assert not decision.is_awaited
    assert hubs.answer(B, 2, A, 201, 200) == {A}
    assert hubs.pass_data(A, 1, 201) == B
    assert hubs.pass_data(B, 2, 200) == A


def test_a_node_that_is_heard_is_not_looked_for_elsewhere() -> None:
    hubs = Hubs({1: [A, B], 2: [A, B]})
    hubs.greet(A, 1, B, 100)
    assert [hub for hub, _ in hubs.decisions] == [1]


def test_a_node_that_comes_from_the_other_hub_goes_on_with_its_session_at_this_one() -> None:
    hubs = Hubs({1: [A], 2: [B]})
    shake_hands(hubs, (A, 1), (B, 2))
    hubs.hear(1, [B])
    assert hubs.pass_data(B, 1, 100) == A
    assert hubs.pass_data(A, 1, 101) == B, "still through the trunk, as long as hub-2 hears B"
    shake_hands(hubs, (A, 1), (B, 1), 200)
    hubs.lose(2, B)
    assert hubs.pass_data(A, 1, 201) == B


def test_a_node_that_the_other_hub_hears_too_has_its_labels_there_and_may_move() -> None:
    hubs = Hubs({1: [A], 2: [A, B]})
    shake_hands(hubs, (A, 1), (B, 2))
    hubs.announce_greeting(A, 2, B, 100)
    assert hubs.kernels[2][label(B, 100)] == A, "its own word counts for more than a trunk's"
    assert hubs.pass_data(A, 2, 101) == B
    assert hubs.pass_data(B, 2, 100) == A


def test_an_announcement_that_comes_before_the_trunks_copy_keeps_its_label_and_the_handshake_goes_on() -> None:
    hubs = Hubs({1: [A], 2: [A, B]})
    hubs.announce_greeting(A, 2, B, 100)
    assert hubs.greet(A, 1, B, 100) == {B}
    assert hubs.kernels[2][label(B, 100)] == A
    assert hubs.answer(B, 2, A, 101, 100) == {A}
    assert hubs.pass_data(B, 2, 100) == A
    assert hubs.pass_data(A, 2, 101) == B


def test_an_answer_goes_back_by_both_ways_when_the_greeting_came_by_both() -> None:
    hubs = Hubs({1: [A], 2: [A, B]})
    hubs.greet(A, 1, B, 100)
    hubs.announce_greeting(A, 2, B, 100)
    assert hubs.answer(B, 2, A, 101, 100) == {A}
    assert hubs.pass_data(A, 1, 101) == B, "the way that was chosen"
    assert hubs.pass_data(A, 2, 101) == B, "the way by which the answer may have come first"


def test_the_other_hub_cannot_take_a_label_of_a_node_even_before_the_node_claims_it() -> None:
    hubs = Hubs({1: [C], 2: [A, B]})
    assert hubs.send(initiation(100, key(B)), 2, hub_place(1)) == {B}
    assert hubs.kernels[2][label(B, 100)] == 1
    shake_hands(hubs, (A, 2), (B, 2))
    assert hubs.send(initiation(100, key(B)), 2, hub_place(1)) == {B}
    assert hubs.send(response(101, 100, key(A)), 2, hub_place(1)) == set()
    assert (hubs.kernels[2][label(B, 100)], hubs.kernels[2][label(A, 101)]) == (A, B)


def test_one_trunk_cannot_take_a_label_of_another() -> None:
    hubs = Hubs({1: [], 2: [B], 3: []})
    hubs.send(initiation(100, key(B)), 2, hub_place(1))
    assert hubs.switches[2].handle(initiation(100, key(B)), hub_place(3), hubs.now) is Refusal.LABEL_TAKEN


@pytest.mark.parametrize(
    ("packet", "refusal"),
    [
        (announce(initiation(1, key(B))), Refusal.UNKNOWN_SOURCE),
        (initiation(1, key(99)), Refusal.NO_TARGET),
        (initiation(1, key(C)), Refusal.NO_TARGET),
        (response(1, 2, key(B)), Refusal.NO_TARGET),
        (b"\x03\0\0\0" + bytes(60), Refusal.NO_TARGET),
        (b"\x04\0\0\0" + bytes(28), Refusal.MALFORMED),
        (b"garbage", Refusal.MALFORMED),
    ],
    ids=["announcement", "for nobody", "for a node that is not here", "answer to nothing", "cookie", "data", "garbage"],
)
def test_what_a_hub_may_not_say_to_another_is_refused_and_changes_no_label(packet: bytes, refusal: Refusal) -> None:
    hubs = Hubs({1: [A], 2: [B]})
    assert hubs.switches[2].handle(packet, hub_place(1), hubs.now) is refusal
    assert hubs.switches[2].labels() == []


def test_a_request_for_a_cookie_finds_its_way_back_through_the_trunk() -> None:
    hubs = Hubs({1: [A], 2: [B]})
    hubs.greet(A, 1, B, 100)
    cookie = b"\x03\0\0\0" + (100).to_bytes(4, "little") + bytes(56)
    assert hubs.send(cookie, 2, node_place(B)) == {A}


def test_an_answer_for_somebody_else_than_the_one_behind_the_trunk_goes_nowhere() -> None:
    hubs = Hubs({1: [A], 2: [B]})
    hubs.greet(A, 1, B, 100)
    assert hubs.answer(B, 2, C, 101, 100) == set()
    assert hubs.switches[1].refused == {Refusal.NO_TARGET: 1}


def test_a_hub_that_leaves_the_network_takes_its_labels_with_it() -> None:
    hubs = Hubs({1: [A], 2: [B]})
    shake_hands(hubs, (A, 1), (B, 2))
    switch = hubs.switches[1]
    assert {install.label for install in switch.set_trunks({})} == {label(2, 100), label(A, 101)}
    switch.set_endpoints({})
    assert switch.handle(initiation(7, key(A)), hub_place(2), hubs.now) is Refusal.UNKNOWN_SOURCE
    assert switch.handle(initiation(7, key(B)), node_place(A), hubs.now) is Refusal.NO_TARGET


def test_labels_of_trunks_survive_a_restart_of_the_daemon() -> None:
    hubs = Hubs({1: [A], 2: [B]})
    shake_hands(hubs, (A, 1), (B, 2))
    fresh = Switch(key(201))
    fresh.set_nodes({node: key(node) for node in (A, B)})
    fresh.set_trunks({2: []})
    restored = fresh.restore(hubs.switches[1].labels(), hubs.now)
    assert {install.label: install.target for install in restored} == hubs.kernels[1]


@pytest.mark.parametrize("taken", [hub_place(2), Endpoint(bytes(15) + b"\2", 51820)])
def test_a_member_who_forges_a_hubs_endpoint_does_not_get_it(taken: Endpoint) -> None:
    switch = Switch(key(201))
    switch.set_nodes({A: key(A), B: key(B)})
    switch.set_trunks({2: [hub_place(2), Endpoint(bytes(15) + b"\2", 51820)]})
    switch.set_endpoints({A: node_place(A)})
    assert switch.set_endpoints({B: taken}) == set()
    assert switch.places.sources[taken] == 2


def test_a_hub_that_lies_about_its_endpoint_takes_no_place_from_a_node_or_from_another_hub() -> None:
    switch = Switch(key(201))
    switch.set_nodes({A: key(A)})
    switch.set_trunks({2: [hub_place(2)]})
    switch.set_endpoints({A: node_place(A)})
    switch.set_trunks({1: [hub_place(2)], 2: [hub_place(2)], 3: [node_place(A)]})
    switch.set_endpoints({A: node_place(A)})
    assert switch.places.sources == {node_place(A): A, hub_place(2): 2}
    assert set(switch.places.trunks) == {2}


def test_a_hub_that_moves_is_reached_at_its_new_place_and_is_nobody_at_the_old_one() -> None:
    hubs = Hubs({1: [A], 2: [B]})
    switch = hubs.switches[1]
    switch.set_trunks({2: [hub_place(9)]})
    switch.set_endpoints({})
    assert switch.handle(initiation(5, key(A)), hub_place(2), hubs.now) is Refusal.UNKNOWN_SOURCE
    decision = switch.handle(initiation(5, key(B)), node_place(A), hubs.now)
    assert isinstance(decision, Forward)
    assert decision.to == (hub_place(9),)


def test_a_trunk_is_used_in_the_family_of_the_sender_only() -> None:
    six = Endpoint(bytes(15) + b"\2", 51820)
    switch = Switch(key(201))
    switch.set_nodes({A: key(A), B: key(B), C: key(C)})
    switch.set_trunks({2: [hub_place(2), six], 3: [hub_place(3)]})
    switch.set_endpoints({A: node_place(A), C: Endpoint(bytes(15) + b"\7", 7)})
    four = switch.handle(initiation(5, key(B)), node_place(A), 1.0)
    other = switch.handle(initiation(6, key(B)), Endpoint(bytes(15) + b"\7", 7), 1.0)
    assert isinstance(four, Forward)
    assert isinstance(other, Forward)
    assert (four.to, other.to) == ((hub_place(2), hub_place(3)), (six,))
    assert set(switch.places.destinations) >= {(2, six), (2, hub_place(2)), (3, hub_place(3))}


def test_a_trunk_has_bounds_of_its_own_and_leaves_the_nodes_theirs() -> None:
    hubs = Hubs({1: [], 2: [A, B]})
    switch = hubs.switches[2]
    answers = [
        switch.handle(initiation(5, key(B)), hub_place(1), 1.0) for _ in range(int(TRUNK_FACTOR * HANDSHAKE_BURST) + 1)
    ]
    assert answers[-1] is Refusal.RATE
    assert isinstance(answers[-2], Forward)
    now = 2.0
    for index in range(LABELS_PER_TRUNK):
        now += 0.001
        decision = switch.handle(initiation(index, key(B)), hub_place(1), now)
        assert isinstance(decision, Forward)
    assert switch.handle(initiation(LABELS_PER_TRUNK, key(B)), hub_place(1), now) is Refusal.LABEL_LIMIT
    assert isinstance(switch.handle(initiation(7, key(B)), node_place(A), now), Forward)
    assert switch.trunked[1] == int(TRUNK_FACTOR * HANDSHAKE_BURST) + LABELS_PER_TRUNK
