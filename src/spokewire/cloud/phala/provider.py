"""Phala Cloud as a provider of nodes: each is one CVM that runs the user's compose file with our agent in it."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from spokewire.cloud.phala.answers import Cvm, InstanceType
from spokewire.cloud.phala.api import Api
from spokewire.cloud.phala.compose import TOKEN, Marker, identify, join_agent, read_marker
from spokewire.cloud.phala.creation import Creation
from spokewire.cloud.phala.environment import read_environment
from spokewire.cloud.phala.fleet import Fleet
from spokewire.cloud.phala.machines import START_LIMIT_S, describe_machine, wanted_shape
from spokewire.cloud.phala.names import cvm_name, is_cvm_name
from spokewire.cloud.phala.placement import Wish, find_image_fault, find_place_faults
from spokewire.cloud.phala.seal import encode
from spokewire.cloud.provider import Machine, Price, Say, say_nothing
from spokewire.errors import Code, Fault, InputError, PermanentError, TemporaryError
from spokewire.host import files
from spokewire.network.cloudspec import CvmSpec
from spokewire.network.keys import format_public_key
from spokewire.network.names import MachineName, NetworkId
from spokewire.network.spec import MachineSpec
from spokewire.network.token import parse_token

DISK_HOURLY_USD = Decimal("0.000139")
"""For each GB, also of a machine that is switched off (docs.phala.com, pricing)."""
HOURS_PER_MONTH = 730
LEAST_BALANCE_USD = Decimal(1)
""""You need at least $1 to launch a CVM", in the API's own words."""
CONFIRM_S = 15.0
"""The list may not have what was just made: before it is believed to be empty it is read again."""
START_POLL_S = 5.0


@dataclass(frozen=True)
class Making:
    """What all CVMs of a network have in common."""

    network: str
    image: str | None
    """The container image that runs the agent, by digest; None where the spec makes no such machine."""
    folder: Path
    """Where the spec is: compose files are relative to it."""
    root_key: str | None
    """The root public key, in base64url; None before there is one, or when it was lost."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The operator's own, in which the variables of the spec are looked for."""


class PhalaProvider:
    """CVMs of one network. `connect` is called when the API is first needed: whoever has no such machine needs no key for it."""

    def __init__(
        self, making: Making, connect: Callable[[], Api], randomness: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._making, self._connect, self._randomness = making, connect, randomness

    @cached_property
    def _fleet(self) -> Fleet:
        return Fleet(self._connect(), self._making.network, self._making.root_key)

    @property
    def _api(self) -> Api:
        return self._fleet.api

    @cached_property
    def _sizes(self) -> dict[str, InstanceType]:
        return self._api.instance_types()

    def check(self, wanted: Sequence[MachineSpec]) -> None:
        """Credentials, money and limits; names, images, sizes and compose files of the spec."""
        if not wanted:
            return
        faults = [fault for spec in wanted for fault in self._find_faults(spec)]
        if faults:
            raise _unfulfillable(faults)
        for cvm in {_cvm(spec) for spec in wanted}:
            self._compose(cvm, self._making.root_key or "")
            encode(self._variables(cvm))
        account = self._api.account()
        if account.balance < LEAST_BALANCE_USD and not account.is_post_paid:
            raise PermanentError(
                Code.NO_MONEY,
                f"The balance at Phala Cloud is ${account.balance}: it takes ${LEAST_BALANCE_USD} to make a CVM.",
                hint="Top it up, then run spokewire deploy again. Nothing was made.",
            )
        existing = {name for name, _ in self._fleet.survey().ours}
        if self._api.room(account).machines == 0 and any(spec.name not in existing for spec in wanted):
            raise PermanentError(
                Code.ACCOUNT_LIMIT,
                "The workspace at Phala Cloud has as many CVMs as it may have.",
                hint="Remove some, or ask Phala for a higher tier.",
            )
        self._check_places(wanted)

    def _check_places(self, wanted: Sequence[MachineSpec]) -> None:
        """Names of the spec that no host can fulfil; whether there is room is for each machine to find out."""
        wishes = {_cvm(spec): (spec.name, self._wish(spec)) for spec in reversed(wanted)}
        hosts = self._api.hosts()
        faults = [
            Fault(f"{key} of {name}", problem, expected)
            for name, wish in wishes.values()
            for key, problem, expected in find_place_faults(hosts, wish)
        ]
        if faults:
            raise _unfulfillable(faults)

    def price(self, spec: MachineSpec, existing: Machine | None = None) -> Price | None:
        """The size's own price, and the disk's."""
        cvm = _cvm(spec)
        types = {size.id: size for size in self._wish(spec).types}
        size = types.get("" if existing is None else existing.shape.partition(", ")[0], next(iter(types.values())))
        if size.hourly_usd is None:
            return None
        hourly = size.hourly_usd + DISK_HOURLY_USD * cvm.disk_gb
        return Price(f"{size.id}, {cvm.disk_gb} GB", hourly, hourly * HOURS_PER_MONTH)

    def observe(self) -> Sequence[Machine]:
        """Every CVM with this network's name and marker that is not being deleted."""
        now, found = self._api.clock.wall(), dict[MachineName, Machine]()
        for name, cvm in self._fleet.survey().ours:
            if not cvm.is_leaving:
                found.setdefault(name, describe_machine(name, cvm, now))
        return list(found.values())

    def find_networks(self) -> frozenset[NetworkId]:
        """The root keys that stand in the compose texts of the network's CVMs."""
        survey = self._fleet.survey(everybody=True)
        markers = [read_marker(cvm.compose or "") for _, cvm in survey.ours if not cvm.is_leaving]
        return frozenset(identify(marker) for marker in markers if marker is not None)

    def create(self, spec: MachineSpec, token: str, say: Say = say_nothing) -> Machine:
        """Make a CVM and wait until it runs; what it says of itself comes later, by echo."""
        root_key = format_public_key(parse_token(token, self._api.clock.wall()).root)
        fault = next(iter(self._find_faults(spec)), None)
        if fault is not None:
            raise InputError(Code.SPEC_INVALID, f"{fault}.", hint="Correct the spec.")
        compose, environment = self._compose(_cvm(spec), root_key), {TOKEN: token} | self._variables(_cvm(spec))
        wish = self._wish(spec)
        cvm = Creation(self._api, self._fleet, spec.name, wish, compose, environment, self._randomness, say).run()
        return describe_machine(spec.name, cvm, self._api.clock.wall())

    def start(self, name: MachineName) -> None:
        """Switch a CVM on and wait until it runs."""
        cvm = self._fleet.survey().find(name)
        if cvm is None:
            raise PermanentError(
                Code.CLOUD_REFUSED, f"{name} does not exist at Phala Cloud.", hint="Run: spokewire deploy."
            )
        self._api.start(cvm.uuid)
        for _ in self._api.clock.watch(START_LIMIT_S, START_POLL_S):
            found = self._api.cvm(cvm.uuid)
            if found is not None and found.status == "running" and not found.is_busy:
                return
        raise TemporaryError(
            Code.TIMEOUT,
            f"{name} was switched on and does not run after {START_LIMIT_S / 60:.0f} minutes.",
            hint="Look at Phala's dashboard.",
        )

    def shape(self, spec: MachineSpec, existing: Machine | None = None) -> str:
        """Size, region, disk, image and compose text. Changing any of them makes the CVM anew, and its disk is lost."""
        key = self._making.root_key
        compose = self._compose(_cvm(spec), key or "")
        return wanted_shape(_cvm(spec), None if key is None else compose, "" if existing is None else existing.shape)

    def destroy(self, name: MachineName, *, keep_address: bool = False) -> None:
        """Delete a machine's CVM, and wait until it is gone. A node has no address of its own to keep."""
        left = self._remove([cvm for owner, cvm in self._fleet.survey().ours if owner == name])
        if left:
            raise TemporaryError(
                Code.TIMEOUT,
                f"{name}: Phala Cloud has taken its deletion and is not done with it.",
                hint="Run the command again later; Phala's dashboard lists it.",
            )

    def sweep(self) -> list[str]:
        """Delete every CVM of the network; two looks at the list must agree that nothing is left."""
        left: list[Cvm] = []
        for _ in range(3):
            ours = [cvm for _, cvm in self._fleet.survey().ours]
            if ours:
                left = self._remove(ours)
                if left:
                    break
            self._api.clock.sleep(CONFIRM_S)
            if not self._fleet.survey().ours:
                return []
        return sorted({f"CVM {cvm.name} ({cvm.status})" for cvm in left}) or ["CVMs that appear again and again"]

    def _remove(self, cvms: Sequence[Cvm]) -> list[Cvm]:
        for cvm in cvms:
            if not cvm.is_leaving:
                self._api.delete(cvm.uuid)
        return self._fleet.wait_until_gone(cvms)

    def _variables(self, cvm: CvmSpec) -> dict[str, str]:
        return read_environment(cvm, self._making.folder, self._making.environment)

    def _compose(self, cvm: CvmSpec, root_key: str) -> str:
        file, marker, image = cvm.compose, Marker(self._making.network, root_key), self._making.image
        if image is None:
            raise InputError(
                Code.SPEC_INVALID, "The spec does not say which image nodes run.", hint="Set image in [release]."
            )
        if file is None:
            return join_agent(None, "", image, marker)
        text = files.read(self._making.folder / file)
        if text is None:
            fault = Fault(file, "missing", f"a docker-compose file in {self._making.folder}")
            raise InputError(
                Code.SPEC_INVALID,
                "The compose file is missing.",
                hint="The path is relative to the spec.",
                faults=[fault],
            )
        return join_agent(text, file, image, marker, cvm.environment)

    def _wish(self, spec: MachineSpec) -> Wish:
        cvm, known = _cvm(spec), self._sizes
        unknown = [name for name in cvm.instance_types if name not in known]
        if unknown:
            raise InputError(
                Code.SPEC_INVALID,
                f"Phala Cloud has no instance type {', '.join(unknown)}.",
                hint=f"It has: {', '.join(sorted(known)) or 'none'}.",
            )
        return Wish(tuple(known[name] for name in cvm.instance_types), cvm.regions, cvm.os_image, cvm.disk_gb)

    def _find_faults(self, spec: MachineSpec) -> list[Fault]:
        name, image = cvm_name(self._making.network, spec.name), find_image_fault(_cvm(spec).os_image)
        faults = (
            []
            if is_cvm_name(name)
            else [Fault(spec.name, f"Phala Cloud takes no CVM called {name}", "no two hyphens in a row")]
        )
        return faults + ([Fault(f"os_image of {spec.name}", image, "a later image")] if image else [])


def _unfulfillable(faults: Sequence[Fault]) -> InputError:
    return InputError(
        Code.SPEC_INVALID,
        "Phala Cloud cannot make what the spec says.",
        hint="Correct the spec; nothing was made.",
        faults=list(dict.fromkeys(faults)),
    )


def _cvm(spec: MachineSpec) -> CvmSpec:
    return spec.cvm or CvmSpec()
