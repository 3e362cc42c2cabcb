"""Reading spokewire.toml: what is wrong with the tables together. Each for itself is `spokewire.network.tables`."""

import tomllib
from collections import defaultdict
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any

from spokewire.errors import Code, Fault, InputError
from spokewire.network.addresses import SHORTEST_PREFIX, AddressPlan, derive_ula
from spokewire.network.cloudspec import (
    CVM_KEYS,
    DROPLET_KEYS,
    EndpointTable,
    ReleaseTable,
    list_given,
    make_cvm,
    make_droplet,
)
from spokewire.network.hubspec import check_direct, check_hub_count
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
)
from spokewire.network.tables import Read, read_table, read_tables, shorten

_LARGEST_CIDR = IPv4Network(f"10.0.0.0/{SHORTEST_PREFIX}")
_TABLES = ("network", "hubs", "nodes", "access", "release", "digitalocean", "phala")


def parse_spec(text: str) -> NetworkSpec:
    """Parse spokewire.toml; raise one InputError that lists every fault."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _invalid([Fault("the file", f"not valid TOML: {error}")]) from None
    except RecursionError:
        raise _invalid([Fault("the file", "nested too deeply")]) from None
    faults: list[Fault] = []
    network = read_table(NetworkTable, data.get("network"), "network", faults)
    hubs = read_tables(HubTable, data.get("hubs"), "hubs", faults)
    nodes = read_tables(NodeTable, data.get("nodes", []), "nodes", faults)
    access = read_tables(AccessTable, data.get("access", []), "access", faults)
    release = read_table(ReleaseTable, data.get("release", {}), "release", faults)
    clouds = {
        name: read_table(EndpointTable, data[name], name, faults) for name in ("digitalocean", "phala") if name in data
    }
    faults += [Fault(shorten(key), "unknown", f"one of {', '.join(_TABLES)}") for key in data if key not in _TABLES]
    faults += check_direct(network)
    faults += _check_hubs(hubs, data.get("hubs"))
    faults += _check_nodes(nodes)
    faults += _check_release(release, hubs, nodes)
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
        direct=network.table.direct,
        access=tuple(rule.table for rule in access),
        release=ReleaseTable() if release is None else release.table,
        **{name: cloud.table for name, cloud in clouds.items() if cloud is not None},
    )


def _invalid(faults: list[Fault]) -> InputError:
    noun = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return InputError(
        Code.SPEC_INVALID, f"The spec has {noun}.", hint="Correct the file; nothing was changed.", faults=faults
    )


def _check_hubs(hubs: list[Read[HubTable]], written: Any) -> list[Fault]:
    faults = check_hub_count(hubs, written)
    for hub in hubs:
        if not hub.is_sound("provider", "address"):
            continue
        if hub.table.provider is ProviderName.HOST and hub.table.address is None:
            expected = 'the public address or name of a hub with provider = "host"'
            faults.append(Fault(f"{hub.place}.address", "missing", expected))
        if hub.table.provider is not ProviderName.HOST and hub.table.address is not None:
            expected = 'no address: it is for provider = "host" only'
            faults.append(Fault(f"{hub.place}.address", "not allowed here", expected))
    for hub in hubs:
        faults += _check_keys(hub, DROPLET_KEYS, ProviderName.DIGITALOCEAN)
        wanted = hub.table.provider is ProviderName.DIGITALOCEAN and hub.table.regions is None
        if wanted and hub.is_sound("provider", "regions"):
            expected = 'the regions to try, in order, such as ["fra1", "ams3"]'
            faults.append(Fault(f"{hub.place}.regions", "missing", expected))
    return faults + [fault for hub in hubs for fault in _check_family(hub)]


def _check_keys(read: Read[HubTable] | Read[NodeTable], keys: tuple[str, ...], owner: ProviderName) -> list[Fault]:
    """Keys that are for one cloud only stand in no other table."""
    if read.table.provider is owner or not read.is_sound("provider"):
        return []
    return [
        Fault(f"{read.place}.{key}", "not allowed here", f'no {key}: it is for provider = "{owner}" only')
        for key in list_given(read.table, keys)
        if read.is_sound(key)
    ]


def _check_release(
    release: Read[ReleaseTable] | None, hubs: list[Read[HubTable]], nodes: list[Read[NodeTable]]
) -> list[Fault]:
    """What machines in clouds install must be said exactly."""
    if release is None:
        return []
    wanted = {
        key: f'{what}, for provider = "{cloud}"'
        for reads, cloud, key, what in (
            (hubs, ProviderName.DIGITALOCEAN, "wheel", "the URL of the wheel that hubs install"),
            (hubs, ProviderName.DIGITALOCEAN, "wheel_sha256", "the SHA-256 of that wheel"),
            (nodes, ProviderName.PHALA, "image", "the container image that nodes run, by digest"),
        )
        if any(read.is_sound("provider") and read.table.provider is cloud for read in reads)
    }
    if release.table.wheel is not None:
        wanted.setdefault("wheel_sha256", "the SHA-256 of that wheel")
    return [
        Fault(f"release.{key}", "missing", what)
        for key, what in wanted.items()
        if getattr(release.table, key) is None and release.is_sound(key)
    ]


def _check_nodes(nodes: list[Read[NodeTable]]) -> list[Fault]:
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
    faults += [fault for node in nodes for fault in _check_keys(node, CVM_KEYS, ProviderName.PHALA)]
    faults += [fault for node in nodes for fault in _check_variables(node)]
    return faults + [fault for node in nodes for fault in _check_family(node)]


def _check_variables(read: Read[NodeTable]) -> list[Fault]:
    """Variables are for a compose file, and a file of values for variables."""
    wanted = (("environment", "compose", "a compose file that uses them"), ("env_file", "environment", "the names"))
    if read.table.provider is not ProviderName.PHALA or not read.is_sound("provider"):
        return []
    return [
        Fault(f"{read.place}.{key}", "not allowed here", f"{key} only beside {other}: {what}")
        for key, other, what in wanted
        if getattr(read.table, key) and not getattr(read.table, other) and read.is_sound(key, other)
    ]


def _check_family(read: Read[HubTable] | Read[NodeTable]) -> list[Fault]:
    """A host of one's own has the addresses that it has."""
    wrong = read.table.family is not None and read.table.provider is not ProviderName.LAB
    if not wrong or not read.is_sound("family", "provider"):
        return []
    return [Fault(f"{read.place}.family", "not allowed here", 'no family: it is for provider = "lab" only')]


def _check_room(network: Read[NetworkTable] | None, nodes: list[Read[NodeTable]]) -> list[Fault]:
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


def _check_names(hubs: list[Read[HubTable]], nodes: list[Read[NodeTable]]) -> list[Fault]:
    """Find names used twice without writing every name out: a count may be a million, and is a fault of its own then."""
    counted = defaultdict[str, list[Read[NodeTable]]](list)
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


def _find_clashes(tables: list[Read[NodeTable]]) -> list[tuple[str, str]]:
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


def _check_access(access: list[Read[AccessTable]], nodes: list[Read[NodeTable]]) -> list[Fault]:
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
        Fault(place, f"{shorten(repr(word))} is unknown", '"*", a node\'s name, or "tag:" and a tag')
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
        weight=table.weight,
        drain=table.drain,
        open_ports=table.open_ports,
        droplet=make_droplet(table) if table.provider is ProviderName.DIGITALOCEAN else None,
    )


def _expand(table: NodeTable) -> list[MachineSpec]:
    names = [table.name] if table.count is None else [f"{table.name}-{number}" for number in range(1, table.count + 1)]
    nat = table.nat or (Nat.PORT_RESTRICTED if table.provider is ProviderName.LAB else Nat.NONE)
    family = table.family or Family.IPV4
    cvm = make_cvm(table) if table.provider is ProviderName.PHALA else None
    return [
        MachineSpec(MachineName(name), "node", table.provider, nat=nat, family=family, tags=table.tags, cvm=cvm)
        for name in names
        if name not in table.skip
    ]
