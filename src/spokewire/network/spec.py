"""The spec: what spokewire.toml says is wanted.

`parse_spec` reports every fault of the file at once, each with its place and what is expected there.
"""

import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from spokewire.errors import Code, Fault, InputError
from spokewire.network.addresses import LONGEST_PREFIX, SHORTEST_PREFIX, AddressPlan, derive_ula, is_usable
from spokewire.network.names import (
    MACHINE_NAME_RULE,
    NETWORK_NAME_RULE,
    MachineName,
    NetworkId,
    is_machine_name,
    is_network_name,
)


class Nat(StrEnum):
    """What stands before a lab node, in the words of RFC 4787 (mapping and filtering) and RFC 3489 (the short names)."""

    NONE = "none"
    FULL_CONE = "full-cone"
    PORT_RESTRICTED = "port-restricted"
    SYMMETRIC = "symmetric"
    UDP_BLOCKED = "udp-blocked"


class Relay(StrEnum):
    """How the hub carries packets between nodes."""

    ROUTED = "routed"


class ProviderName(StrEnum):
    """Who makes the machine. `host` is any machine of yours: it joins with a token."""

    LAB = "lab"
    HOST = "host"


def _checked(accepts: Callable[[str], bool], rule: str) -> AfterValidator:
    def check(text: str) -> str:
        if not accepts(text):
            raise ValueError(f"expected {rule}")
        return text

    return AfterValidator(check)


def _parse_cidr(text: object) -> IPv4Network:
    if not isinstance(text, str):
        raise ValueError('expected an IPv4 block such as "10.88.0.0/24"')  # noqa: TRY004 - pydantic wants ValueError
    try:
        cidr = IPv4Network(text)
    except ValueError as error:
        raise ValueError(f'expected an IPv4 block such as "10.88.0.0/24" ({error})') from None
    if not SHORTEST_PREFIX <= cidr.prefixlen <= LONGEST_PREFIX:
        raise ValueError(f"expected a block between /{SHORTEST_PREFIX} and /{LONGEST_PREFIX}")
    if not is_usable(cidr):
        raise ValueError("expected private addresses: inside 10/8, 172.16/12, 192.168/16 or 100.64/10")
    return cidr


NetworkNameText = Annotated[str, _checked(is_network_name, NETWORK_NAME_RULE)]
MachineNameText = Annotated[str, _checked(is_machine_name, MACHINE_NAME_RULE)]
CidrText = Annotated[IPv4Network, BeforeValidator(_parse_cidr)]
TagText = Annotated[str, _checked(is_machine_name, "a tag: " + MACHINE_NAME_RULE)]
PortText = Annotated[str, Field(pattern=r"^(tcp|udp)/[1-9][0-9]{0,4}$")]
"""Such as "tcp/22"."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


T = TypeVar("T", bound=_Table)


def _from_toml(kind: type[StrEnum]) -> BeforeValidator:
    def convert(value: object) -> object:
        if isinstance(value, str) and value in set(kind):
            return kind(value)
        raise ValueError("expected one of " + ", ".join(f'"{member}"' for member in kind))

    return BeforeValidator(convert)


class NetworkTable(_Table):
    """The `[network]` table."""

    name: NetworkNameText
    cidr: CidrText = IPv4Network("10.88.0.0/24")
    relay: Annotated[Relay, _from_toml(Relay)] = Relay.ROUTED


class HubTable(_Table):
    """One `[[hubs]]` table. `address` is the public address or name of a hub on a host of yours."""

    name: MachineNameText
    provider: Annotated[ProviderName, _from_toml(ProviderName)] = ProviderName.LAB
    address: str | None = Field(default=None, min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:-]+$")
    open_ports: tuple[PortText, ...] = Field(default=(), strict=False)


class NodeTable(_Table):
    """One `[[nodes]]` table: one node, or with `count` the nodes name-1 to name-count but those in `skip`."""

    name: MachineNameText
    count: int | None = Field(default=None, ge=0, le=1_000_000)
    skip: tuple[MachineNameText, ...] = Field(default=(), strict=False)
    provider: Annotated[ProviderName, _from_toml(ProviderName)] = ProviderName.LAB
    nat: Annotated[Nat, _from_toml(Nat)] | None = None
    tags: tuple[TagText, ...] = Field(default=(), strict=False)


class AccessTable(_Table):
    """One `[[access]]` table: who may open what. With none, every node may open everything on every node."""

    source: str = Field(alias="from")
    target: str = Field(alias="to")
    ports: tuple[PortText, ...] = Field(default=(), strict=False)


@dataclass(frozen=True)
class MachineSpec:
    """One wanted machine."""

    name: MachineName
    role: Literal["hub", "node"]
    provider: ProviderName
    nat: Nat = Nat.NONE
    address: str | None = None
    tags: tuple[str, ...] = ()
    open_ports: tuple[str, ...] = ()


@dataclass(frozen=True)
class NetworkSpec:
    """All that is wanted: the parsed spokewire.toml."""

    name: str
    cidr: IPv4Network
    relay: Relay
    hubs: tuple[MachineSpec, ...]
    nodes: tuple[MachineSpec, ...]
    access: tuple[AccessTable, ...] = ()

    @property
    def machines(self) -> tuple[MachineSpec, ...]:
        """Hubs, then nodes."""
        return self.hubs + self.nodes

    def find(self, name: str) -> MachineSpec:
        """The wanted machine of that name; InputError if there is none."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        known = ", ".join(machine.name for machine in self.machines)
        raise InputError(Code.NAME_UNKNOWN, f"The spec has no machine called {name!r}.", hint=f"It has: {known}.")


def parse_spec(text: str) -> NetworkSpec:
    """Parse spokewire.toml; raise one InputError that lists every fault."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _invalid([Fault("the file", f"not valid TOML: {error}")]) from None
    except RecursionError:
        raise _invalid([Fault("the file", "nested too deeply")]) from None
    faults: list[Fault] = []
    network = _table(NetworkTable, data.get("network"), "network", faults)
    hubs = _tables(HubTable, data.get("hubs"), "hubs", faults)
    nodes = _tables(NodeTable, data.get("nodes"), "nodes", faults)
    access = _tables(AccessTable, data.get("access", []), "access", faults)
    faults += [
        Fault(key, "unknown", "one of network, hubs, nodes, access")
        for key in data
        if key not in {"network", "hubs", "nodes", "access"}
    ]
    faults += _check_hubs(hubs)
    faults += _check_nodes(nodes)
    faults += _check_room(network, nodes)
    if any(fault.problem.startswith("too many") for fault in faults):
        raise _invalid(faults)
    machines = [_hub(table) for _, table in hubs] + [node for _, table in nodes for node in _expand(table)]
    faults += _check_names(hubs, nodes)
    faults += _check_access(access, machines)
    if faults or network is None:
        raise _invalid(faults)
    return NetworkSpec(
        name=network.name,
        cidr=network.cidr,
        relay=network.relay,
        hubs=tuple(machine for machine in machines if machine.role == "hub"),
        nodes=tuple(machine for machine in machines if machine.role == "node"),
        access=tuple(table for _, table in access),
    )


def _invalid(faults: list[Fault]) -> InputError:
    noun = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return InputError(
        Code.SPEC_INVALID, f"The spec has {noun}.", hint="Correct the file; nothing was changed.", faults=faults
    )


def _table(kind: type[T], value: Any, place: str, faults: list[Fault]) -> T | None:
    if not isinstance(value, dict):
        faults.append(Fault(place, "missing" if value is None else "not a table", f"a table [{place}]"))
        return None
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        faults += [_translate(place, detail) for detail in error.errors()]
        return None


def _tables(kind: type[T], value: Any, place: str, faults: list[Fault]) -> list[tuple[str, T]]:
    if not isinstance(value, list):
        faults.append(Fault(place, "missing" if value is None else "not a list of tables", f"tables [[{place}]]"))
        return []
    found = ((f"{place}[{position}]", item) for position, item in enumerate(value))
    return [(where, table) for where, item in found if (table := _table(kind, item, where, faults)) is not None]


def _translate(place: str, detail: Any) -> Fault:
    where = place + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"])
    match detail["type"]:
        case "missing":
            return Fault(where, "missing", "a value")
        case "extra_forbidden":
            return Fault(where, "unknown key", "a key that docs/reference/spec.md lists")
        case "value_error":
            problem, _, expected = str(detail["ctx"]["error"]).partition("expected ")
            return Fault(where, f"{detail['input']!r} {problem}".strip() + " is not allowed", expected)
        case "string_pattern_mismatch":
            return Fault(where, f"{detail['input']!r} is not allowed", f"text like {detail['ctx']['pattern']}")
        case _:
            return Fault(where, f"{detail['input']!r} is not allowed", detail["msg"].removeprefix("Input should be "))


def _check_hubs(hubs: list[tuple[str, HubTable]]) -> list[Fault]:
    faults = [
        Fault(f"{place}.address", "missing", 'the public address or name of a hub with provider = "host"')
        for place, hub in hubs
        if hub.provider is ProviderName.HOST and hub.address is None
    ]
    faults += [
        Fault(f"{place}.address", "not allowed here", 'no address: it is for provider = "host" only')
        for place, hub in hubs
        if hub.provider is not ProviderName.HOST and hub.address is not None
    ]
    if len(hubs) > 1:
        faults.append(Fault("hubs", f"{len(hubs)} hubs", "exactly one: several hubs are not supported yet"))
    return faults


def _check_nodes(nodes: list[tuple[str, NodeTable]]) -> list[Fault]:
    faults = []
    for place, node in nodes:
        if node.nat is not None and node.provider is not ProviderName.LAB:
            faults.append(Fault(f"{place}.nat", "not allowed here", 'no nat: it is for provider = "lab" only'))
        if node.skip and node.count is None:
            faults.append(Fault(f"{place}.skip", "not allowed here", "no skip without count"))
    return faults


def _check_room(network: NetworkTable | None, nodes: list[tuple[str, NodeTable]]) -> list[Fault]:
    if network is None:
        return []
    room = AddressPlan(network.cidr, derive_ula(NetworkId(""))).node_room
    wanted = sum(1 if table.count is None else table.count for _, table in nodes)
    if wanted <= room:
        return []
    largest = max((item for item in nodes), key=lambda item: item[1].count or 1)[0]
    expected = f"at most {room} nodes in all: {network.cidr} has no room for more"
    return [Fault(f"{largest}.count", f"too many: {wanted} nodes are wanted", expected)]


def _check_names(hubs: list[tuple[str, HubTable]], nodes: list[tuple[str, NodeTable]]) -> list[Fault]:
    named = [(f"{place}.name", hub.name) for place, hub in hubs]
    named += [(f"{place}.name", machine.name) for place, table in nodes for machine in _expand(table)]
    counts = Counter(name for _, name in named)
    faults = [Fault(place, f"{name!r} is used twice", "a name of its own") for place, name in named if counts[name] > 1]
    faults += [
        Fault(place, f"{name!r} is too long", MACHINE_NAME_RULE) for place, name in named if not is_machine_name(name)
    ]
    return list(dict.fromkeys(faults))


def _check_access(access: list[tuple[str, AccessTable]], machines: list[MachineSpec]) -> list[Fault]:
    known = (
        {"*"} | {machine.name for machine in machines} | {f"tag:{tag}" for machine in machines for tag in machine.tags}
    )
    sides = [
        (f"{place}.{key}", word)
        for place, table in access
        for key, word in (("from", table.source), ("to", table.target))
    ]
    return [
        Fault(place, f"{word!r} is unknown", '"*", a node\'s name, or "tag:" and a tag')
        for place, word in sides
        if word not in known
    ]


def _hub(table: HubTable) -> MachineSpec:
    return MachineSpec(
        name=MachineName(table.name),
        role="hub",
        provider=table.provider,
        address=table.address,
        open_ports=table.open_ports,
    )


def _expand(table: NodeTable) -> list[MachineSpec]:
    names = [table.name] if table.count is None else [f"{table.name}-{number}" for number in range(1, table.count + 1)]
    nat = table.nat or (Nat.PORT_RESTRICTED if table.provider is ProviderName.LAB else Nat.NONE)
    return [
        MachineSpec(name=MachineName(name), role="node", provider=table.provider, nat=nat, tags=table.tags)
        for name in names
        if name not in table.skip
    ]
