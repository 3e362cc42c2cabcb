"""What exists on Phala Cloud is seen as it is, switched on, and removed with every trace; what is not ours stays."""

from decimal import Decimal
from typing import Any

import pytest

from spokewire.cloud.phala.compose import Marker, join_agent
from spokewire.cloud.provider import Machine, MachineState
from spokewire.errors import Code, InputError, PermanentError, SpokewireError, TemporaryError
from spokewire.network.keys import derive_network_id, format_public_key
from tests.builders import NETWORK, STRANGER
from tests.component.phala import IMAGE, ROOT_KEY, Cloud, make_cvm_spec, make_node_token
from tests.emulators.service import Fault, html_error

CVM = "/api/v1/cvms/[0-9a-f]{32}"


def compose_of(network: str = "demo", root_key: str = ROOT_KEY) -> str:
    """What a node of a network runs."""
    return join_agent(None, "", IMAGE, Marker(network, root_key))


FOREIGN = [
    ("spokewire-demo-node-1", "services: {web: {image: nginx}}"),
    ("spokewire-demo-node-1", compose_of("other")),
    ("spokewire-demo-node-1", compose_of(root_key="k" * 43)),
    ("spokewire-demo-node-1", "no: [yaml"),
    ("spokewire-demo-Node-1", compose_of()),
    ("spokewire-demo2-node-1", compose_of("demo2")),
    ("spokewire-demo", compose_of()),
    ("x-spokewire-demo-node-1", compose_of()),
]


@pytest.mark.parametrize(("name", "compose"), FOREIGN)
def test_a_cvm_that_only_looks_like_ours_is_not_seen_and_not_removed(cloud: Cloud, name: str, compose: str) -> None:
    cloud.emulator.plant(name, compose)
    assert cloud.provider().observe() == []
    cloud.provider().destroy(make_cvm_spec().name)
    assert cloud.provider().sweep() == []
    assert [cvm.deleting_at for cvm in cloud.emulator.living()] == [None]


def test_without_a_root_key_the_networks_own_are_found_by_name_and_marker(cloud: Cloud) -> None:
    cloud.emulator.plant("spokewire-demo-node-1", compose_of())
    cloud.emulator.plant("spokewire-demo-node-2", compose_of("other"))
    assert [machine.name for machine in cloud.provider(root_key=None).observe()] == ["node-1"]
    assert cloud.provider(root_key=None).sweep() == []
    assert [cvm.name for cvm in cloud.emulator.living()] == ["spokewire-demo-node-2"]


def test_another_network_of_the_same_name_is_told_by_its_id(cloud: Cloud) -> None:
    rival = format_public_key(STRANGER.public_key())
    cloud.emulator.plant("spokewire-demo-node-1", compose_of(root_key=rival))
    cloud.emulator.plant("spokewire-demo-node-2", compose_of())
    cloud.emulator.plant("spokewire-demo2-node-1", compose_of("demo2", rival))
    assert cloud.provider().find_networks() == {NETWORK, derive_network_id(STRANGER.public_key())}
    assert [machine.name for machine in cloud.provider().observe()] == ["node-2"]


def test_more_cvms_than_a_page_holds_are_all_seen(cloud: Cloud) -> None:
    cloud.emulator.switches.machine_limit = 1000
    for number in range(1, 124):
        cloud.emulator.plant(f"spokewire-demo-node-{number}", compose_of())
    provider = cloud.provider()
    assert len(provider.observe()) == 123
    asked = len(cloud.emulator.log)
    assert len(provider.observe()) == 123
    assert len(cloud.emulator.log) - asked == 2


def test_a_cvm_whose_compose_text_cannot_be_read_yet_is_not_taken_for_a_foreign_one(cloud: Cloud) -> None:
    cloud.emulator.switches.compose_lag_s = 50
    cloud.emulator.plant("spokewire-demo-node-1", compose_of())
    with pytest.raises(TemporaryError, match="does not tell yet"):
        cloud.provider().observe()
    cloud.clock.sleep(20)
    assert [machine.name for machine in cloud.provider().observe()] == ["node-1"]


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, MachineState.RUNNING),
        ({"forced": "stopped"}, MachineState.STOPPED),
        ({"forced": "error"}, MachineState.INCOMPLETE),
        ({"forced": "exited"}, MachineState.INCOMPLETE),
        ({"forced": "updating", "instance_id": "1" * 40}, MachineState.RUNNING),
        ({"forced": "a-new-word"}, MachineState.PENDING),
        ({"forced": "starting"}, MachineState.PENDING),
        ({"forced": "starting", "created_at": 1_799_990_000.0}, MachineState.INCOMPLETE),
        ({"forced": "starting", "created_at": 1_799_990_000.0, "instance_id": "1" * 40}, MachineState.RUNNING),
    ],
)
def test_what_the_api_says_of_a_cvm_is_told_in_our_words(
    cloud: Cloud, changes: dict[str, Any], state: MachineState
) -> None:
    cloud.emulator.plant("spokewire-demo-node-1", compose_of(), **changes)
    (machine,) = cloud.provider().observe()
    assert machine.state is state


def test_a_machine_that_was_switched_off_is_switched_on_again(cloud: Cloud) -> None:
    cloud.create()
    cloud.emulator.cvms[0].switched_on = False
    assert cloud.provider().observe()[0].state is MachineState.STOPPED
    cloud.provider().start(make_cvm_spec().name)
    assert cloud.provider().observe()[0].state is MachineState.RUNNING


def test_one_machine_is_removed_and_the_others_stay(cloud: Cloud) -> None:
    cloud.emulator.switches.delete_takes_s = 40
    cloud.create("node-1")
    cloud.create("node-2")
    cloud.provider().destroy(make_cvm_spec("node-1").name)
    assert list(cloud.placed) == ["spokewire-demo-node-2"]
    cloud.provider().destroy(make_cvm_spec("node-1").name)


def test_a_machine_that_is_busy_is_stopped_first_and_then_removed(cloud: Cloud) -> None:
    cloud.create()
    cloud.emulator.cvms[0].busy_until = cloud.clock.now + 1000
    cloud.provider().destroy(make_cvm_spec().name)
    assert cloud.emulator.cvms == []


def test_a_deletion_that_never_ends_is_told(cloud: Cloud) -> None:
    cloud.emulator.switches.deletion_never_ends_on = {18}
    cloud.emulator.plant("spokewire-demo-node-1", compose_of(), never_ends=True)
    with pytest.raises(TemporaryError, match="is not done with it"):
        cloud.provider().destroy(make_cvm_spec().name)
    assert cloud.provider().sweep() == ["CVM spokewire-demo-node-1 (deleting)"]
    assert cloud.provider().observe() == []


def test_a_sweep_finds_what_the_list_does_not_have_at_once(cloud: Cloud) -> None:
    cloud.create()
    cloud.emulator.switches.list_lag_s = cloud.clock.now - cloud.emulator.cvms[0].created_at + 3
    assert cloud.provider().sweep() == []
    assert cloud.emulator.cvms == []


def test_a_removal_survives_errors_of_the_api(cloud: Cloud) -> None:
    cloud.create()
    cloud.emulator.faults += [
        Fault("DELETE", CVM, html_error(502)),
        Fault("DELETE", CVM, html_error(502), after=True),
        Fault("GET", "/api/v1/cvms/paginated", html_error(520), times=2),
    ]
    assert cloud.provider().sweep() == []
    assert cloud.emulator.cvms == []


def test_an_api_that_is_down_is_not_taken_for_an_empty_one(cloud: Cloud) -> None:
    cloud.create()
    cloud.emulator.faults.append(Fault("GET", "/api/v1/cvms/paginated", html_error(503), times=1000))
    for call in (cloud.provider().observe, cloud.provider().sweep):
        with pytest.raises(TemporaryError) as caught:
            call()
        assert caught.value.code is Code.CLOUD_UNREACHABLE


def test_a_machine_as_the_spec_wants_it_keeps_its_shape_and_a_change_shows(cloud: Cloud) -> None:
    cloud.create(instance_types=("tdx.large", "tdx.small"))
    (machine,) = cloud.provider().observe()
    assert machine.shape.startswith("tdx.large, us-west-1, 20 GB, dstack-0.5.8, compose ")
    shape = cloud.provider().shape
    assert shape(make_cvm_spec(instance_types=("tdx.small", "tdx.large")), machine) == machine.shape
    assert shape(make_cvm_spec(instance_types=("tdx.large",), regions=("us-west-1",)), machine) == machine.shape
    changes: tuple[dict[str, Any], ...] = (
        {"instance_types": ("tdx.small",)},
        {"regions": ("eu-central-1",)},
        {"disk_gb": 40},
        {"os_image": "dstack-0.5.9"},
    )
    for change in changes:
        assert shape(make_cvm_spec(**({"instance_types": ("tdx.large",)} | change)), machine) != machine.shape
    (cloud.folder / "c.yml").write_text("services: {web: {image: nginx}}")
    assert shape(make_cvm_spec(instance_types=("tdx.large",), compose="c.yml"), machine) != machine.shape
    assert isinstance(shape(make_cvm_spec()), str)


def test_a_plan_tells_what_is_wrong_with_a_compose_file_also_before_there_is_a_root_key(cloud: Cloud) -> None:
    (cloud.folder / "c.yml").write_text("services: {web: {ports: ['8000:80']}}")
    with pytest.raises(InputError) as caught:
        cloud.provider(root_key=None).shape(make_cvm_spec(compose="c.yml"))
    assert caught.value.faults[0].place == "c.yml:1 services.web.ports"


def test_the_users_own_services_run_beside_the_agent(cloud: Cloud) -> None:
    (cloud.folder / "docker-compose.yml").write_text("services:\n  web:\n    image: nginx:alpine\n")
    cloud.create(compose="docker-compose.yml")
    text = cloud.backend.composes["spokewire-demo-node-1"]
    assert "image: nginx:alpine" in text
    assert IMAGE in text


def failure(cloud: Cloud, **changes: Any) -> SpokewireError:
    """What a check says."""
    with pytest.raises(SpokewireError) as caught:
        cloud.provider().check([make_cvm_spec(**changes)])
    return caught.value


def test_a_check_that_finds_nothing_wrong_makes_nothing(cloud: Cloud) -> None:
    cloud.provider().check([make_cvm_spec()])
    assert {call.method for call in cloud.emulator.calls()} == {"GET"}


def test_without_wanted_machines_not_even_credentials_are_needed(cloud: Cloud) -> None:
    cloud.provider(key="wrong").check([])
    assert cloud.emulator.log == []


def test_a_check_says_what_is_missing_before_anything_is_made(cloud: Cloud) -> None:
    assert "no instance type tdx.huge" in failure(cloud, instance_types=("tdx.huge",)).message
    assert "no nf_tables" in str(failure(cloud, os_image="dstack-0.5.6").faults[0])
    assert "two hyphens" in str(failure(cloud, name="node--1").faults[0])
    missing = failure(cloud, compose="nowhere.yml")
    assert (missing.code, missing.faults[0].place) == (Code.SPEC_INVALID, "nowhere.yml")
    (cloud.folder / "bad.yml").write_text("services:\n  spokewire: {image: x}\n")
    assert failure(cloud, compose="bad.yml").faults[0].place == "bad.yml:2 services.spokewire"
    cloud.emulator.switches.machine_limit = 0
    assert failure(cloud).code is Code.ACCOUNT_LIMIT
    cloud.emulator.switches.balance = "0.99"
    assert (failure(cloud).code, "$0.99" in failure(cloud).message) == (Code.NO_MONEY, True)
    cloud.emulator.switches.is_post_paid, cloud.emulator.switches.machine_limit = True, 8
    cloud.provider().check([make_cvm_spec()])
    with pytest.raises(InputError) as caught:
        cloud.provider(key="phak_wrong").check([make_cvm_spec()])
    assert caught.value.code is Code.CREDENTIALS_REFUSED
    assert cloud.emulator.cvms == []


def test_the_price_is_the_sizes_own_and_the_disks(cloud: Cloud) -> None:
    price = cloud.provider().price(make_cvm_spec(disk_gb=100))
    assert price is not None
    assert (price.what, price.hourly) == ("tdx.small, 100 GB", Decimal("0.0719"))
    assert price.monthly == Decimal("52.4870")


def test_a_machine_that_is_gone_cannot_be_switched_on(cloud: Cloud) -> None:
    with pytest.raises(PermanentError, match="does not exist"):
        cloud.provider().start(make_cvm_spec().name)


def test_a_token_of_another_network_leads_to_nothing_of_ours(cloud: Cloud) -> None:
    cloud.create()
    (machine,) = cloud.provider().observe()
    assert isinstance(machine, Machine)
    assert make_node_token() not in repr(machine)
