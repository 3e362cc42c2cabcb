"""Whatever the API answers is read without a crash, and what it means is the same in all its spellings."""

import math
from decimal import Decimal
from typing import Any

import pytest

from spokewire.cloud.http import RefusalError
from spokewire.cloud.phala import answers
from spokewire.cloud.phala.answers import Cvm
from spokewire.cloud.phala.compose import Marker
from spokewire.cloud.phala.machines import judge_state, shape_of, status_url, wanted_shape
from spokewire.cloud.phala.names import cvm_name, is_cvm_name, is_ours, parse_cvm_name
from spokewire.cloud.phala.refusals import Meaning, judge, translate
from spokewire.cloud.phala.words import explain
from spokewire.cloud.provider import MachineState
from spokewire.errors import Code
from spokewire.network.cloudspec import CvmSpec

JUNK: list[Any] = [
    None,
    [],
    {},
    "",
    "x",
    3,
    [None],
    {"items": None},
    {"nodes": [{}]},
    {"items": [None, {}], "pages": "2"},
]


@pytest.mark.parametrize("data", JUNK)
def test_an_answer_without_sense_is_read_as_nothing(data: Any) -> None:
    assert answers.parse_account(data).balance == 0
    assert answers.parse_room(data).machines is None
    assert answers.parse_hosts(data) == ()
    assert answers.parse_instance_types(data) == {}
    assert answers.parse_provisioned(data).app_id == ""
    assert answers.parse_cvm(data).uuid == ""
    assert answers.parse_page(data)[1] == 1
    assert answers.parse_boot(data, "u") == answers.Boot()
    assert isinstance(explain(data), str)


def test_the_two_shapes_of_a_cvm_mean_the_same() -> None:
    new = {
        "id": "cvm_x",
        "name": "n",
        "vm_uuid": "12345678-1234-1234-1234-123456789abc",
        "app_id": "app_" + "a" * 40,
        "instance_id": "b" * 40,
        "status": "Running",
        "resource": {"instance_type": "tdx.small", "disk_in_gb": 20},
        "node_info": {"id": 18, "name": "prod9", "region": "US-WEST-1"},
        "os": {"name": "dstack-0.5.8"},
        "gateway": {"base_domain": "g.example.com"},
        "created_at": "2026-05-01T00:00:00Z",
        "compose_file": {"docker_compose_file": "services: {}"},
    }
    cvm = answers.parse_cvm(new)
    assert cvm.uuid == "12345678123412341234123456789abc"
    assert (cvm.app_id, cvm.status, cvm.region, cvm.compose) == ("a" * 40, "running", "us-west-1", "services: {}")
    assert cvm.created_at == 1777593600.0
    old = answers.parse_cvm(
        {
            "vm_uuid": cvm.uuid,
            "teepod_id": 18,
            "teepod": {"name": "prod9"},
            "disk_size": 20,
            "base_image": "dstack-0.5.8",
        }
        | {"gateway_domain": "g.example.com", "created_at": "2026-05-01T00:00:00", "id": 42}
    )
    assert (old.host, old.host_name, old.disk_gb, old.image, old.domain) == (18, "prod9", 20, cvm.image, cvm.domain)
    assert old.created_at == cvm.created_at


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"docker_compose_file": "a: 1"}, "a: 1"),
        ('{"docker_compose_file": "a: 1"}', "a: 1"),
        ("a: 1", "a: 1"),
        ('"text"', '"text"'),
        ({"docker_compose_file": None}, None),
        ({}, None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_a_compose_text_is_found_in_all_its_wrappings(data: Any, text: str | None) -> None:
    assert answers.parse_compose_text(data) == text


def test_hosts_images_and_prices_are_read() -> None:
    image = {"name": "dstack-dev-0.5.8", "version": [0, 5, 8, 1]}
    hosts = answers.parse_hosts({"nodes": [{"node_id": 5, "remaining_vcpu": 2, "images": [image]}, {"name": "no id"}]})
    assert [(host.id, host.name, host.vcpu, host.slots) for host in hosts] == [(5, "5", 2.0, math.inf)]
    assert (hosts[0].images[0].is_dev, hosts[0].images[0].version) == (True, (0, 5, 8, 1))
    item = {"id": "tdx.small", "vcpu": 1, "memory_mb": 2048, "hourly_rate": "0.058"}
    gpu = {"id": "h200.small", "vcpu": 1, "memory_mb": 2048, "hourly_rate": "3", "requires_gpu": True}
    bad = {"id": "odd", "vcpu": 1, "memory_mb": 1, "hourly_rate": "much"}
    types = answers.parse_instance_types({"result": [{"items": [item, gpu, bad]}]})
    assert {name: size.hourly_usd for name, size in types.items()} == {"tdx.small": Decimal("0.058"), "odd": None}


def test_what_was_granted_counts_as_balance() -> None:
    account = answers.parse_account(
        {"credits": {"balance": "1.25", "granted_balance": "20"}, "user": {"username": "a"}}
    )
    assert (account.balance, account.username, account.is_post_paid) == (Decimal("21.25"), "a", False)


@pytest.mark.parametrize(
    ("name", "machine"),
    [
        ("spokewire-demo-node-1", "node-1"),
        ("spokewire-demo-a", "a"),
        ("spokewire-demo-", None),
        ("spokewire-demo", None),
        ("spokewire-demo-Node", None),
        ("spokewire-demo--x", None),
        ("spokewire-demo-x-", None),
        ("spokewire-demo-1", None),
        ("spokewire-other-x", None),
        ("Spokewire-demo-x", None),
        ("my-spokewire-demo-x", None),
        ("", None),
    ],
)
def test_only_a_name_that_parses_exactly_is_a_machines(name: str, machine: str | None) -> None:
    assert parse_cvm_name("demo", name) == machine
    assert machine is None or cvm_name("demo", machine) == name


@pytest.mark.parametrize(
    ("name", "is_taken"),
    [
        ("abcde", True),
        ("a" * 63, True),
        ("a" * 64, False),
        ("abcd", False),
        ("1abcd", False),
        ("ab--cd", False),
        ("abcd-", False),
    ],
)
def test_names_that_the_cloud_refuses_are_known_before(name: str, is_taken: bool) -> None:
    assert is_cvm_name(name) is is_taken


@pytest.mark.parametrize(
    ("marker", "root_key", "expected"),
    [
        (Marker("demo", "k"), "k", True),
        (Marker("demo", "k"), None, True),
        (Marker("demo", "k"), "other", False),
        (Marker("other", "k"), "k", False),
        (Marker("other", "k"), None, False),
        (None, None, False),
    ],
)
def test_a_marker_says_whose_a_machine_is(marker: Marker | None, root_key: str | None, expected: bool) -> None:
    assert is_ours(marker, "demo", root_key) is expected


REFUSALS: list[tuple[int, Any, Meaning, Code]] = [
    (401, {"detail": "Invalid API key"}, Meaning.FINAL, Code.CREDENTIALS_REFUSED),
    (403, None, Meaning.FINAL, Code.CREDENTIALS_REFUSED),
    (400, {"detail": "Insufficient balance. You need at least $1 to launch a CVM."}, Meaning.FINAL, Code.NO_MONEY),
    (402, {"detail": "pay"}, Meaning.FINAL, Code.NO_MONEY),
    (400, {"error_code": "ERR-04-001", "message": "no"}, Meaning.FINAL, Code.NO_MONEY),
    (403, {"error_code": "ERR-04-002", "message": "no"}, Meaning.FINAL, Code.ACCOUNT_LIMIT),
    (400, {"error_code": "ERR-02-015", "message": "no"}, Meaning.FINAL, Code.ACCOUNT_LIMIT),
    (400, {"error_code": "ERR-02-002", "message": "no"}, Meaning.NO_ROOM, Code.NO_CAPACITY),
    (503, {"detail": {"error_code": "ERR-02-005", "message": "no"}}, Meaning.NO_ROOM, Code.NO_CAPACITY),
    (400, {"error_code": "ERR-02-001", "message": "no"}, Meaning.FINAL, Code.SPEC_INVALID),
    (400, {"error_code": "ERR-02-010", "message": "no"}, Meaning.FINAL, Code.SPEC_INVALID),
    (409, {"error_code": "ERR-01-004", "message": "no"}, Meaning.NAME_TAKEN, Code.CLOUD_REFUSED),
    (409, {"error_code": "ERR-03-007", "message": "no"}, Meaning.FINAL, Code.CLOUD_REFUSED),
    (409, {"detail": "in progress"}, Meaning.BUSY, Code.CLOUD_REFUSED),
    (404, {"detail": "Not Found"}, Meaning.GONE, Code.CLOUD_REFUSED),
    (400, {"error_code": "ERR-03-001", "message": "no"}, Meaning.GONE, Code.CLOUD_REFUSED),
    (422, {"detail": [{"loc": ["body", "name"], "msg": "Field required"}]}, Meaning.FINAL, Code.CLOUD_REFUSED),
]


@pytest.mark.parametrize(("status", "body", "meaning", "code"), REFUSALS)
def test_a_refusal_is_judged_by_its_code_before_its_status(
    status: int, body: Any, meaning: Meaning, code: Code
) -> None:
    refusal = RefusalError(status, body, f"Phala Cloud: {explain(body)}.")
    assert judge(refusal) is meaning
    assert translate(refusal).code is code
    assert translate(refusal).hint


def test_the_vendors_explanation_is_told_in_any_of_its_shapes() -> None:
    details = [{"field": "region", "value": "us", "message": "No teepod found"}]
    error = {"error_code": "ERR-02-002", "message": "No resources", "details": details}
    assert explain(error) == explain({"detail": error}) == "ERR-02-002 No resources; region: No teepod found"
    assert explain({"detail": "Invalid API key"}) == "Invalid API key"
    assert explain({"detail": [{"loc": ["body", 0, "name"], "msg": "Field required"}]}) == "body.0.name: Field required"


def test_the_status_is_asked_at_the_instance_and_never_at_a_guessed_domain() -> None:
    cvm = Cvm("u", "n", "running", app_id="a1", instance_id="i1", domain="dstack-pha-prod5.phala.network")
    assert status_url(cvm) == "https://i1-8000.dstack-pha-prod5.phala.network"
    assert status_url(Cvm("u", "n", "running", app_id="a1", domain="d")) == "https://a1-8000.d"
    assert status_url(Cvm("u", "n", "running", app_id="a1", instance_id="i1", region="us-west-1")) is None
    assert status_url(Cvm("u", "n", "starting", domain="d")) is None


def test_a_shape_that_the_api_does_not_tell_is_no_reason_to_replace_a_machine() -> None:
    silent = shape_of(Cvm("u", "n", "running"))
    assert wanted_shape(CvmSpec(regions=("eu",)), "services: {}", silent) == silent
    known = shape_of(Cvm("u", "n", "running", instance_type="tdx.small", region="us", disk_gb=20, compose="a: 1\n"))
    assert wanted_shape(CvmSpec(), "a: 1", known) == known
    assert wanted_shape(CvmSpec(), None, known) == known
    assert wanted_shape(CvmSpec(), "a: 2", known) != known


@pytest.mark.parametrize(
    ("cvm", "state"),
    [
        (Cvm("u", "n", "stopped", is_busy=True, instance_id="i"), MachineState.RUNNING),
        (Cvm("u", "n", "stopped"), MachineState.STOPPED),
        (Cvm("u", "n", "error"), MachineState.INCOMPLETE),
        (Cvm("u", "n", "exited", instance_id="i"), MachineState.STOPPED),
        (Cvm("u", "n", "starting", created_at=0.0), MachineState.INCOMPLETE),
        (Cvm("u", "n", "starting", created_at=9_999.0), MachineState.PENDING),
        (Cvm("u", "n", "", created_at=None), MachineState.PENDING),
    ],
)
def test_a_status_means_what_a_deploy_should_do(cvm: Cvm, state: MachineState) -> None:
    assert judge_state(cvm, 10_000.0) is state
