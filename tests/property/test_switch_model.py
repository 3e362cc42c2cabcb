"""The relay's switch against an oracle written from the WireGuard paper: members come, go, move and forge; strangers try everything.

Every run is the same. Another one: SEED=7 python -m pytest tests/property/test_switch_model.py
"""

import os

from hypothesis import HealthCheck, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from spokewire.relay.labels import Install, Label
from spokewire.relay.messages import Index
from spokewire.relay.places import Endpoint
from spokewire.relay.switch import Forward, Switch
from tests.property.relay_cast import (
    HUB_KEY,
    NOWHERE,
    NUMBERS,
    PLACES,
    describe,
    fillings,
    garblings,
    indices,
    key,
    limit,
    numbers,
    pairs,
    recipients,
    reports,
    speakers,
)
from tests.property.relay_model import (
    BURST,
    RATE,
    Key,
    Model,
    Place,
    Said,
    announce,
    cookie_reply,
    garble,
    initiation,
    is_handshake,
    response,
)

SEED = int(os.environ.get("SEED", "3"))


@seed(SEED)
class SwitchAndModel(RuleBasedStateMachine):
    """Both hear the same; `kernel` is what the tables would hold, which only the switch's answers fill."""

    heard = Bundle("heard")

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000.0
        self.switch, self.model = Switch(HUB_KEY), Model(HUB_KEY)
        self.kernel: dict[Label, tuple[int, float]] = {}
        self.crowds = 0
        """The rules with hundreds of messages are for once in a run."""

    @initialize()
    def settle(self) -> None:
        """Everybody is there; the last of them speaks IPv6."""
        note(f"SEED={SEED}")
        self.change_members({number: key(number, 0) for number in NUMBERS})
        self.move(dict(zip(NUMBERS, PLACES, strict=False)))

    def change_members(self, keys: dict[int, Key]) -> None:
        over = self.model.change_members(keys)
        dropped = self.switch.set_nodes(keys)
        for install in dropped:
            label = (install.label.source, int(install.label.index))
            assert label in over or {label[0], install.target} - keys.keys()
            self.kernel.pop(install.label, None)
        assert not any(self.is_live(label) for label in over)

    @rule(number=numbers, generation=st.sampled_from([None, 0, 1]))
    def join_leave_or_change_key(self, number: int, generation: int | None) -> None:
        others = {n: k for n, k in self.model.keys.items() if n != number}
        self.change_members(others if generation is None else others | {number: key(number, generation)})

    @rule(seen=reports)
    def move(self, seen: dict[int, Place]) -> None:
        before = dict(self.model.places)
        self.model.report(seen)
        moved = self.switch.set_endpoints({number: Endpoint(*place) for number, place in seen.items()})
        assert moved == {n for n, place in self.model.places.items() if before.get(n) != place}

    @rule(pair=pairs)
    def swap_places(self, pair: tuple[int, int]) -> None:
        one, other = pair
        where = self.model.places
        if one in where and other in where:
            self.move({one: where[other], other: where[one]})

    @rule(pair=pairs)
    def forge_anothers_place(self, pair: tuple[int, int]) -> None:
        """WireGuard believes the source address of a valid packet: a member's hub session seems to come from where another is."""
        forger, victim = pair
        before = dict(self.model.places)
        if victim in before:
            self.move(dict(reversed((before | {forger: before[victim]}).items())))
            assert self.model.places == before

    @rule(passing_s=st.sampled_from([0.004, 1.0, 9.0, 60.0, 120.0]))
    def wait(self, passing_s: float) -> None:
        self.now += passing_s

    @precondition(lambda self: self.model.live_labels(self.now))
    @rule(pick=st.integers(0, 2), moment_s=st.sampled_from([-0.001, 0.0, 0.001]), sweeps=st.booleans())
    def wait_for_the_end_of_a_label(self, pick: int, moment_s: float, sweeps: bool) -> None:
        ends = sorted({until for _, until in self.model.labels.values() if until > self.now})
        self.now = max(self.now, ends[pick % min(3, len(ends))] + moment_s)
        if sweeps:
            self.sweep()

    @rule()
    def sweep(self) -> None:
        self.switch.expire(self.now)
        assert {(label.source, label.index) for label, _, _ in self.switch.labels()} == set(
            self.model.live_labels(self.now)
        )
        assert self.switch.label_count == len(self.model.live_labels(self.now))

    @rule()
    def restart(self) -> None:
        """The hub's daemon starts again with the labels it saved, and reads the places anew."""
        saved, places = self.switch.labels(), dict(self.model.places)
        hub = Switch(HUB_KEY)
        hub.refused, hub.forwarded, hub.announced = self.switch.refused, self.switch.forwarded, self.switch.announced
        self.switch, self.model.places, self.model.allowance = hub, {}, {}
        hub.set_nodes(self.model.keys)
        restored = hub.restore(reversed(saved), self.now)
        assert {(install.label.source, install.label.index): install.target for install in restored} == (
            self.model.live_labels(self.now)
        )
        self.move(places)

    @rule(target=heard, speaker=speakers, to=recipients, sender=indices, filling=fillings)
    def initiate(self, speaker: int, to: Key, sender: int, filling: bytes) -> Said:
        return self.say(initiation(sender, to, filling), self.where(speaker))

    @rule(target=heard, speaker=speakers, to=recipients, sender=indices, receiver=indices, filling=fillings)
    def respond(self, speaker: int, to: Key, sender: int, receiver: int, filling: bytes) -> Said:
        return self.say(response(sender, receiver, to, filling), self.where(speaker))

    @rule(target=heard, speaker=speakers, receiver=indices, filling=fillings)
    def ask_for_a_cookie(self, speaker: int, receiver: int, filling: bytes) -> Said:
        return self.say(cookie_reply(receiver, filling), self.where(speaker))

    @rule(between=st.lists(st.tuples(pairs, indices, indices), min_size=1, max_size=6), filling=fillings)
    def shake_hands(self, between: list[tuple[tuple[int, int], int, int]], filling: bytes) -> None:
        where, keys = self.model.places, self.model.keys
        for (one, other), first, second in between:
            self.now += 0.01
            if one in where and other in where:
                self.say(initiation(first, keys[other], filling), where[one])
                self.say(response(second, first, keys[one], filling), where[other])

    @precondition(lambda self: self.model.labels)
    @rule(claims=st.lists(st.tuples(numbers, st.integers(0, 999)), min_size=1, max_size=4), filling=fillings)
    def claim_anothers_label(self, claims: list[tuple[int, int]], filling: bytes) -> None:
        for thief, pick in claims:
            label, owner = self.pick_label(pick)
            was_live = self.is_live(label)
            self.say(initiation(label[1], self.model.keys[label[0]], filling), self.where(thief))
            assert not was_live or self.is_live(label, owner)

    @precondition(lambda self: self.model.labels)
    @rule(picks=st.lists(st.integers(0, 999), min_size=1, max_size=4), sender=indices, filling=fillings)
    def use_labels(self, picks: list[int], sender: int, filling: bytes) -> None:
        """Labels that are over are as good as none."""
        for pick in picks:
            (source, index), owner = self.pick_label(pick)
            self.say(cookie_reply(index, filling), self.where(source))
            self.say(response(sender, index, self.model.keys[owner], filling), self.where(source))

    @rule(said=heard, speaker=speakers)
    def announce_what_was_said(self, said: Said, speaker: int) -> None:
        """The same node to another hub, or anybody who has seen it on its way."""
        if said.is_sound:
            self.say(announce(said), self.where(speaker))

    @rule(between=st.lists(st.tuples(pairs, indices, indices, st.booleans()), min_size=1, max_size=6), filling=fillings)
    def announce_sessions(self, between: list[tuple[tuple[int, int], int, int, bool]], filling: bytes) -> None:
        """As the other hub hears them: either half may be lost, or come first."""
        keys = self.model.keys
        for (one, other), first, second, answer_first in between:
            if one in keys and other in keys:
                halves = [
                    (announce(initiation(first, keys[other], filling)), self.where(one)),
                    (announce(response(second, first, keys[one], filling)), self.where(other)),
                ]
                for said, source in reversed(halves) if answer_first else halves:
                    self.say(said, source)

    @rule(said=heard, speaker=speakers)
    def replay(self, said: Said, speaker: int) -> None:
        self.say(said, self.where(speaker))

    @rule(said=heard, speaker=speakers, how=garblings, at=st.integers(0, 2000))
    def spoil(self, said: Said, speaker: int, how: str, at: int) -> None:
        if said.is_sound and (how != "mac1" or said.to is not None):
            self.say(garble(said, how, at), self.where(speaker))

    @rule(packet=st.binary(max_size=160), speaker=speakers)
    def babble(self, packet: bytes, speaker: int) -> None:
        if not is_handshake(packet):
            assert self.switch.handle(packet, Endpoint(*self.where(speaker)), self.now) == "malformed"
            self.model.refused["malformed"] += 1

    @precondition(lambda self: self.crowds < 1)
    @rule(pair=pairs, later_s=st.sampled_from([0.0, 215.0, 240.0]), restarts=st.booleans())
    def announce_very_many(self, pair: tuple[int, int], later_s: float, restarts: bool) -> None:
        """One more than allowed, half of them later than the others; then, when some or all of them are over, again."""
        one, other = pair
        where, keys = self.model.places, self.model.keys
        if one in where and other in where and len(where[one][0]) == len(where[other][0]):
            self.crowds += 1
            for start in (1000, 2000):
                for sender in range(start, start + limit(len(keys)) + 1):
                    self.now += 50 if sender == start + 40 else 0
                    self.say(initiation(sender, keys[other], b"."), where[one])
                self.now += later_s
                if restarts:
                    self.restart()

    @precondition(lambda self: self.crowds < 1)
    @rule(number=numbers, pause_s=st.sampled_from([0.25, 1.0]))
    def talk_far_too_much(self, number: int, pause_s: float) -> None:
        if number in self.model.places:
            self.crowds += 1
            for count in (int(BURST) + 3, int(pause_s * RATE) + 3):
                for _ in range(count):
                    self.say(cookie_reply(77, b"."), self.model.places[number])
                self.now += pause_s

    @rule(speaker=speakers, index=indices)
    def send_data(self, speaker: int, index: int) -> None:
        """The kernel's way: source endpoint, then label, then the target's endpoint. It must end at whoever announced that index to the sender."""
        source = self.where(speaker)
        sender = self.switch.places.sources.get(Endpoint(*source))
        found = None if sender is None else self.kernel.get(Label(sender, Index(index)))
        target = found[0] if found is not None and found[1] > self.now else None
        wanted = self.model.live_labels(self.now).get((self.model.who_is_at(source) or 0, index))
        assert target == wanted
        assert self.switch.places.endpoints.get(target or 0) == self.endpoint_of(wanted)

    @invariant()
    def places_are_the_same(self) -> None:
        assert {n: (e.address, e.port) for n, e in self.switch.places.endpoints.items()} == self.model.places
        assert {n: e for e, n in self.switch.places.sources.items()} == self.switch.places.endpoints

    @invariant()
    def live_labels_are_the_same_in_the_switch_in_the_kernel_and_in_the_model(self) -> None:
        model = self.model.live_labels(self.now)
        kernel = {(at.source, at.index): target for at, (target, until) in self.kernel.items() if until > self.now}
        switch = {(at.source, at.index): target for at, target, until in self.switch.labels() if until > self.now}
        assert switch == model
        assert kernel == model

    @invariant()
    def nothing_leads_to_or_from_who_is_no_member(self) -> None:
        for label, target, _ in self.switch.labels():
            assert {label.source, target} <= self.model.keys.keys()

    @invariant()
    def nobody_has_more_labels_than_allowed(self) -> None:
        owners = list(self.model.live_labels(self.now).values())
        assert all(owners.count(number) <= limit(len(NUMBERS)) for number in set(owners))

    @invariant()
    def everything_is_counted(self) -> None:
        assert self.switch.refused == self.model.refused
        assert (self.switch.forwarded, self.switch.announced) == (self.model.passed, self.model.noted)

    def where(self, speaker: int) -> Place:
        return self.model.places.get(speaker, NOWHERE)

    def say(self, said: Said, source: Place) -> Said:
        """Both hear it and must agree; the label is in the kernel before the message would leave."""
        wanted = self.model.hear(said, source, self.now)
        decision = self.switch.handle(said.packet, Endpoint(*source), self.now)
        assert describe(decision) == wanted
        for install in decision.installs if isinstance(decision, Forward) else (decision,):
            if isinstance(install, Install):
                self.kernel[install.label] = (install.target, self.now + 240)
        return said

    def pick_label(self, pick: int) -> tuple[tuple[int, int], int]:
        label = list(self.model.labels)[-1 - pick % min(8, len(self.model.labels))]
        return label, self.model.labels[label][0]

    def is_live(self, label: tuple[int, int], owner: int | None = None) -> bool:
        found = self.kernel.get(Label(label[0], Index(label[1])))
        return found is not None and found[1] > self.now and owner in (None, found[0])

    def endpoint_of(self, number: int | None) -> Endpoint | None:
        place = None if number is None else self.model.places.get(number)
        return None if place is None else Endpoint(*place)


TestSwitchAndModel = SwitchAndModel.TestCase
TestSwitchAndModel.settings = settings(
    max_examples=250,
    stateful_step_count=50,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
