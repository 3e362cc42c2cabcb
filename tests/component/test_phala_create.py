"""Nodes on Phala Cloud are made where there is room, never twice, and whatever goes wrong is told in one sentence."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from spokewire.cloud.provider import MachineState
from spokewire.errors import Code, InputError, PermanentError, SpokewireError, TemporaryError
from tests.component.phala import Cloud, make_node_token
from tests.emulators.phala.refusing import refuse
from tests.emulators.service import CUT, Fault, Reply, html_error

PROVISION, COMMIT = "/api/v1/cvms/provision", "/api/v1/cvms"


def refusal(cloud: Cloud, name: str = "node-1", **changes: Any) -> SpokewireError:
    """The error that a creation ends with."""
    with pytest.raises(SpokewireError) as caught:
        cloud.create(name, **changes)
    assert "\n" not in caught.value.message
    return caught.value


def test_a_node_is_made_in_two_steps_and_runs_with_its_token(cloud: Cloud) -> None:
    cloud.backend.looks = 2
    cloud.create()
    (machine,) = cloud.provider().observe()
    assert (machine.name, machine.role, machine.state) == ("node-1", "node", MachineState.RUNNING)
    (cvm,) = cloud.emulator.cvms
    assert cvm.name == "spokewire-demo-node-1"
    assert cloud.backend.environments[cvm.name] == {"SPOKEWIRE_TOKEN": make_node_token()}
    assert machine.status_url == f"https://{cvm.instance_id}-8000.dstack-pha-prod9.phala.network"
    assert cloud.said[:2] == ["provisioning tdx.small on prod9", "committing it to prod9"]
    assert any("starting on prod9" in words for words in cloud.said)


def test_what_the_server_would_choose_for_itself_is_said(cloud: Cloud) -> None:
    cloud.create()
    (call,) = cloud.emulator.calls("POST", PROVISION)
    asked = {key: call.body[key] for key in ("listed", "prefer_dev", "kms", "image", "teepod_id", "disk_size")}
    assert asked == {
        "listed": False, "prefer_dev": False, "kms": "PHALA", "image": "dstack-0.5.8", "teepod_id": 18, "disk_size": 20
    }  # fmt: skip
    assert call.body["compose_file"]["allowed_envs"] == ["SPOKEWIRE_TOKEN"]
    assert call.body["compose_file"]["public_logs"] is False
    assert call.headers["x-phala-version"] == "2026-01-21"
    assert call.headers["user-agent"].startswith("spokewire/")


def test_the_token_is_nowhere_but_in_the_encrypted_environment(cloud: Cloud) -> None:
    cloud.create()
    assert all(make_node_token() not in str(entry.call.body) for entry in cloud.emulator.log)
    assert all(make_node_token() not in words for words in cloud.said)


def test_nodes_are_spread_over_hosts(cloud: Cloud) -> None:
    cloud.emulator.switches.list_lag_s = 3600
    provider = cloud.provider()
    for number in range(1, 7):
        cloud.create(f"node-{number}", provider)
    assert sorted(cloud.placed.values()) == ["prod5", "prod5", "prod7", "prod7", "prod9", "prod9"]


def test_twenty_nodes_made_at_once_are_spread_too_and_bear_with_a_limit_of_requests(cloud: Cloud) -> None:
    cloud.emulator.switches.machine_limit = 20
    limited = Reply(429, {"detail": "Too many requests"}, {"retry-after": "2"})
    cloud.emulator.faults += [
        Fault(method, f"/api/v1/{path}", limited, times=10, skip=3)
        for method, path in (
            ("GET", "cvms/paginated"),
            ("GET", "teepods/available"),
            ("POST", "cvms"),
            ("GET", "cvms/.*"),
        )
    ]
    provider = cloud.provider()
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda number: cloud.create(f"node-{number}", provider), range(1, 21)))
    assert sorted(Counter(cloud.placed.values()).values()) == [6, 7, 7]
    assert len(cloud.placed) == 20
    assert cloud.commits == 30


def test_regions_are_tried_in_the_order_of_the_spec(cloud: Cloud) -> None:
    cloud.emulator.hosts[2].slots = 1
    provider = cloud.provider()
    for number in range(1, 4):
        cloud.create(f"node-{number}", provider, regions=("eu-central-1", "us-west-1"))
    assert next(iter(cloud.placed.values())) == "prod7"
    assert sorted(list(cloud.placed.values())[1:]) == ["prod5", "prod9"]


def test_without_room_for_the_third_node_two_are_made_and_one_sentence_says_why(cloud: Cloud) -> None:
    for host, slots in zip(cloud.emulator.hosts, (1, 1, 0), strict=True):
        host.slots = slots
    cloud.create("node-1")
    cloud.create("node-2")
    error = refusal(cloud, "node-3")
    assert isinstance(error, PermanentError)
    assert (error.code, error.exit_status) == (Code.NO_CAPACITY, 1)
    assert "no host" in error.message
    assert len(cloud.emulator.cvms) == 2
    cloud.emulator.hosts[2].slots = 1
    cloud.create("node-3")
    assert cloud.placed["spokewire-demo-node-3"] == "prod7"
    assert cloud.commits == 3


@pytest.mark.parametrize("step", ["provision", "commit"])
def test_a_host_that_is_full_after_all_is_followed_by_the_next(cloud: Cloud, step: str) -> None:
    cloud.emulator.switches.hides_that_hosts_are_full = True
    cloud.emulator.switches.room_is_checked_at = step
    cloud.emulator.hosts[0].slots = cloud.emulator.hosts[1].slots = 0
    cloud.create()
    assert cloud.placed == {"spokewire-demo-node-1": "prod7"}
    assert "prod9 has no room for tdx.small; trying another" in cloud.said


@pytest.mark.parametrize("wraps", [False, True])
@pytest.mark.parametrize("step", ["provision", "commit"])
def test_without_room_anywhere_the_vendors_own_words_are_told(cloud: Cloud, step: str, wraps: bool) -> None:
    cloud.emulator.switches.hides_that_hosts_are_full = True
    cloud.emulator.switches.room_is_checked_at = step
    cloud.emulator.switches.wraps_errors = wraps
    for host in cloud.emulator.hosts:
        host.slots = 0
    error = refusal(cloud)
    assert error.code is Code.NO_CAPACITY
    assert "ERR-02-005" in error.message
    assert cloud.emulator.cvms == []


def test_a_larger_size_is_taken_where_the_spec_allows_it(cloud: Cloud) -> None:
    for number in range(3):
        cloud.emulator.faults.append(Fault("POST", PROVISION, refuse(400, "02-003", f"no vCPU {number}")))
    cloud.create(instance_types=("tdx.small", "tdx.medium"))
    assert cloud.emulator.cvms[0].made_from.size == "tdx.medium"


def test_without_money_nothing_is_made_and_the_error_says_so(cloud: Cloud) -> None:
    cloud.emulator.switches.balance = "0.20"
    error = refusal(cloud)
    assert (error.code, cloud.commits) == (Code.NO_MONEY, 1)
    assert "Top up" in error.hint


def test_the_limit_of_the_workspace_is_told(cloud: Cloud) -> None:
    cloud.emulator.switches.machine_limit = 1
    cloud.create("node-1")
    assert refusal(cloud, "node-2").code is Code.ACCOUNT_LIMIT


@pytest.mark.parametrize("fault", [CUT, html_error(500), html_error(502), Reply(504, {"detail": "timeout"})])
def test_a_commit_whose_answer_was_lost_is_not_sent_again(cloud: Cloud, fault: Reply) -> None:
    cloud.emulator.switches.list_lag_s = 10
    cloud.emulator.faults.append(Fault("POST", COMMIT, fault, after=True))
    cloud.create()
    assert cloud.commits == 1
    assert len(cloud.emulator.cvms) == 1


def test_a_commit_that_came_to_nothing_is_told_as_unknown_and_the_next_deploy_makes_the_node(cloud: Cloud) -> None:
    cloud.emulator.faults.append(Fault("POST", COMMIT, html_error(503)))
    error = refusal(cloud)
    assert isinstance(error, TemporaryError)
    assert "not known whether it was made" in error.message
    assert cloud.commits == 1
    cloud.create()
    assert len(cloud.emulator.cvms) == 1


def test_a_first_step_without_an_answer_is_repeated_because_it_makes_nothing(cloud: Cloud) -> None:
    cloud.emulator.faults += [Fault("POST", PROVISION, CUT, after=True), Fault("POST", PROVISION, html_error(520))]
    cloud.create()
    assert len(cloud.emulator.calls("POST", PROVISION)) == 3
    assert cloud.commits == 1


@pytest.mark.parametrize("headers", [{}, {"retry-after": "7"}])
def test_too_many_requests_are_waited_for(cloud: Cloud, headers: dict[str, str]) -> None:
    limited = Reply(429, {"detail": "Too many requests"}, headers)
    cloud.emulator.faults += [Fault("POST", path, limited, times=2) for path in (PROVISION, COMMIT)]
    cloud.create()
    assert len(cloud.emulator.cvms) == 1
    assert not headers or max(cloud.clock.slept) >= 7


def test_a_commit_during_another_operation_is_waited_for(cloud: Cloud) -> None:
    busy = refuse(409, message="Another operation is in progress")
    cloud.emulator.faults.append(Fault("POST", COMMIT, busy, times=2))
    cloud.create()
    assert len(cloud.emulator.cvms) == 1
    assert "waiting for another operation in the workspace" in cloud.said


def test_a_name_that_somebody_else_has_is_told_and_left_alone(cloud: Cloud) -> None:
    cloud.emulator.plant("spokewire-demo-node-1", "services: {web: {image: nginx}}")
    error = refusal(cloud)
    assert error.code is Code.NAME_TAKEN
    assert "not of this network" in error.message
    assert (cloud.commits, len(cloud.emulator.cvms)) == (0, 1)


def test_a_node_that_the_list_did_not_have_yet_is_taken_and_not_made_twice(cloud: Cloud) -> None:
    cloud.emulator.switches.list_lag_s = 20
    cloud.create()
    cloud.create()
    assert cloud.commits == 1
    assert len(cloud.emulator.cvms) == 1


def test_a_refused_key_is_told_without_showing_it(cloud: Cloud) -> None:
    with pytest.raises(InputError) as caught:
        cloud.create(provider=cloud.provider(key="phak_wrong"))
    assert caught.value.code is Code.CREDENTIALS_REFUSED
    assert "phak_wrong" not in repr(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"instance_types": ("tdx.huge",)}, "no instance type tdx.huge"),
        ({"os_image": "dstack-0.5.6"}, "no nf_tables"),
        ({"os_image": "dstack-9.9.9"}, "no host offers the image dstack-9.9.9"),
        ({"regions": ("mars-1",)}, "no host is in mars-1"),
    ],
)
def test_what_cannot_be_is_told_in_the_words_of_the_spec(cloud: Cloud, changes: dict[str, Any], words: str) -> None:
    assert words in refusal(cloud, **changes).message
    assert cloud.commits == 0


def test_an_image_for_development_is_taken_only_when_the_spec_names_it(cloud: Cloud) -> None:
    cloud.create(os_image="dstack-dev-0.5.8")
    assert cloud.emulator.cvms[0].made_from.image == "dstack-dev-0.5.8"
