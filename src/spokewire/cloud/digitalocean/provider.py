"""DigitalOcean as a provider of hubs."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

from spokewire.cloud.cloud_init import HubBoot, write_user_data
from spokewire.cloud.digitalocean import checking
from spokewire.cloud.digitalocean.api import Api
from spokewire.cloud.digitalocean.droplets import Droplet, Size
from spokewire.cloud.digitalocean.making import LostError, Making, Wanted
from spokewire.cloud.digitalocean.removing import LISTED_LIMIT_S, Removing
from spokewire.cloud.digitalocean.words import Words, describe_shape, digest_rest, list_choices
from spokewire.cloud.provider import Machine, MachineState, Price, Say, say_nothing
from spokewire.errors import Code, InputError, PermanentError, SpokewireError, TemporaryError
from spokewire.network.cloudspec import DropletSpec, ReleaseTable
from spokewire.network.keys import derive_network_id
from spokewire.network.names import MachineName, NetworkId
from spokewire.network.spec import MachineSpec
from spokewire.network.token import parse_token


@dataclass(frozen=True)
class _Order:
    """What is to be made, complete."""

    spec: MachineSpec
    droplet: DropletSpec
    identity: NetworkId
    token: str = field(repr=False)


class DigitalOceanProvider:
    """The hubs of one network at DigitalOcean. Credentials are looked for when the first request is sent."""

    def __init__(self, words: Words, release: ReleaseTable, connect: Callable[[], Api]) -> None:
        self._words = words
        self._release = release
        self._connect = connect
        self._lock = threading.Lock()
        self._opened: Api | None = None

    def check(self, wanted: Sequence[MachineSpec]) -> None:
        """Account, droplet limit, sizes, regions, images and keys."""
        if not wanted:
            return
        existing = set(self._removing.list_droplets().values())
        checking.check_account(self._api, more=any(spec.name not in existing for spec in wanted))
        for spec in wanted:
            droplet = _droplet(spec)
            checking.check_choices(spec.name, droplet, self._sizes, self._regions)
            checking.check_image(droplet, self._api)
            checking.find_key(droplet, self._api)
        # Rights that only show when something is made are told then; these can be seen now.
        self._api.list_firewalls()
        self._api.list_tags()
        if any(_droplet(spec).reserved_ip for spec in wanted):
            self._api.list_reserved_ips()

    def price(self, spec: MachineSpec, existing: Machine | None = None) -> Price | None:
        """The list price of the first size that can be had. A reserved IP costs nothing while a droplet has it."""
        droplet = _droplet(spec)
        sizes = {size.slug: size for size in self._sizes}
        if existing is not None:
            found = sizes.get(existing.shape.partition(" in ")[0])
            return None if found is None else Price(found.slug, found.hourly, found.monthly)
        choices = checking.judge_choices(droplet, self._sizes, self._regions)
        usable = [size for (_, size), problem in choices.items() if not problem] or list(droplet.sizes)
        found = sizes.get(usable[0])
        return None if found is None else Price(found.slug, found.hourly, found.monthly)

    def observe(self) -> Sequence[Machine]:
        """Every droplet that carries the network's tags and exactly our name."""
        droplets = sorted(self._removing.list_droplets().items(), key=lambda item: item[0].id, reverse=True)
        found = {name: (droplet, name) for droplet, name in droplets}
        reserved = {item.droplet_id: item.address for item in self._api.list_reserved_ips()} if found else {}
        return [self._describe(droplet, name, reserved.get(droplet.id)) for droplet, name in found.values()]

    def find_networks(self) -> frozenset[NetworkId]:
        """The root keys that the network's droplets name in their tags."""
        return self._removing.find_identities()

    def create(self, spec: MachineSpec, token: str, say: Say = say_nothing) -> Machine:
        """Make a droplet, or carry one on that was begun."""
        identity = derive_network_id(parse_token(token, self._api.clock.wall()).root)
        order = _Order(spec, _droplet(spec), identity, token)
        droplet = self._find_begun(order, say)
        say("making its firewall")
        self._making.make_firewall(spec)
        droplet = None if droplet is None else self._carry_on(droplet, say)
        if droplet is None:
            droplet = self._make(order, say)
        address = self._making.settle_address(spec.name, droplet, say, wanted=order.droplet.reserved_ip)
        if not order.droplet.reserved_ip:
            self._removing.release_unwanted(spec.name)
        return self._describe(droplet, spec.name, address)

    def start(self, name: MachineName) -> None:
        """Power a droplet on, and wait for it."""
        droplet = self._making.find(name)
        if droplet is None:
            raise TemporaryError(Code.NOT_DEPLOYED, f"DigitalOcean has no {name}.", hint="Run: spokewire deploy.")
        try:
            self._making.wait_until_active(droplet, None, say_nothing)
        except LostError as lost:
            raise TemporaryError(Code.NOT_DEPLOYED, f"{name} is gone: {lost}.", hint="Run: spokewire deploy.") from lost

    def shape(self, spec: MachineSpec, existing: Machine | None = None) -> str:
        """Size, region, image, and a digest of the rest."""
        droplet = _droplet(spec)
        digest = self._digest(spec)
        shapes = [describe_shape(region, size, digest) for region, size in list_choices(droplet)]
        return existing.shape if existing is not None and existing.shape in shapes else shapes[0]

    def destroy(self, name: MachineName, *, keep_address: bool = False) -> None:
        """Remove a machine with its firewall and tag; and its reserved IP, unless that is kept."""
        self._removing.destroy(name, keep_address=keep_address)

    def sweep(self) -> list[str]:
        """Remove droplets, firewalls, reserved IPs and tags of this network."""
        return self._removing.sweep()

    @property
    def _api(self) -> Api:
        with self._lock:
            self._opened = self._opened or self._connect()
            return self._opened

    @cached_property
    def _removing(self) -> Removing:
        return Removing(self._api, self._words)

    @cached_property
    def _making(self) -> Making:
        return Making(self._api, self._words, self._removing)

    @cached_property
    def _sizes(self) -> list[Size]:
        return self._api.list_sizes()

    @cached_property
    def _regions(self) -> dict[str, bool]:
        return self._api.list_regions()

    def _digest(self, spec: MachineSpec) -> str:
        return digest_rest(spec, self._release.wheel_sha256 or "")

    def _find_begun(self, order: _Order, say: Say) -> Droplet | None:
        """A droplet that an interrupted deploy has made. The machine's tag is made before its droplet: where it exists, the list may lag behind."""
        name = order.spec.name
        found = self._making.find(name)
        if found is None and self._words.hub_tag(name) in self._api.list_tags():
            found = self._making.look_longer(name, LISTED_LIMIT_S, say)
        if found is None:
            return None
        wanted = self.shape(order.spec, self._describe(found, name, None))
        if self._shape_of(found) != wanted or self._words.find_identity(found) != order.identity:
            raise TemporaryError(
                Code.BUSY,
                f"DigitalOcean has a {name} of this network that is built otherwise than the spec says.",
                hint="Run spokewire deploy again: it replaces it.",
            )
        return found

    def _make(self, order: _Order, say: Say) -> Droplet:
        choices = checking.judge_choices(order.droplet, self._sizes, self._regions)
        try:
            return self._making.make(self._want(order), choices, say)
        except (InputError, PermanentError):
            # Clearly refused: no droplet is on its way, so that nothing need be left that makes the next deploy look for one.
            with suppress(SpokewireError):
                self._removing.destroy(order.spec.name, keep_address=True)
            raise

    def _carry_on(self, droplet: Droplet, say: Say) -> Droplet | None:
        """Wait for a droplet that was begun; None if it failed and is gone."""
        try:
            return self._making.wait_until_active(droplet, None, say)
        except LostError:
            return None

    def _want(self, order: _Order) -> Wanted:
        spec = order.spec
        boot = HubBoot(
            token=order.token,
            wheel=self._release.wheel or "",
            wheel_sha256=self._release.wheel_sha256 or "",
            api_port=spec.api_port,
            open_ports=spec.open_ports,
            reserved_ip=order.droplet.reserved_ip,
        )
        tags = self._words.droplet_tags(spec.name, order.identity, self._digest(spec))
        return Wanted(
            name=spec.name,
            tags=(*tags, self._words.reserved_tag) if order.droplet.reserved_ip else tuple(tags),
            droplet=order.droplet,
            user_data=_write(boot),
            key=checking.find_key(order.droplet, self._api),
        )

    def _shape_of(self, droplet: Droplet) -> str:
        return describe_shape(droplet.region, droplet.size, self._words.find_digest(droplet))

    def _describe(self, droplet: Droplet, name: MachineName, reserved: str | None) -> Machine:
        state = _state(droplet)
        if state is MachineState.RUNNING and reserved is None and self._words.awaits_reserved_ip(droplet):
            state = MachineState.PENDING
        return Machine(
            name=name,
            role="hub",
            state=state,
            shape=self._shape_of(droplet),
            public_address=reserved or droplet.address,
        )


def _state(droplet: Droplet) -> MachineState:
    """What DigitalOcean's words are in ours. A new droplet, or one without an address, is on its way."""
    if droplet.status == "off":
        return MachineState.STOPPED
    if droplet.status == "archive":
        return MachineState.INCOMPLETE
    return MachineState.RUNNING if droplet.status == "active" and droplet.address else MachineState.PENDING


def _droplet(spec: MachineSpec) -> DropletSpec:
    if spec.droplet is None:
        raise InputError(Code.REQUEST_INVALID, f"{spec.name} is not for DigitalOcean.")
    return spec.droplet


def _write(boot: HubBoot) -> str:
    try:
        return write_user_data(boot)
    except ValueError as error:
        raise InputError(
            Code.SPEC_INVALID, f"The hub cannot be started as the spec says: {error}.", hint="Name fewer open_ports."
        ) from error
