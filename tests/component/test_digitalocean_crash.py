"""A deploy or a destroy that is killed after any single request leaves nothing that the next one does not see: no orphan, no second droplet."""

from collections.abc import Callable, Iterator

import pytest

from spokewire.cloud.digitalocean.provider import DigitalOceanProvider
from spokewire.cloud.provider import Machine, MachineState
from spokewire.network.spec import MachineSpec
from tests.builders import make_grant, make_token
from tests.emulators.authority import Authority
from tests.emulators.clients import Killed
from tests.emulators.digitalocean.case import Case, make_hub, open_stage
from tests.emulators.digitalocean.state import Switches

TOKEN = make_token(make_grant("hub-1"))
MOST = 100
"""More requests than any of these operations needs: the loops over them end before."""


def deploy(provider: DigitalOceanProvider, hub: MachineSpec) -> Machine:
    """What a deploy does: it looks, and makes or carries on what is not there."""
    found = {machine.name: machine for machine in provider.observe()}.get(hub.name)
    if found is not None and found.state is MachineState.RUNNING:
        return found
    return provider.create(hub, TOKEN)


def quick(switches: Switches) -> None:
    switches.active_after_s = 4.0


def slow_lists(switches: Switches) -> None:
    switches.active_after_s = 4.0
    switches.list_lag_s = 12.0


def killed_at_each_call(
    authority: Authority, prepare: Callable[[Case], None], run: Callable[[DigitalOceanProvider], object]
) -> Iterator[Case]:
    """The account as it is after the operation was killed at its first request, at its second, and so on until it gets through."""
    with open_stage(authority) as open_account:
        for number in range(1, MOST):
            with open_account() as case:
                prepare(case)
                try:
                    run(case.provider(dies_after=number))
                except Killed:
                    yield case
                else:
                    return
    raise AssertionError("it never gets through")


@pytest.mark.parametrize(
    ("switch", "reserved"), [(quick, True), (slow_lists, False)], ids=["reserved-ip", "slow-lists"]
)
def test_a_deploy_that_was_killed_anywhere_goes_on_to_exactly_one_hub(
    authority: Authority, switch: Callable[[Switches], None], reserved: bool
) -> None:
    deaths = 0

    def prepare(case: Case) -> None:
        switch(case.switches)

    for case in killed_at_each_call(authority, prepare, lambda p: deploy(p, make_hub(reserved_ip=reserved))):
        deaths += 1
        machine = deploy(case.provider(), make_hub(reserved_ip=reserved))
        assert machine.state is MachineState.RUNNING
        assert case.alive() == ["spokewire-demo-hub-1"]
        assert case.creates() == 1
        assert case.machines.booted == ["spokewire-demo-hub-1"]
        assert len(case.emulator.network.firewalls) == 1
        assert len(case.emulator.network.reserved) == int(reserved)
        assert machine.public_address in (
            case.emulator.network.reserved if reserved else {case.emulator.droplets.every[3_164_444].address}
        )
        assert case.provider().sweep() == []
        assert case.emulator.empty
    assert deaths > 8


def test_a_destroy_that_was_killed_anywhere_is_finished_by_the_next(authority: Authority) -> None:
    deaths = 0

    def prepare(case: Case) -> None:
        quick(case.switches)
        case.switches.delete_takes_s = 6.0
        deploy(case.provider(), make_hub(reserved_ip=True))

    for case in killed_at_each_call(authority, prepare, lambda provider: provider.sweep()):
        deaths += 1
        assert case.provider().sweep() == []
        assert case.emulator.empty
        assert case.emulator.network.tags == {}
    assert deaths > 10


def test_a_rebuild_that_was_killed_anywhere_keeps_the_reserved_address(authority: Authority) -> None:
    deaths = 0
    hub, changed = make_hub(reserved_ip=True), make_hub(reserved_ip=True, os_image="debian-12-x64")

    def prepare(case: Case) -> None:
        quick(case.switches)
        assert deploy(case.provider(), hub).public_address == "198.51.100.10"

    def rebuild(provider: DigitalOceanProvider) -> None:
        found = {machine.name: machine for machine in provider.observe()}.get(hub.name)
        if found is not None and found.shape != provider.shape(changed, found):
            provider.destroy(hub.name, keep_address=True)
        deploy(provider, changed)

    for case in killed_at_each_call(authority, prepare, rebuild):
        deaths += 1
        rebuild(case.provider())
        (machine,) = case.provider().observe()
        assert (machine.state, machine.public_address) == (MachineState.RUNNING, "198.51.100.10")
        assert case.alive() == ["spokewire-demo-hub-1"]
        assert case.creates() == 2
        assert list(case.emulator.network.reserved) == ["198.51.100.10"]
    assert deaths > 10
