"""Reading spokewire.toml: every fault of the file at once, each with its place and what is expected there.

A table in which one key is wrong is read all the same, with a stand-in for that key, so that what can be said of its other keys is said.
"""

import tomllib
from collections import defaultdict
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from spokewire.errors import Code, Fault, InputError
from spokewire.network.addresses import SHORTEST_PREFIX, AddressPlan, derive_ula
from spokewire.network.names import MACHINE_NAME_RULE, MachineName, NetworkId, is_machine_name
from spokewire.network.spec import (
    AccessTable,
    Family,
    HubTable,
    MachineSpec,
    Nat,
    NetworkSpec,
    NetworkTable,
    NodeTable,
    ProviderName,
    Table,
)

_LARGEST_CIDR = IPv4Network(f"10.0.0.0/{SHORTEST_PREFIX}")
_LONGEST_QUOTE = 80
"""More of a wrong value than this helps nobody to find it."""

_WORDS = {"tuple_type": "a list", "string_type": "text in quotes", "int_type": "a whole number"}
"""What is expected, in the words of TOML, for faults that pydantic tells in those of Python."""

T = TypeVar("T", bound=Table)


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
    nodes = _tables(NodeTable, data.get("nodes", []), "nodes", faults)
    access = _tables(AccessTable, data.get("access", []), "access", faults)
    faults += [
        Fault(_shorten(key), "unknown", "one of network, hubs, nodes, access")
        for key in data
        if key not in {"network", "hubs", "nodes", "access"}
    ]
    faults += _check_hubs(hubs, data.get("hubs"))
    faults += _check_nodes(nodes)
    faults += _check_room(network, nodes)
    faults += _check_names(hubs, nodes)
    faults += _check_access(access, nodes)
    if faults or network is None:
        raise _invalid(faults)
    return NetworkSpec(
        name=network.table.name,
        cidr=network.table.cidr,
        relay=network.table.relay,
        hubs=tuple(_hub(hub.table) for hub in hubs),
        nodes=tuple(machine for node in nodes for machine in _expand(node.table)),
        access=tuple(rule.table for rule in access),
    )


def _invalid(faults: list[Fault]) -> InputError:
    noun = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return InputError(
        Code.SPEC_INVALID, f"The spec has {noun}.", hint="Correct the file; nothing was changed.", faults=faults
    )


@dataclass(frozen=True)
class _Read(Generic[T]):
    """A table as far as it could be read. Its keys in `bad` hold stand-ins or defaults, from which nothing may be concluded."""

    place: str
    table: T
    bad: frozenset[str] = frozenset()

    def is_sound(self, *keys: str) -> bool:
        """Whether all these keys are as the file says, or are left out there."""
        return self.bad.isdisjoint(keys)


def _table(kind: type[T], value: Any, place: str, faults: list[Fault]) -> _Read[T] | None:
    if not isinstance(value, dict):
        faults.append(Fault(place, "missing" if value is None else "not a table", f"a table [{place}]"))
        return None
    try:
        return _Read(place, kind.model_validate(value))
    except ValidationError as error:
        details = error.errors()
    faults += [_translate(place, detail) for detail in details]
    bad = frozenset(str(detail["loc"][0]) for detail in details)
    kept = {key: item for key, item in value.items() if key not in bad}
    return _Read(place, kind.model_validate({**kind.stand_ins, **kept}), bad)


def _tables(kind: type[T], value: Any, place: str, faults: list[Fault]) -> list[_Read[T]]:
    if not isinstance(value, list):
        faults.append(Fault(place, "missing" if value is None else "not a list of tables", f"tables [[{place}]]"))
        return []
    found = (_table(kind, item, f"{place}[{position}]", faults) for position, item in enumerate(value))
    return [read for read in found if read is not None]


def _translate(place: str, detail: Any) -> Fault:
    where = place + "".join(f"[{part}]" if isinstance(part, int) else f".{_shorten(part)}" for part in detail["loc"])
    problem = f"{_shorten(repr(detail['input']))} is not allowed"
    match detail["type"]:
        case "missing":
            return Fault(where, "missing", "a value")
        case "extra_forbidden":
            return Fault(where, "unknown key", "a key that docs/reference/spec.md lists")
        case "value_error":
            return Fault(where, problem, str(detail["ctx"]["error"]).removeprefix("expected "))
        case _:
            return Fault(where, problem, _WORDS.get(detail["type"], detail["msg"].removeprefix("Input should be ")))


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"


def _check_hubs(hubs: list[_Read[HubTable]], written: Any) -> list[Fault]:
    faults = []
    if isinstance(written, list) and len(written) != 1:
        faults.append(Fault("hubs", f"{len(written)} hubs", "exactly one: several hubs are not supported yet"))
    for hub in hubs:
        if not hub.is_sound("provider", "address"):
            continue
        if hub.table.provider is ProviderName.HOST and hub.table.address is None:
            expected = 'the public address or name of a hub with provider = "host"'
            faults.append(Fault(f"{hub.place}.address", "missing", expected))
        if hub.table.provider is not ProviderName.HOST and hub.table.address is not None:
            expected = 'no address: it is for provider = "host" only'
            faults.append(Fault(f"{hub.place}.address", "not allowed here", expected))
    return faults + [fault for hub in hubs for fault in _check_family(hub)]


def _check_nodes(nodes: list[_Read[NodeTable]]) -> list[Fault]:
    faults = []
    for node in nodes:
        nat, provider = node.table.nat, node.table.provider
        if node.is_sound("nat", "provider") and nat is not None and provider is not ProviderName.LAB:
            faults.append(Fault(f"{node.place}.nat", "not allowed here", 'no nat: it is for provider = "lab" only'))
        if node.is_sound("count", "skip") and node.table.skip and node.table.count is None:
            faults.append(Fault(f"{node.place}.skip", "not allowed here", "no skip without count"))
        sound = node.is_sound("nat", "family", "provider") and provider is ProviderName.LAB
        if sound and nat is not Nat.NONE and node.table.family in (Family.IPV6, Family.BOTH):
            expected = 'nat = "none" beside it: the lab\'s NAT routers speak IPv4 only'
            faults.append(Fault(f"{node.place}.family", f"'{node.table.family}' is not allowed", expected))
    return faults + [fault for node in nodes for fault in _check_family(node)]


def _check_family(read: _Read[HubTable] | _Read[NodeTable]) -> list[Fault]:
    """A host of one's own has the addresses that it has."""
    wrong = read.table.family is not None and read.table.provider is not ProviderName.LAB
    if not wrong or not read.is_sound("family", "provider"):
        return []
    return [Fault(f"{read.place}.family", "not allowed here", 'no family: it is for provider = "lab" only')]


def _check_room(network: _Read[NetworkTable] | None, nodes: list[_Read[NodeTable]]) -> list[Fault]:
    known = network is not None and network.is_sound("cidr")
    cidr = network.table.cidr if network is not None and known else _LARGEST_CIDR
    room = AddressPlan(cidr, derive_ula(NetworkId(""))).node_room
    sizes = {node.place: _size(node.table) for node in nodes if node.is_sound("count")}
    wanted = sum(sizes.values())
    if wanted <= room:
        return []
    expected = f"at most {room} nodes in all: {cidr if known else 'the largest address plan'} has no room for more"
    largest = max(sizes, key=lambda place: sizes[place])
    place = f"{largest}.count" if sizes[largest] > 1 else "nodes"
    return [Fault(place, f"too many: {wanted} nodes are wanted", expected)]


def _size(table: NodeTable) -> int:
    return 1 if table.count is None else table.count - sum(_makes(table, name) for name in set(table.skip))


def _makes(table: NodeTable, name: str) -> bool:
    """Whether name is among name-1 to name-count, skipped or not."""
    base, _, number = name.rpartition("-")
    counted = base == table.name and number.isdigit() and not number.startswith("0")
    return counted and int(number) <= (table.count or 0)


def _check_names(hubs: list[_Read[HubTable]], nodes: list[_Read[NodeTable]]) -> list[Fault]:
    """Find names used twice without writing every name out: a count may be a million, and is a fault of its own then."""
    counted = defaultdict[str, list[_Read[NodeTable]]](list)
    places = defaultdict[str, list[str]](list)
    named = [node for node in nodes if node.is_sound("name", "count", "skip")]
    for hub in hubs:
        places[hub.table.name] += [hub.place] if hub.is_sound("name") else []
    for node in named:
        if node.table.count is None:
            places[node.table.name].append(node.place)
        else:
            counted[node.table.name].append(node)
    for name, owners in places.items():
        rivals = counted.get(name.rpartition("-")[0], [])
        owners += [node.place for node in rivals if _makes(node.table, name) and name not in node.table.skip]
    clashes = [(place, name) for name, owners in places.items() if len(owners) > 1 for place in owners]
    clashes += [clash for tables in counted.values() for clash in _find_clashes(tables)]
    faults = [Fault(f"{place}.name", f"{name!r} is used twice", "a name of its own") for place, name in clashes]
    longest = [(node.place, f"{node.table.name}-{node.table.count}") for tables in counted.values() for node in tables]
    faults += [
        Fault(f"{place}.name", f"{name!r} is too long", MACHINE_NAME_RULE)
        for place, name in longest
        if not is_machine_name(name)
    ]
    return list(dict.fromkeys(faults))


def _find_clashes(tables: list[_Read[NodeTable]]) -> list[tuple[str, str]]:
    """The place of each table that makes a name which another makes too, with the first such name; all have a count and one name."""
    found = []
    for one, other in combinations(tables, 2):
        if name := _find_common(one.table, other.table):
            found += [(one.place, name), (other.place, name)]
    return found


def _find_common(one: NodeTable, other: NodeTable) -> str:
    """The first name that two tables with a count and the same name make both; "" if there is none."""
    skipped = set(one.skip) | set(other.skip)
    both = range(1, min(one.count or 0, other.count or 0) + 1)
    return next((name for number in both if (name := f"{one.name}-{number}") not in skipped), "")


def _check_access(access: list[_Read[AccessTable]], nodes: list[_Read[NodeTable]]) -> list[Fault]:
    names = {node.table.name for node in nodes if node.table.count is None}
    counted = {node.table.name: node.table for node in nodes if node.table.count is not None}
    tags = {f"tag:{tag}" for node in nodes for tag in node.table.tags}

    def is_known(word: str) -> bool:
        if word == "*":
            return True
        if word.startswith("tag:"):
            return word in tags or not all(node.is_sound("tags") for node in nodes)
        if not all(node.is_sound("name", "count", "skip") for node in nodes):
            return True
        table = counted.get(word.rpartition("-")[0])
        return word in names or (table is not None and _makes(table, word) and word not in table.skip)

    sides = [
        (f"{rule.place}.{key}", word)
        for rule in access
        for key, word in (("from", rule.table.source), ("to", rule.table.target))
    ]
    return [
        Fault(place, f"{_shorten(repr(word))} is unknown", '"*", a node\'s name, or "tag:" and a tag')
        for place, word in sides
        if not is_known(word)
    ]


def _hub(table: HubTable) -> MachineSpec:
    return MachineSpec(
        name=MachineName(table.name),
        role="hub",
        provider=table.provider,
        address=table.address,
        family=table.family or Family.IPV4,
        api_port=table.api_port,
        open_ports=table.open_ports,
    )


def _expand(table: NodeTable) -> list[MachineSpec]:
    names = [table.name] if table.count is None else [f"{table.name}-{number}" for number in range(1, table.count + 1)]
    nat = table.nat or (Nat.PORT_RESTRICTED if table.provider is ProviderName.LAB else Nat.NONE)
    family = table.family or Family.IPV4
    return [
        MachineSpec(MachineName(name), "node", table.provider, nat=nat, family=family, tags=table.tags)
        for name in names
        if name not in table.skip
    ]
