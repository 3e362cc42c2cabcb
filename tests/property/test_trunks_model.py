"""Several hubs and nodes that come and go at each of them: no message runs in circles, no data ends where it should not, and whoever can be reached is."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from spokewire.relay.switch import Forward
from tests.property.relay_hubs import NODES, Hubs, node_place

HUBS = (1, 2, 3)
pairs = st.sampled_from([(one, other) for one in NODES for other in NODES if one != other])
picks = st.integers(0, 5)


@dataclass(frozen=True)
class Session:
    """Who has claimed which index, for what the other sends."""

    caller: int
    called: int
    index: int
    answer: int


class HubsAndNodes(RuleBasedStateMachine):
    """`hears` is the truth that the hubs believe: where each node is heard now."""

    def __init__(self) -> None:
        super().__init__()
        self.hubs = Hubs({number: [] for number in HUBS})
        self.hears: dict[int, set[int]] = {number: set() for number in HUBS}
        self.sessions: list[Session] = []
        self.next_index = 1

    @initialize(places=st.lists(st.sampled_from(HUBS), min_size=len(NODES), max_size=len(NODES)))
    def settle(self, places: list[int]) -> None:
        for node, hub in zip(NODES, places, strict=True):
            self.come(node, hub)

    @rule(node=st.sampled_from(NODES), hub=st.sampled_from(HUBS))
    def come(self, node: int, hub: int) -> None:
        self.hubs.hear(hub, [node])
        self.hears[hub].add(node)

    @rule(node=st.sampled_from(NODES), hub=st.sampled_from(HUBS))
    def go(self, node: int, hub: int) -> None:
        if node in self.hears[hub]:
            self.hubs.lose(hub, node)
            self.hears[hub].remove(node)

    @rule(passing_s=st.sampled_from([1.0, 60.0]))
    def wait(self, passing_s: float) -> None:
        """No label is over: each handshake renews what it claims, and none here is older than four minutes."""
        self.hubs.now += passing_s
        for switch in self.hubs.switches.values():
            over = switch.expire(self.hubs.now)
            for label in over:
                self.hubs.kernels[self._number(switch)].pop(label)

    @rule(pair=pairs, near=picks, far=picks, announces=st.booleans(), early=st.booleans())
    def shake_hands(self, pair: tuple[int, int], near: int, far: int, announces: bool, early: bool) -> None:
        (one, other), index = pair, self.next_index
        ways = self.where(one)
        if not ways:
            return
        self.next_index += 2
        hub = ways[near % len(ways)]
        if announces and early:
            self.announce_greeting(one, other, index, hub)
        begun = len(self.hubs.decisions)
        reached = self.hubs.greet(one, hub, other, index)
        assert reached == ({other} if self.where(other) else set())
        arrived = [
            number
            for number, decision in self.hubs.decisions[begun:]
            if isinstance(decision, Forward) and node_place(other) in decision.to and other in self.hears[number]
        ]
        if announces and not early:
            self.announce_greeting(one, other, index, hub)
        if arrived:
            back = arrived[far % len(arrived)]
            assert self.hubs.answer(other, back, one, index + 1, index) == {one}
            if announces:
                for number in set(self.where(other)) - {back}:
                    self.hubs.announce_answer(other, number, one, index + 1, index)
            assert self.hubs.pass_data(one, hub, index + 1) == other
            assert self.hubs.pass_data(other, back, index) == one
            self.sessions.append(Session(one, other, index, index + 1))
            if announces:
                self.may_move(self.sessions[-1])

    def announce_greeting(self, one: int, other: int, index: int, but: int) -> None:
        for number in set(self.where(one)) - {but}:
            self.hubs.announce_greeting(one, number, other, index)

    def may_move(self, session: Session) -> None:
        """A session that was announced goes on at each hub that hears both."""
        for hub in set(self.where(session.caller)) & set(self.where(session.called)):
            assert self.hubs.pass_data(session.caller, hub, session.answer) == session.called
            assert self.hubs.pass_data(session.called, hub, session.index) == session.caller

    @precondition(lambda self: self.sessions)
    @rule(pick=st.integers(0, 9), node=st.sampled_from(NODES), hub=st.sampled_from(HUBS), is_answer=st.booleans())
    def send_data(self, pick: int, node: int, hub: int, is_answer: bool) -> None:
        """Whoever sends with an index: it ends at whoever claimed it, if it was claimed towards the sender, or nowhere."""
        if node not in self.hears[hub]:
            return
        session = self.sessions[-1 - pick % len(self.sessions)]
        index = session.answer if is_answer else session.index
        claimant, towards = (session.called, session.caller) if is_answer else (session.caller, session.called)
        ends = self.hubs.pass_data(node, hub, index)
        assert ends is None or (ends == claimant and node == towards)

    @invariant()
    def no_label_leads_from_a_trunk_to_a_trunk(self) -> None:
        for kernel in self.hubs.kernels.values():
            assert not any(label.source in HUBS and target in HUBS for label, target in kernel.items())

    @invariant()
    def the_kernels_hold_what_the_switches_say(self) -> None:
        for number, switch in self.hubs.switches.items():
            assert {label: target for label, target, _ in switch.labels()} == self.hubs.kernels[number]

    def where(self, node: int) -> list[int]:
        return [hub for hub in HUBS if node in self.hears[hub]]

    def _number(self, switch: object) -> int:
        return next(number for number, other in self.hubs.switches.items() if other is switch)


TestHubsAndNodes = HubsAndNodes.TestCase
TestHubsAndNodes.settings = settings(
    max_examples=200, stateful_step_count=40, deadline=None, database=None, print_blob=True
)
