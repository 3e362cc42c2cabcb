"""What a hub makes of what nodes say: who is heard, and who is there twice."""

import pytest

from spokewire.errors import Code
from spokewire.hub.reports import Reports
from spokewire.network.clones import SHARED_S
from spokewire.network.echo import make_sessions

ADDRESSES = {"node-1": "10.88.0.11", "node-2": "10.88.0.12"}


def test_a_node_that_reports_probes_measures_and_starts_again_is_one_node() -> None:
    reports = Reports()
    for at in range(40):
        started_at, number = (1000.5, 1) if at < 20 else (1020.5, 2)
        reports.keep("node-1", "report", started_at, float(at))
        for session in make_sessions(number):
            reports.note_echo("10.88.0.11", session, float(at))
    assert reports.find_clones(ADDRESSES, 40.0) == {}


@pytest.mark.parametrize("witness", ["reports", "echoes"])
def test_two_agents_with_one_identity_are_a_copied_machine_until_one_is_stopped(witness: str) -> None:
    reports = Reports()
    for at in range(10):
        twin = at // 2 % 2
        if witness == "reports":
            reports.keep("node-2", "report", 1000.5 + twin, float(at))
        else:
            reports.note_echo("10.88.0.12", make_sessions(7 + twin)[at % 2], float(at))
    assert reports.find_clones(ADDRESSES, 10.0) == {"node-2": Code.MACHINE_COPIED}
    assert reports.find_clones(ADDRESSES, 10.0 + SHARED_S) == {}


def test_a_second_machine_with_the_token_is_told_while_it_tries() -> None:
    reports = Reports()
    reports.note_refused("node-1", 5.0)
    assert reports.find_clones(ADDRESSES, 6.0) == {"node-1": Code.GRANT_IN_USE}
    assert reports.find_clones(ADDRESSES, 6.0 + SHARED_S) == {}
    reports.note_refused("node-1", 50.0)
    reports.forget({"node-2"}, {"10.88.0.12"})
    assert reports.find_clones(ADDRESSES, 51.0) == {}
