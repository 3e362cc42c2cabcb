"""Access rules: who may open what on a node."""

from typing import Any

import pytest

from spokewire.network.documents import AccessRule
from spokewire.network.roster import Roster, merge
from spokewire.network.rules import Admission, Opening, names, plan_admission, split_port
from tests.builders import NOW, ROOT, make_grant, make_record, sign_settings

DB = make_grant("node-1", tags=("data",))
WEB = make_grant("node-2", tags=("front", "eu"))
APP = make_grant("node-3")
HUB = make_grant("hub-1")


def admit(me: Any, *rules: tuple[str, str, tuple[str, ...]]) -> list[tuple[set[str], str | None, int | None]]:
    """What the rules open on a node, by IPv4 address; every opening has as many IPv6 addresses."""
    access = tuple(AccessRule(source=source, target=target, ports=ports) for source, target, ports in rules)
    texts = [sign_settings(access=access), *(make_record(grant) for grant in (HUB, DB, WEB, APP))]
    admission = plan_admission(merge(Roster(ROOT.public_key()), texts, NOW).roster, me, NOW)
    openings = []
    for opening in admission.openings:
        short = {str(address).removeprefix("10.88.0.") for address in opening.sources if address.version == 4}
        assert len(opening.sources) == 2 * len(short)
        openings.append((short, opening.protocol, opening.port))
    return openings


def test_without_rules_every_other_node_may_open_everything_and_the_hub_nothing() -> None:
    assert admit(DB) == [({"12", "13"}, None, None)]
    assert admit(APP) == [({"11", "12"}, None, None)]


@pytest.mark.parametrize(
    ("me", "rules", "openings"),
    [
        (DB, [("*", "*", ())], [({"12", "13"}, None, None)]),
        (DB, [("*", "node-1", ("tcp/5432",))], [({"12", "13"}, "tcp", 5432)]),
        (WEB, [("*", "node-1", ("tcp/5432",))], []),
        (DB, [("node-2", "tag:data", ("tcp/1", "udp/2"))], [({"12"}, "tcp", 1), ({"12"}, "udp", 2)]),
        (DB, [("tag:eu", "*", ("tcp/1",))], [({"12"}, "tcp", 1)]),
        (WEB, [("tag:eu", "*", ("tcp/1",))], []),
        (DB, [("node-9", "*", ())], []),
        (DB, [("node-1", "node-1", ())], []),
        (DB, [("hub-1", "*", ())], []),
        (DB, [("tag:dat", "*", ()), ("tag:", "*", ()), ("", "*", ())], []),
        (DB, [("node-2", "*", ("tcp/1",)), ("node-3", "*", ())], [({"12"}, "tcp", 1), ({"13"}, None, None)]),
    ],
)
def test_with_rules_only_what_they_name_is_open(
    me: Any, rules: list[tuple[str, str, tuple[str, ...]]], openings: list[tuple[set[str], str | None, int | None]]
) -> None:
    assert admit(me, *rules) == openings


def test_before_settings_are_known_nobody_may_open_anything() -> None:
    assert plan_admission(Roster(ROOT.public_key()), DB, NOW) == Admission(frozenset(), frozenset(), ())


def test_peers_are_the_other_nodes_and_hubs_are_kept_apart() -> None:
    texts = [sign_settings(), *(make_record(grant) for grant in (HUB, DB, WEB))]
    admission = plan_admission(merge(Roster(ROOT.public_key()), texts, NOW).roster, DB, NOW)
    assert {str(address) for address in admission.hubs if address.version == 4} == {"10.88.0.1"}
    assert {str(address) for address in admission.peers if address.version == 4} == {"10.88.0.12"}
    assert not admission.hubs & admission.peers
    assert admission.openings == (Opening(admission.peers),)


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("*", True),
        ("node-2", True),
        ("tag:front", True),
        ("tag:eu", True),
        ("node-22", False),
        ("front", False),
        ("tag:node-2", False),
        ("tag:", False),
        ("", False),
        ("tag:*", False),
        ("Node-2", False),
    ],
)
def test_a_word_names_a_machine_by_star_name_or_tag(word: str, named: bool) -> None:
    assert names(word, WEB) is named


def test_a_port_is_a_protocol_and_a_number() -> None:
    assert split_port("tcp/22") == ("tcp", 22)
    assert split_port("udp/65535") == ("udp", 65535)
