"""Merging is order-free and idempotent, whatever arrives in between."""

from hypothesis import given, settings
from hypothesis import strategies as st

from spokewire.network.documents import Member
from spokewire.network.roster import Roster, merge
from spokewire.network.rules import plan_admission
from spokewire.network.topology import plan_hub, plan_node
from tests.builders import NOW, ROOT, make_grant
from tests.property.strategies import World, hostile_text, worlds

EMPTY = Roster(ROOT.public_key())
FEWER = settings(max_examples=40)
"""Each example signs and verifies some twenty documents."""


def members(roster: Roster) -> list[Member]:
    return roster.members(NOW)


@FEWER
@given(world=worlds(), data=st.data())
def test_documents_make_the_same_network_in_whatever_order_and_how_often_they_arrive(
    world: World, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(world.documents))
    repeated = data.draw(st.lists(st.sampled_from(world.documents), max_size=5))
    straight, other = merge(EMPTY, world.documents, NOW).roster, merge(EMPTY, [*shuffled, *repeated], NOW).roster
    assert members(straight) == members(other)
    assert straight.settings == other.settings


@FEWER
@given(worlds())
def test_merging_what_is_known_changes_nothing(world: World) -> None:
    roster = merge(EMPTY, world.documents, NOW).roster
    again = merge(roster, world.documents, NOW)
    assert again.roster is roster
    assert again.changed == ()


@FEWER
@given(world=worlds(), data=st.data())
def test_two_machines_that_swap_what_they_know_agree(world: World, data: st.DataObject) -> None:
    heard = data.draw(st.lists(st.booleans(), min_size=len(world.documents), max_size=len(world.documents)))
    pairs = list(zip(world.documents, heard, strict=True))
    one = merge(EMPTY, [text for text, is_first in pairs if is_first], NOW).roster
    two = merge(EMPTY, [text for text, is_first in pairs if not is_first], NOW).roster
    assert members(merge(one, two.documents(), NOW).roster) == members(merge(two, one.documents(), NOW).roster)


@FEWER
@given(world=worlds(), noise=st.lists(hostile_text, max_size=5), data=st.data())
def test_noise_between_documents_is_refused_by_itself(world: World, noise: list[str], data: st.DataObject) -> None:
    mixed = data.draw(st.permutations([*world.documents, *noise]))
    merged = merge(EMPTY, mixed, NOW)
    assert members(merged.roster) == members(merge(EMPTY, world.documents, NOW).roster)
    assert len(merged.refusals) >= len(noise)


@FEWER
@given(worlds())
def test_no_roster_has_two_machines_with_one_name_or_address_or_one_that_is_revoked(world: World) -> None:
    roster = merge(EMPTY, world.documents, NOW).roster
    found = members(roster)
    assert len({member.name for member in found}) == len({member.grant.number for member in found}) == len(found)
    assert not any(roster.is_revoked(member.grant) for member in found)
    assert roster.hubs(NOW) + roster.nodes(NOW) == found


@FEWER
@given(worlds())
def test_from_every_roster_an_interface_and_rules_can_be_made(world: World) -> None:
    roster = merge(EMPTY, world.documents, NOW).roster
    me = make_grant("node-9", number=14)
    node, hub, admission = plan_node(roster, me, NOW), plan_hub(roster, me, NOW), plan_admission(roster, me, NOW)
    assert (node is None) == (hub is None) == (roster.settings is None)
    if hub is not None:
        addresses = [address for peer in hub.peers for address in peer.allowed_ips]
        assert len(addresses) == len(set(addresses))
        assert len(hub.peers) == len(roster.nodes(NOW))
        assert len(admission.peers) == 2 * len(roster.nodes(NOW))
