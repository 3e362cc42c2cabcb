"""A node on Phala Cloud that was made must start; one that does not is removed, and another host is tried."""

import pytest

from spokewire.errors import Code, SpokewireError, TemporaryError
from tests.component.phala import Cloud


def refusal(cloud: Cloud) -> SpokewireError:
    """The error that a creation ends with."""
    with pytest.raises(SpokewireError) as caught:
        cloud.create()
    assert "\n" not in caught.value.message
    return caught.value


def test_a_cvm_that_the_api_does_not_know_at_once_is_waited_for(cloud: Cloud) -> None:
    cloud.emulator.switches.early_404_s = 20
    cloud.emulator.switches.list_lag_s = 20
    cloud.emulator.switches.commit_without_uuid = True
    cloud.create()
    assert cloud.commits == 1


def test_nodes_whose_compose_text_the_api_does_not_tell_yet_do_not_stop_the_next(cloud: Cloud) -> None:
    cloud.emulator.switches.compose_lag_s = 500
    provider = cloud.provider()
    for number in (1, 2, 3):
        cloud.create(f"node-{number}", provider)
    assert sorted(cloud.placed.values()) == ["prod5", "prod7", "prod9"]
    assert len(provider.observe()) == 3


def test_a_cvm_that_is_made_but_not_switched_on_is_started_once(cloud: Cloud) -> None:
    cloud.emulator.switches.stopped_after_commit = True
    cloud.create()
    (cvm,) = cloud.emulator.cvms
    assert (cvm.starts, cvm.switched_on) == (1, True)
    assert sum(cloud.clock.slept) >= 60


def test_a_start_that_never_ends_is_given_up_and_another_host_is_tried(cloud: Cloud) -> None:
    cloud.emulator.switches.starting_never_ends_on = {18}
    cloud.create()
    assert cloud.placed == {"spokewire-demo-node-1": "prod5"}
    assert any("prod9 it was still starting after 10 minutes (requesting app keys)" in words for words in cloud.said)
    assert len(cloud.emulator.calls("POST", "/api/v1/cvms/[0-9a-f]+/stop")) == 1


def test_a_cvm_that_fails_is_removed_and_another_host_is_tried(cloud: Cloud) -> None:
    cloud.emulator.switches.fails_on = {18, 26}
    cloud.create()
    assert cloud.placed == {"spokewire-demo-node-1": "prod7"}


def test_a_node_that_starts_nowhere_is_told_with_each_reason_and_leaves_nothing(cloud: Cloud) -> None:
    cloud.emulator.switches.fails_on = {18, 26, 31}
    error = refusal(cloud)
    assert isinstance(error, TemporaryError)
    assert all(name in error.message for name in ("prod9", "prod5", "prod7", "Failed to request app keys"))
    assert cloud.emulator.living() == []


def test_a_deletion_that_takes_its_time_is_waited_for_before_the_name_is_used_again(cloud: Cloud) -> None:
    cloud.emulator.switches.fails_on = {18}
    cloud.emulator.switches.delete_takes_s = 50
    cloud.create()
    assert cloud.placed == {"spokewire-demo-node-1": "prod5"}


def test_a_deletion_that_never_ends_does_not_hold_the_command_for_ever(cloud: Cloud) -> None:
    cloud.emulator.switches.starting_never_ends_on = cloud.emulator.switches.deletion_never_ends_on = {18}
    begun = cloud.clock.now
    error = refusal(cloud)
    (cvm,) = cloud.emulator.living()
    assert error.code is Code.NAME_TAKEN
    assert error.message == (
        "on prod9 it was still starting after 10 minutes (requesting app keys); the CVM spokewire-demo-node-1 on prod9 "
        f"(id {cvm.uuid}) is still being deleted after 3 minutes and keeps its name, so no other host can be tried."
    )
    assert "may cost money" in error.hint
    assert "another name" in error.hint
    assert cloud.clock.now - begun < 1200
    assert cloud.commits == 1


def test_a_deletion_that_never_ends_holds_up_no_other_node_and_its_name_is_free_once_it_is_gone(cloud: Cloud) -> None:
    cloud.emulator.switches.starting_never_ends_on = cloud.emulator.switches.deletion_never_ends_on = {18}
    refusal(cloud)
    cloud.emulator.hosts[0].slots = 0
    cloud.create("node-2")
    again = refusal(cloud)
    assert "is still being deleted after 3 minutes" in again.message
    assert len(cloud.provider().observe()) == 1
    cloud.emulator.switches.deletion_never_ends_on = set()
    cloud.create()
    assert sorted(cloud.placed.values()) == ["prod5", "prod7"]
