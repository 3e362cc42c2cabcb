"""What a node wants is thought out anew exactly when it may have become something else."""

from spokewire.network.names import MachineName
from spokewire.network.roster import Roster, merge
from spokewire.network.topology import Choice
from spokewire.node.planning import Planner
from tests.builders import DAY_S, NOW, ROOT, make_grant, make_record, make_roster, sign_settings

ME = make_grant("node-1")
TWO_HUBS = ("hub-1", "hub-2", "node-1", "node-2")


def planner() -> Planner:
    return Planner(ME, "wg-demo")


def names(roster: Roster, plans: Planner, now: float) -> set[str]:
    wanted = plans.plan(roster, {}, now)
    assert wanted is not None
    assert {target.name for target in wanted.targets.values()} == {peer.name for peer in wanted.interface.peers}
    return {peer.name for peer in wanted.interface.peers}


def test_nothing_is_wanted_before_the_settings_are_known() -> None:
    plans = planner()
    assert plans.plan(Roster(ROOT.public_key()), {}, NOW) is None
    assert names(make_roster(), plans, NOW) == {"hub-1", "node-2"}


def test_while_nothing_has_changed_nothing_is_thought_out_anew() -> None:
    plans, roster = planner(), make_roster()
    first = plans.plan(roster, {}, NOW)
    assert first is not None
    assert plans.plan(roster, {}, NOW + 2.0) is first


def test_a_machine_that_joins_is_wanted_at_once() -> None:
    plans, roster = planner(), make_roster()
    assert names(roster, plans, NOW) == {"hub-1", "node-2"}
    grown = merge(roster, [make_record(make_grant("node-3"))], NOW).roster
    assert names(grown, plans, NOW) == {"hub-1", "node-2", "node-3"}


def test_a_machine_is_left_alone_from_the_instant_when_its_grant_expires() -> None:
    short = make_record(make_grant("node-3", expires_at=int(NOW) + 60))
    plans, roster = planner(), merge(make_roster(), [short], NOW).roster
    assert names(roster, plans, NOW) == {"hub-1", "node-2", "node-3"}
    assert names(roster, plans, NOW + 59.9) == {"hub-1", "node-2", "node-3"}
    assert names(roster, plans, NOW + 60.0) == {"hub-1", "node-2"}


def test_a_clock_that_is_set_back_brings_back_who_has_not_expired_yet() -> None:
    short = make_record(make_grant("node-3", expires_at=int(NOW) + 60))
    plans, roster = planner(), merge(make_roster(), [short], NOW).roster
    assert names(roster, plans, NOW + 61.0) == {"hub-1", "node-2"}
    assert names(roster, plans, NOW) == {"hub-1", "node-2", "node-3"}


def test_another_path_is_wanted_as_soon_as_it_is_chosen() -> None:
    plans, roster = planner(), make_roster(TWO_HUBS)
    choices = {MachineName("node-2"): Choice(MachineName("hub-1"), place="203.0.113.9:1000")}
    before = plans.plan(roster, choices, NOW)
    # The same mapping, changed in place, as the paths are kept.
    choices[MachineName("node-2")] = Choice(MachineName("hub-1"), place="203.0.113.9:2000")
    after = plans.plan(roster, choices, NOW)
    assert before is not None
    assert after is not None
    found = [{str(peer.name): peer.endpoint for peer in one.interface.peers}["node-2"] for one in (before, after)]
    assert found == ["203.0.113.9:1000", "203.0.113.9:2000"]


def test_new_settings_are_in_force_at_once() -> None:
    plans, roster = planner(), make_roster()
    assert names(roster, plans, NOW) == {"hub-1", "node-2"}
    after = merge(roster, [sign_settings(2, revoked=[make_grant("node-2").id])], NOW).roster
    assert names(after, plans, NOW) == {"hub-1"}


def test_after_the_last_expiry_nothing_more_is_awaited() -> None:
    assert make_roster().next_expiry(NOW) == int(NOW) + DAY_S
    assert make_roster().next_expiry(NOW + DAY_S) == float("inf")
