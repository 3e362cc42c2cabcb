"""A whole `deploy` and a whole `destroy` through both clouds, killed after every single request: no orphan, no duplicate, always resumable.

The machines behind the clouds run nothing here, so a deploy never ends in readiness: what is looked at is what exists.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spokewire.cloud.digitalocean.opening import open_provider as open_digitalocean
from spokewire.cloud.phala.opening import open_provider as open_phala
from spokewire.cloud.provider import Provider
from spokewire.deploy.apply import Deployment, Outcome, Progress
from spokewire.deploy.keeper import Keeper, network_id
from spokewire.deploy.operator import Operator
from spokewire.deploy.plan import plan_deploy
from spokewire.errors import Code, InputError
from spokewire.host import files
from spokewire.network.keys import format_public_key
from spokewire.network.names import MachineName
from spokewire.network.spec import ProviderName
from spokewire.network.specfile import parse_spec
from tests.component.clouds import NearDroplets, near_spec
from tests.emulators.clients import Killed, SwiftClock
from tests.emulators.digitalocean.emulator import TOKEN, DigitalOcean
from tests.emulators.direct import Direct, Life
from tests.emulators.machines import NullCvms
from tests.emulators.phala.emulator import KEY, PhalaEmulator
from tests.emulators.service import Call, Fault, html_error

ENVIRONMENT = {"DIGITALOCEAN_TOKEN": TOKEN, "PHALA_CLOUD_API_KEY": KEY, "HOME": "/nowhere"}
MOST = 200
"""More requests than a deploy or a destroy needs: the loops end before."""
NAMES = ["spokewire-demo-hub-1", "spokewire-demo-node-1", "spokewire-demo-node-2"]


@dataclass
class Desk:
    """An operator's folder, two accounts, and one process after another."""

    folder: Path
    swift: SwiftClock = field(default_factory=SwiftClock)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.spec = self.folder / "spokewire.toml"
        self.spec.write_text(near_spec(2))
        self.digitalocean = DigitalOcean(self.swift.read, NearDroplets())
        self.phala = PhalaEmulator(NullCvms(), now=self.swift.read)
        for emulator in (self.digitalocean, self.phala):
            # The tests of each provider judge requests by the vendors' descriptions; here that would take nine tenths of the time.
            emulator._undescribed = [re.compile(".*")]

    def deploy(self, ends_after: int = 0) -> Life:
        """What `spokewire deploy` does, in a process that may be killed."""
        life = Life(ends_after)
        self._live(life, self.carry_out(life, lambda _name, _words: None))
        return life

    def destroy(self, ends_after: int = 0, *, remembers: bool = True) -> Life:
        """What `spokewire destroy` does; without its memory as if the operator's folder had been deleted first."""
        life = Life(ends_after)
        if not remembers:
            files.remove_folder(self.folder / ".spokewire")
        self._live(life, self._destroy(life))
        return life

    async def carry_out(self, life: Life, progress: Progress) -> Outcome:
        """A deploy, from looking to the end of making."""
        keeper = Keeper(self.spec)
        root = keeper.draw_key()
        operator = self._operator(life, keeper, root)
        observed = await operator.observe()
        plan = plan_deploy(operator.spec, observed)
        await asyncio.to_thread(operator.check, plan)
        keeper.store_key(root)
        return await Deployment(operator, plan, observed, root, progress).run(0.01)

    async def _destroy(self, life: Life) -> None:
        keeper = Keeper(self.spec)
        operator = self._operator(life, keeper, keeper.load_key() if keeper.has_key() else None)
        for name in operator.observe_machines():
            operator.provider_of(name).destroy(name)
        assert [item for provider in operator.providers.values() for item in provider.sweep()] == []
        keeper.remove()

    def _operator(self, life: Life, keeper: Keeper, root: Ed25519PrivateKey | None) -> Operator:
        spec, clock = parse_spec(self.spec.read_text()), self.swift.clock()
        network = None if root is None else network_id(root)
        key = None if root is None else format_public_key(root.public_key())
        providers: dict[ProviderName, Provider] = {
            ProviderName.DIGITALOCEAN: open_digitalocean(
                spec, ENVIRONMENT, identity=network, clock=clock, transport=Direct(self.digitalocean, life)
            ),
            ProviderName.PHALA: open_phala(
                spec, ENVIRONMENT, self.folder, key, clock=clock, transport=Direct(self.phala, life)
            ),
        }
        return Operator(spec, keeper, providers, network)

    def _live(self, life: Life, work: Coroutine[None, None, object]) -> None:
        """Run a process to its end, which may be a violent one; any other failure is one of the test."""
        try:
            asyncio.run(work)
        except Killed:
            if not life.is_over:
                raise
        except BaseExceptionGroup as group:
            if not life.is_over or group.split(Killed)[1] is not None:
                raise

    @property
    def machines(self) -> list[str]:
        """Everything in both accounts that costs money."""
        droplets, now = self.digitalocean.droplets, self.swift.now
        found = [droplet.name for droplet in droplets.every.values() if not droplets.is_gone(droplet, now)]
        return sorted([*found, *(cvm.name for cvm in self.phala.living())])

    def asked(self) -> Counter[str]:
        """How often each machine was asked for. What was answered with 429 was not carried out, and may be asked again."""
        names = {app_id: made.name for (app_id, _), made in self.phala.provisions.items()}
        entries = [entry for entry in [*self.digitalocean.log, *self.phala.log] if entry.reply.status != 429]
        posts = [entry.call for entry in entries if entry.call.method == "POST"]
        found = [call.body["name"] for call in posts if call.path == "/v2/droplets"]
        return Counter([*found, *(names[call.body["app_id"]] for call in posts if call.path == "/api/v1/cvms")])

    def assert_empty(self) -> None:
        assert self.machines == []
        assert self.digitalocean.empty
        assert [*self.digitalocean.violations, *self.phala.violations] == []


def well(desk: Desk) -> None:
    """Nothing else goes wrong."""


def slow_lists(desk: Desk) -> None:
    """What was just made is not listed yet, and not known by its number."""
    desk.digitalocean.switches.list_lag_s = 12
    desk.phala.switches.list_lag_s = 8
    desk.phala.switches.early_404_s = 8


def killed_at_each_request(
    folder: Path, trouble: Callable[[Desk], None], run: Callable[[Desk, int], Life]
) -> Iterator[Desk]:
    """A new desk each time, whose process was killed after its first request, its second, and so on until it gets through."""
    for number in range(1, MOST):
        desk = Desk(folder / str(number))
        trouble(desk)
        if not run(desk, number).is_over:
            return
        yield desk
    raise AssertionError("it never gets through")


def test_a_deploy_killed_after_any_request_is_completed_by_the_next_with_one_machine_of_each_name(
    tmp_path: Path,
) -> None:
    deaths = 0
    for desk in killed_at_each_request(tmp_path, well, lambda desk, number: desk.deploy(number)):
        deaths += 1
        desk.deploy()
        assert desk.machines == NAMES
        assert desk.asked() == Counter(NAMES)
    print(f"killed after each of {deaths} requests")
    assert deaths > 25


def test_a_destroy_without_memory_removes_what_a_deploy_killed_after_any_request_left(tmp_path: Path) -> None:
    deaths = 0
    for desk in killed_at_each_request(tmp_path, slow_lists, lambda desk, number: desk.deploy(number)):
        deaths += 1
        desk.swift.sleep(30)
        desk.destroy(remembers=False)
        desk.assert_empty()
        desk.destroy(remembers=False)
        desk.assert_empty()
    assert deaths > 25


def test_a_destroy_killed_after_any_request_is_completed_by_the_next(tmp_path: Path) -> None:
    deaths = 0

    def run(desk: Desk, number: int) -> Life:
        desk.deploy()
        assert desk.machines == NAMES
        return desk.destroy(number)

    def slow_removal(desk: Desk) -> None:
        desk.digitalocean.switches.delete_takes_s = desk.phala.switches.delete_takes_s = 6

    for desk in killed_at_each_request(tmp_path, slow_removal, run):
        deaths += 1
        desk.destroy(remembers=deaths % 2 == 0)
        desk.assert_empty()
    print(f"killed after each of {deaths} requests")
    assert deaths > 20


def test_another_network_of_the_same_name_is_neither_replaced_nor_destroyed(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "ours")
    desk.deploy()
    stranger = Desk(tmp_path / "theirs")
    stranger.digitalocean, stranger.phala = desk.digitalocean, desk.phala
    with pytest.raises(InputError) as refused:
        stranger.deploy()
    assert refused.value.code is Code.NAME_TAKEN
    assert not (stranger.folder / ".spokewire/root.key").exists()
    Keeper(stranger.spec).load_or_make_key()
    stranger.destroy()
    assert desk.machines == NAMES
    assert len(desk.digitalocean.network.firewalls) == 1
    desk.destroy()
    desk.assert_empty()


def test_an_api_that_is_down_half_way_is_told_for_each_machine_and_the_next_deploy_goes_on(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk")
    # The first step of a creation is the last that is answered.
    down = [Fault(method, "/api/v1/.*", html_error(503), times=10_000) for method in ("GET", "POST")]

    def fail(number: int, call: Call) -> None:
        if call.path == "/api/v1/cvms/provision":
            desk.phala.faults = down

    desk.phala.after_call = fail
    outcome = asyncio.run(desk.carry_out(Life(), lambda _name, _words: None))
    assert desk.machines == NAMES[:1]
    for name in ("node-1", "node-2"):
        error = outcome.failed[MachineName(name)]
        assert error.code is Code.CLOUD_UNREACHABLE
        assert "503" in error.message
        assert error.hint
    desk.phala.faults, desk.phala.after_call = [], lambda _number, _call: None
    desk.deploy()
    assert desk.machines == NAMES
