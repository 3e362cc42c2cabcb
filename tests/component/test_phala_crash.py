"""The command is killed after any single request: the next one finds what there is; nothing is left behind, and nothing is made twice."""

from collections import Counter
from collections.abc import Callable

import pytest

from spokewire.cloud.phala.provider import PhalaProvider
from spokewire.cloud.provider import MachineState
from tests.component.phala import Cloud, make_cvm_spec, make_node_token
from tests.emulators.clients import Killed


def bring_about(provider: PhalaProvider) -> None:
    """What a deploy does for one node, whatever there is."""
    spec = make_cvm_spec()
    found = {machine.name: machine for machine in provider.observe()}
    existing = found.get(spec.name)
    if existing is not None and existing.state is MachineState.STOPPED:
        provider.start(spec.name)
    elif existing is None or existing.state is not MachineState.RUNNING:
        if existing is not None and existing.state is MachineState.INCOMPLETE:
            provider.destroy(spec.name)
        provider.create(spec, make_node_token())


def count_requests(cloud: Cloud, work: Callable[[PhalaProvider], object]) -> int:
    """How many requests a piece of work needs that nothing interrupts."""
    before = len(cloud.emulator.log)
    work(cloud.provider())
    return len(cloud.emulator.log) - before


def check_one_running(cloud: Cloud) -> None:
    (cvm,) = cloud.emulator.living()
    assert (cvm.name, cloud.emulator.status(cvm)) == ("spokewire-demo-node-1", "running")
    assert cvm.env == {"SPOKEWIRE_TOKEN": make_node_token()}


def well(cloud: Cloud) -> None:
    """Nothing goes wrong."""


def first_host_fails(cloud: Cloud) -> None:
    cloud.emulator.switches.fails_on = {18}
    cloud.emulator.switches.delete_takes_s = 5


def off_at_first(cloud: Cloud) -> None:
    cloud.emulator.switches.stopped_after_commit = True


def list_lags(cloud: Cloud) -> None:
    cloud.emulator.switches.list_lag_s = 8
    cloud.emulator.switches.early_404_s = 8


@pytest.mark.parametrize(("trouble", "commits"), [(well, 1), (first_host_fails, 3), (off_at_first, 1), (list_lags, 1)])
def test_a_creation_killed_after_any_request_is_completed_by_the_next(
    cloud: Cloud, trouble: Callable[[Cloud], None], commits: int
) -> None:
    """`commits`: how often a machine may be asked for; again only when the one before was removed."""
    trouble(cloud)
    requests = count_requests(cloud, bring_about)
    assert requests >= 7
    for number in range(1, requests + 1):
        cloud.emulator.cvms.clear()
        before = cloud.commits
        with pytest.raises(Killed):
            bring_about(cloud.provider(dies_after=number))
        bring_about(cloud.provider())
        check_one_running(cloud)
        names = Counter(cvm.name for cvm in cloud.emulator.living())
        assert max(names.values()) == 1
        assert cloud.commits - before <= commits
        cloud.clock.sleep(60)


def test_a_sweep_killed_after_any_request_is_completed_by_the_next(cloud: Cloud) -> None:
    cloud.emulator.switches.delete_takes_s = 7

    def fill() -> None:
        for number in (1, 2):
            cloud.create(f"node-{number}")

    fill()
    requests = count_requests(cloud, lambda provider: provider.sweep())
    assert requests >= 8
    for number in range(1, requests + 1):
        fill()
        with pytest.raises(Killed):
            cloud.provider(dies_after=number).sweep()
        assert cloud.provider().sweep() == []
        assert cloud.emulator.living() == []
    assert cloud.provider().sweep() == []
