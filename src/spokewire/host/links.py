"""Links, addresses and routes over netlink."""

import errno
import socket
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, ip_address, ip_interface, ip_network

from spokewire.errors import Code, PermanentError, TemporaryError
from spokewire.host.netlink import (
    AddressHead,
    Entry,
    Kind,
    LinkHead,
    Route,
    RouteHead,
    format_attribute,
    parse_attributes,
)

_UP = 1
"""IFF_UP of linux/if.h."""
_NO_DAD = 0x02
"""IFA_F_NODAD of linux/if_addr.h."""
_ABSENT = (errno.ENODEV, errno.EADDRNOTAVAIL, errno.ENOENT)
_NAME, _MTU, _LINK_INFO, _INFO_KIND = 3, 4, 18, 1
"""IFLA_IFNAME, IFLA_MTU, IFLA_LINKINFO and, in that, IFLA_INFO_KIND of linux/if_link.h."""
_ADDRESS, _LOCAL, _ADDRESS_FLAGS = 1, 2, 8
"""IFA_ADDRESS, IFA_LOCAL and IFA_FLAGS of linux/if_addr.h."""
_DESTINATION, _LINK, _TABLE = 1, 4, 15
"""RTA_DST, RTA_OIF and RTA_TABLE of linux/rtnetlink.h."""
_MAIN_TABLES = (253, 254)
"""RT_TABLE_DEFAULT and RT_TABLE_MAIN of linux/rtnetlink.h."""
_SOURCE = 7
"""RTA_PREFSRC."""
_BY_KERNEL, _ON_LINK, _UNICAST = 2, 253, 1
"""RTPROT_KERNEL, RT_SCOPE_LINK and RTN_UNICAST."""
_NOWHERE = {
    errno.EINVAL: "a blackhole",
    errno.EHOSTUNREACH: "nothing (unreachable)",
    errno.EACCES: "nothing (prohibited)",
    errno.ENETUNREACH: "nothing (there is no route)",
}
"""What the kernel says of a destination by routes of type blackhole, unreachable and prohibit (ip-route(8)), or without any."""


@dataclass(frozen=True)
class LinkStatus:
    """An observed link. `kind` is rtnetlink's: "wireguard", "tun", or "" for hardware."""

    index: int
    kind: str
    mtu: int
    is_up: bool
    addresses: frozenset[IPv4Interface | IPv6Interface]


@dataclass(frozen=True)
class Uplink:
    """The link of the default route and one global address of each family; None where it has none of that family."""

    name: str
    v4: str | None
    v6: str | None


class Links:
    """The links of the network namespace that we run in. Each call opens a netlink socket of its own: calls of several threads do not meet."""

    def observe(self, name: str) -> LinkStatus | None:
        """Look at one link; None if it does not exist. Link-local addresses are the kernel's own and left out."""
        with _opened(f"look at {name}") as route:
            link = _find(route, name)
            if link is None:
                return None
            addresses = [_interface(entry) for entry in _addresses(route, link.head.index)]
        info = parse_attributes(link.attributes.get(_LINK_INFO, b""))
        return LinkStatus(
            index=link.head.index,
            kind=info.get(_INFO_KIND, b"").rstrip(b"\0").decode(),
            mtu=link.number(_MTU) or 0,
            is_up=bool(link.head.flags & _UP),
            addresses=frozenset(address for address in addresses if not address.is_link_local),
        )

    def add_wireguard(self, name: str) -> bool:
        """Make an in-kernel WireGuard device; False where the kernel has none."""
        info = format_attribute(_LINK_INFO, format_attribute(_INFO_KIND, "wireguard"))
        with _opened(f"add {name}", fine=(errno.EOPNOTSUPP,)) as route:
            route.change(Kind.NEW_LINK, LinkHead(), format_attribute(_NAME, name) + info, create=True)
        return self.observe(name) is not None

    def delete(self, name: str) -> None:
        """Delete a link if it exists."""
        with _opened(f"delete {name}", fine=_ABSENT) as route:
            link = _find(route, name)
            if link is not None:
                route.change(Kind.DELETE_LINK, LinkHead(index=link.head.index))

    def add_address(self, name: str, address: IPv4Interface | IPv6Interface) -> None:
        """Add an address with its prefix; nothing happens if it is there."""
        # Nobody else can have a tunnel's address, so IPv6 skips duplicate address detection and is usable at once.
        flags = format_attribute(_ADDRESS_FLAGS, _NO_DAD) if isinstance(address, IPv6Interface) else b""
        with _opened(f"add {address} to {name}", fine=(errno.EEXIST,)) as route:
            head, attributes = _describe(address, _index(route, name))
            route.change(Kind.NEW_ADDRESS, head, attributes + flags, create=True)

    def delete_address(self, name: str, address: IPv4Interface | IPv6Interface) -> None:
        """Delete an address if it is there."""
        with _opened(f"delete {address} from {name}", fine=_ABSENT) as route:
            route.change(Kind.DELETE_ADDRESS, *_describe(address, _index(route, name)))

    def set_up(self, name: str, mtu: int) -> None:
        """Set a link's MTU and bring it up."""
        with _opened(f"bring {name} up") as route:
            head = LinkHead(index=_index(route, name), flags=_UP, change=_UP)
            route.change(Kind.NEW_LINK, head, format_attribute(_MTU, mtu))

    def find_missing_routes(
        self, name: str, addresses: Iterable[IPv4Interface | IPv6Interface]
    ) -> list[IPv4Interface | IPv6Interface]:
        """Those of a link's addresses whose network has no route through it, though the kernel makes one with each address."""
        missing = []
        with _opened(f"look at the routes of {name}") as route:
            index = _index(route, name)
            routed = {
                (entry.head.family, entry.attributes.get(_DESTINATION, b""), entry.head.destination_prefix)
                for family in (socket.AF_INET, socket.AF_INET6)
                for entry in route.dump(Kind.GET_ROUTE, RouteHead(family))
                if entry.number(_LINK) == index and entry.number(_TABLE) in _MAIN_TABLES
            }
            for address in addresses:
                network = address.network
                if (_family(address), network.network_address.packed, network.prefixlen) not in routed:
                    missing.append(address)
        return missing

    def add_route(self, name: str, address: IPv4Interface | IPv6Interface) -> None:
        """Add the route to the network of an address through a link, as the kernel does with the address."""
        network, own = address.network, address.ip.packed
        with _opened(f"add the route to {network}", fine=(errno.EEXIST,)) as route:
            head = RouteHead(
                _family(address),
                network.prefixlen,
                table=_MAIN_TABLES[1],
                protocol=_BY_KERNEL,
                scope=_ON_LINK if address.version == 4 else 0,  # noqa: PLR2004
                type=_UNICAST,
            )
            attributes = format_attribute(_DESTINATION, network.network_address.packed)
            attributes += format_attribute(_LINK, _index(route, name))
            if address.version == 4:  # noqa: PLR2004
                attributes += format_attribute(_SOURCE, own)
            route.change(Kind.NEW_ROUTE, head, attributes, create=True)

    def find_way(self, address: str) -> str:
        """Where packets to an address leave this machine: the name of a link, or a word for nowhere."""
        packed = ip_address(address).packed
        with _opened(f"look for the route to {address}") as route:
            head = RouteHead(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, 8 * len(packed))  # noqa: PLR2004
            try:
                entry = route.get(Kind.GET_ROUTE, head, format_attribute(_DESTINATION, packed))
            except OSError as error:
                if error.errno in _NOWHERE:
                    return _NOWHERE[error.errno]
                raise
            index = entry.number(_LINK)
            return "" if index is None else route.get(Kind.GET_LINK, LinkHead(index=index)).text(_NAME)

    def find_uplink(self, preferred: Collection[str] = ()) -> Uplink:
        """The link of the default route, with an address of each family, a preferred one if it has that; TemporaryError if there is no such route yet."""
        with _opened("look for the uplink") as route:
            for family in (socket.AF_INET, socket.AF_INET6):
                for entry in route.dump(Kind.GET_ROUTE, RouteHead(family)):
                    index = entry.number(_LINK)
                    if (
                        entry.head.destination_prefix == 0
                        and index is not None
                        and entry.number(_TABLE) in _MAIN_TABLES
                    ):
                        link = route.get(Kind.GET_LINK, LinkHead(index=index))
                        found = [_interface(a).ip for a in _addresses(route, index)]
                        outside = [address for address in found if not address.is_link_local]
                        outside.sort(key=lambda address: str(address) not in preferred)
                        v4 = next((str(address) for address in outside if address.version == 4), None)  # noqa: PLR2004
                        v6 = next((str(address) for address in outside if address.version == 6), None)  # noqa: PLR2004
                        return Uplink(link.text(_NAME), v4, v6)
        raise TemporaryError(
            Code.DEVICE_UNAVAILABLE, "This machine has no default route.", hint="The relay needs an uplink."
        )

    def list_addresses(self, *, ignore: str) -> list[str]:
        """The addresses of this machine but those of the link `ignore`, of loopbacks, and those that are valid on their link only; IPv4 first."""
        with _opened("look at the addresses") as route:
            own = _find(route, ignore)
            found = [
                _interface(entry).ip
                for family in (socket.AF_INET, socket.AF_INET6)
                for entry in route.dump(Kind.GET_ADDRESS, AddressHead(family))
                if own is None or entry.head.index != own.head.index
            ]
        return [str(address) for address in found if not address.is_loopback and not address.is_link_local]

    def find_overlaps(self, blocks: Iterable[IPv4Network], *, ignore: str) -> list[str]:
        """Describe routes and addresses of this machine, but those of the link `ignore`, that overlap any of the blocks."""
        wanted, found = tuple(blocks), []
        with _opened("look at the routes") as route:
            names = {link.head.index: link.text(_NAME) for link in route.dump(Kind.GET_LINK, LinkHead())}
            own = next((index for index, name in names.items() if ignore and name == ignore), None)
            for entry in route.dump(Kind.GET_ROUTE, RouteHead(socket.AF_INET)):
                if entry.number(_TABLE) not in _MAIN_TABLES or not entry.head.destination_prefix:
                    continue
                address = ip_address(entry.attributes.get(_DESTINATION, bytes(4)))
                block, index = ip_network(f"{address}/{entry.head.destination_prefix}"), entry.number(_LINK)
                if (index is None or index != own) and any(block.overlaps(other) for other in wanted):
                    found.append(f"the route to {block} on {names.get(index or 0, 'no device')}")
            for own_address in route.dump(Kind.GET_ADDRESS, AddressHead(socket.AF_INET)):
                host, place = _interface(own_address).ip, own_address.head.index
                if place != own and any(host in other for other in wanted):
                    found.append(f"the address {host} on {names.get(place, 'a device')}")
        return found


@contextmanager
def _opened(doing: str, *, fine: tuple[int, ...] = ()) -> Iterator[Route]:
    """A netlink socket for one call, its errors told as ours; those numbers that are `fine` are passed over."""
    try:
        with Route() as route:
            yield route
    except OSError as error:
        if error.errno not in fine:
            raise _error(error, doing) from error


def _find(route: Route, name: str) -> Entry[LinkHead] | None:
    try:
        return route.get(Kind.GET_LINK, LinkHead(), format_attribute(_NAME, name))
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise


def _index(route: Route, name: str) -> int:
    link = _find(route, name)
    if link is None:
        raise PermanentError(Code.DEVICE_UNAVAILABLE, f"The interface {name} has vanished.")
    return link.head.index


def _addresses(route: Route, index: int) -> list[Entry[AddressHead]]:
    return [entry for entry in route.dump(Kind.GET_ADDRESS, AddressHead()) if entry.head.index == index]


def _family(address: IPv4Interface | IPv6Interface) -> int:
    return int(socket.AF_INET if isinstance(address, IPv4Interface) else socket.AF_INET6)


def _describe(address: IPv4Interface | IPv6Interface, index: int) -> tuple[AddressHead, bytes]:
    packed = address.ip.packed
    head = AddressHead(_family(address), address.network.prefixlen, index=index)
    return head, format_attribute(_LOCAL, packed) + format_attribute(_ADDRESS, packed)


def _interface(entry: Entry[AddressHead]) -> IPv4Interface | IPv6Interface:
    """An observed address with its prefix. On a point-to-point link IFA_ADDRESS is the other end's, and IFA_LOCAL ours."""
    packed = entry.attributes.get(_LOCAL) or entry.attributes[_ADDRESS]
    return ip_interface((packed, entry.head.prefix))


def _error(error: OSError, doing: str) -> PermanentError:
    if error.errno in (errno.EPERM, errno.EACCES):
        return PermanentError(
            Code.PERMISSION,
            f"Could not {doing}: operation not permitted.",
            hint="NET_ADMIN is needed: run as root, or see `spokewire doctor`.",
        )
    return PermanentError(Code.COMMAND_FAILED, f"Could not {doing}: {error.strerror}.")
