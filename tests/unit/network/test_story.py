"""The story of a network in sentences, and what may stand in it."""

import pytest

from spokewire.errors import InputError
from spokewire.network.events import MAX_TEXT, Event, NodeHistory, hide_endpoints, parse_span, shorten
from spokewire.network.status import State
from spokewire.network.story import Sentence, tell_span, tell_start, tell_story

UP, DOWN, POOR, NEW = State.CONNECTED, State.DISCONNECTED, State.DEGRADED, State.STARTING
Step = tuple[float, str, str, State | None, str]


def change(at: float, subject: str, before: State, after: State, text: str = "echoes come back") -> Event:
    return Event(at=at, code="state-changed", subject=subject, kind="peer", before=before, after=after, text=text)


def other(at: float, code: str, subject: str, text: str) -> Event:
    return Event(at=at, code=code, subject=subject, text=text)


def tell(*events: Event, node: str = "node-1", now: float = 1000) -> NodeHistory:
    return NodeHistory(node=node, network="demo", since=0, complete=True, events=list(events), time=now)


def lines(*histories: NodeHistory) -> list[tuple[float, str]]:
    return [(sentence.at, sentence.text) for sentence in tell_story(histories)]


CUT = change(100, "node-2", UP, DOWN, "no echo for 4 s")
BACK = change(114, "node-2", DOWN, UP)


@pytest.mark.parametrize(
    ("events", "story"),
    [
        ([], []),
        ([change(5, "node-2", NEW, UP)], [(5, "node-2 was connected: echoes come back")]),
        ([CUT, BACK], [(100, "node-2 was disconnected for 14 s: no echo for 4 s")]),
        ([CUT], [(100, "node-2 has been disconnected for 15 min: no echo for 4 s")]),
        (
            [CUT, other(104, "fix-failed", "node-2", "a new handshake"), other(110, "fix-worked", "node-2", "the next hub"), BACK],
            [(100, "node-2 was disconnected for 14 s: no echo for 4 s; tried without success: a new handshake; cured by the next hub")],
        ),
        (
            [CUT, other(110, "fix-worked", "node-1", "a new interface"), BACK],
            [(100, "node-2 was disconnected for 14 s: no echo for 4 s; cured by a new interface")],
        ),
        (
            [CUT, other(110, "fix-worked", "node-3", "a new handshake"), BACK],
            [(100, "node-2 was disconnected for 14 s: no echo for 4 s"), (110, "node-3: cured by a new handshake")],
        ),
        (
            [change(100, "node-2", UP, POOR, "20 % of the echoes are lost"), change(130, "node-2", POOR, DOWN, "no echo for 4 s"), change(140, "node-2", DOWN, UP)],
            [(100, "node-2 was degraded for 30 s: 20 % of the echoes are lost"), (130, "node-2 was disconnected for 10 s: no echo for 4 s")],
        ),
        ([BACK], [(114, "node-2 was connected again: it was disconnected before")]),
        (
            [CUT, other(120, "agent-started", "node-1", "the agent started (1)"), change(125, "node-2", NEW, UP)],
            [
                (100, "node-2 was disconnected for 20 s, until the agent that saw it ended: no echo for 4 s"),
                (120, "node-1: the agent started (1)"),
                (125, "node-2 was connected: echoes come back"),
            ],
        ),
        (
            [CUT, other(160, "machine-left", "node-2", "it has left the network")],
            [(100, "node-2 was disconnected for 60 s: no echo for 4 s"), (160, "node-2: it has left the network")],
        ),
        (
            [other(1, "issue-opened", "node-1", "The disk is full."), other(9, "issue-closed", "node-1", "The disk is full.")],
            [(1, "node-1: something is wrong: The disk is full."), (9, "node-1: over: The disk is full.")],
        ),
        ([other(1, "code-of-a-later-release", "node-1", "it danced")], [(1, "node-1: it danced")]),
        ([CUT, change(40, "node-2", DOWN, UP)], [(100, "node-2 was disconnected for 0 s: no echo for 4 s")]),
    ],
)  # fmt: skip
def test_the_story_is_one_sentence_for_each_trouble(events: list[Event], story: list[tuple[float, str]]) -> None:
    assert lines(tell(*events)) == story


def test_a_trouble_that_several_nodes_saw_is_told_once_with_those_who_saw_it() -> None:
    histories = [
        tell(
            change(100 + late, "hub-1", UP, DOWN, "no echo for 4 s"),
            change(114, "hub-1", DOWN, UP),
            node=f"node-{late}",
        )
        for late in (1, 2, 3)
    ]
    assert tell_story(histories) == [
        Sentence(101, ("node-1", "node-2", "node-3"), "hub-1", "hub-1 was disconnected for 13 s: no echo for 4 s")
    ]


def test_two_troubles_of_the_same_machine_stay_two() -> None:
    soon = [CUT, change(102, "node-2", DOWN, UP), change(105, "node-2", UP, DOWN, "no echo for 4 s"), BACK]
    assert len(tell_story([tell(*soon)])) == 2
    later = tell(change(111, "node-2", UP, DOWN, "no echo for 4 s"), change(120, "node-2", DOWN, UP), node="node-3")
    assert len(tell_story([tell(CUT, BACK), later])) == 2


def test_the_machines_own_reason_is_told_before_what_others_guess() -> None:
    own = tell(
        change(101, "node-2", UP, DOWN, "hub-1: no echo for 5 s"), change(110, "node-2", DOWN, UP), node="node-2"
    )
    assert lines(tell(CUT, BACK), own) == [(100, "node-2 was disconnected for 14 s: hub-1: no echo for 5 s")]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s"), (0.4, "0 s"), (14, "14 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (200_000, "2 days")],
)  # fmt: skip
def test_a_length_of_time_is_told_with_a_precision_that_fits_it(seconds: float, words: str) -> None:
    assert tell_span(seconds) == words


@pytest.mark.parametrize(
    ("stopped", "same_boot", "words"),
    [
        (True, True, "it had been stopped 9 s before"),
        (True, False, "it had been stopped 9 s before"),
        (False, True, "its last sign was 9 s before: it was killed, or crashed"),
        (False, False, "its last sign was 9 s before: the machine was restarted, or lost power"),
    ],
)
def test_a_start_tells_how_the_agent_had_ended(stopped: bool, same_boot: bool, words: str) -> None:
    assert tell_start(9, stopped=stopped, same_boot=same_boot) == words


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1h", 3600), ("7d", 604_800), ("0s", 0)])
def test_a_length_of_time_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert parse_span(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1", "1 h", "-1h", "1.5h", "1w", "1hh", "1234567s", "²h", "1h\n"])
def test_any_other_length_of_time_is_refused_with_what_to_say(text: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_span(text)
    assert "30m" in refused.value.hint


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the peer roamed to 203.0.113.9:51820, and back", "the peer roamed to …, and back"),
        ("at 203.0.113.9.", "at …."),
        ("https://203.0.113.1:443/v1 is silent", "https://…/v1 is silent"),
        ("[2001:db8::1]:443", "…"),
        ("2001:db8::1 and ::ffff:203.0.113.9", "… and …"),
        ("10.88.0.12:51821 is an endpoint", "… is an endpoint"),
        ("10.88.0.12 is gone; so is fd4c:ec5f:33a0::b", "10.88.0.12 is gone; so is fd4c:ec5f:33a0::b"),
        ("10.88.0.0/16 on podman0", "10.88.0.0/16 on podman0"),
        ("at 12:03:07 node-2: 3 of 4", "at 12:03:07 node-2: 3 of 4"),
        ("fe80::1%eth0", "…"),
    ],
)
def test_nobodys_endpoint_is_told(text: str, shown: str) -> None:
    assert hide_endpoints(text) == shown


def test_a_long_text_is_cut_and_stays_on_one_line() -> None:
    cut = shorten("a\nb\x1b " + "x" * 5000)
    assert len(cut) == MAX_TEXT
    assert cut.startswith("a b x")
    assert cut.endswith("…")
