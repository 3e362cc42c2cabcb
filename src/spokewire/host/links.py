"""Links, addresses and routes over netlink."""

import errno
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, ip_interface, ip_network
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from spokewire.errors import Code, PermanentError, TemporaryError

_UP = 1
"""IFF_UP of linux/if.h."""
_NO_DAD = 0x02
"""IFA_F_NODAD of linux/if_addr.h."""
_ABSENT = (errno.ENODEV, errno.EADDRNOTAVAIL, errno.ENOENT)
_MAIN_TABLES = (253, 254)
"""RT_TABLE_DEFAULT and RT_TABLE_MAIN of linux/rtnetlink.h."""


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
    """The link of the default route and its first global addresses; None where it has none of that family."""

    name: str
    v4: str | None
    v6: str | None


class Links:
    """The links of the network namespace that we run in.

    Each call opens a netlink socket of its own, which takes a millisecond: pyroute2 binds a socket to the event loop of its thread. For the same
    reason code that runs in an event loop calls these methods in another thread.
    """

    def observe(self, name: str) -> LinkStatus | None:
        """Look at one link; None if it does not exist. Link-local addresses are the kernel's own and left out."""
        with _opened(f"look at {name}") as route:
            index = _find(route, name)
            links = [] if index is None else list(route.get_links(index))
            if index is None or not links:
                return None
            addresses = [_interface(entry, entry["prefixlen"]) for entry in route.get_addr(index=index)]
        info = links[0].get_attr("IFLA_LINKINFO")
        return LinkStatus(
            index=index,
            kind=(info.get_attr("IFLA_INFO_KIND") if info else "") or "",
            mtu=int(links[0].get_attr("IFLA_MTU")),
            is_up=bool(links[0]["flags"] & _UP),
            addresses=frozenset(address for address in addresses if not address.is_link_local),
        )

    def add_wireguard(self, name: str) -> bool:
        """Make an in-kernel WireGuard device; False where the kernel has none."""
        with _opened(f"add {name}", fine=(errno.EOPNOTSUPP,)) as route:
            route.link("add", ifname=name, kind="wireguard")
        return self.observe(name) is not None

    def delete(self, name: str) -> None:
        """Delete a link if it exists."""
        with _opened(f"delete {name}", fine=_ABSENT) as route:
            index = _find(route, name)
            if index is not None:
                route.link("del", index=index)

    def add_address(self, name: str, address: IPv4Interface | IPv6Interface) -> None:
        """Add an address with its prefix; nothing happens if it is there."""
        # Nobody else can have a tunnel's address, so IPv6 skips duplicate address detection and is usable at once.
        flags = {"flags": _NO_DAD} if isinstance(address, IPv6Interface) else {}
        with _opened(f"add {address} to {name}", fine=(errno.EEXIST,)) as route:
            route.addr(
                "add", index=_index(route, name), address=str(address.ip), prefixlen=address.network.prefixlen, **flags
            )

    def delete_address(self, name: str, address: IPv4Interface | IPv6Interface) -> None:
        """Delete an address if it is there."""
        with _opened(f"delete {address} from {name}", fine=_ABSENT) as route:
            route.addr("del", index=_index(route, name), address=str(address.ip), prefixlen=address.network.prefixlen)

    def set_up(self, name: str, mtu: int) -> None:
        """Set a link's MTU and bring it up."""
        with _opened(f"bring {name} up") as route:
            route.link("set", index=_index(route, name), mtu=mtu, state="up")

    def find_uplink(self) -> Uplink:
        """The link of the default route, with the addresses that packets leave from; TemporaryError if there is no such route yet."""
        with _opened("look for the uplink") as route:
            for family in (socket.AF_INET, socket.AF_INET6):
                for entry in route.get_routes(family=family):
                    if (
                        entry["dst_len"] == 0
                        and entry.get_attr("RTA_OIF")
                        and entry.get_attr("RTA_TABLE") in _MAIN_TABLES
                    ):
                        index = int(entry.get_attr("RTA_OIF"))
                        name = next(iter(route.get_links(index))).get_attr("IFLA_IFNAME")
                        found = [
                            _interface(a, 32 if a["family"] == socket.AF_INET else 128).ip
                            for a in route.get_addr(index=index)
                        ]
                        outside = [address for address in found if not address.is_link_local]
                        v4 = next((str(address) for address in outside if address.version == 4), None)  # noqa: PLR2004
                        v6 = next((str(address) for address in outside if address.version == 6), None)  # noqa: PLR2004
                        return Uplink(name, v4, v6)
        raise TemporaryError(
            Code.DEVICE_UNAVAILABLE, "This machine has no default route.", hint="The relay needs an uplink."
        )

    def find_overlaps(self, blocks: Iterable[IPv4Network], *, ignore: str) -> list[str]:
        """Describe routes and addresses of this machine, but those of the link `ignore`, that overlap any of the blocks."""
        wanted, found = tuple(blocks), []
        with _opened("look at the routes") as route:
            own = _find(route, ignore) if ignore else None
            names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in route.get_links()}
            for entry in route.get_routes(family=socket.AF_INET):
                if entry.get_attr("RTA_TABLE") not in _MAIN_TABLES or not entry["dst_len"]:
                    continue
                block, index = ip_network(f"{entry.get_attr('RTA_DST')}/{entry['dst_len']}"), entry.get_attr("RTA_OIF")
                if index != own and any(block.overlaps(other) for other in wanted):
                    found.append(f"the route to {block} on {names.get(index, 'no device')}")
            for entry in route.get_addr(family=socket.AF_INET):
                address = _interface(entry, 32).ip
                if entry["index"] != own and any(address in other for other in wanted):
                    found.append(f"the address {address} on {names.get(entry['index'], 'a device')}")
        return found


@contextmanager
def _opened(doing: str, *, fine: tuple[int, ...] = ()) -> Iterator[Any]:
    """A netlink socket for one call, its errors told as ours; those numbers that are `fine` are passed over."""
    try:
        with IPRoute() as route:
            yield route
    except NetlinkError as error:
        if error.code not in fine:
            raise _error(error, doing) from error


def _find(route: Any, name: str) -> int | None:
    found = route.link_lookup(ifname=name)
    return int(found[0]) if found else None


def _index(route: Any, name: str) -> int:
    index = _find(route, name)
    if index is None:
        raise PermanentError(Code.DEVICE_UNAVAILABLE, f"The interface {name} has vanished.")
    return index


def _interface(entry: Any, prefix: int) -> IPv4Interface | IPv6Interface:
    return ip_interface(f"{entry.get_attr('IFA_LOCAL') or entry.get_attr('IFA_ADDRESS')}/{prefix}")


def _error(error: NetlinkError, doing: str) -> PermanentError:
    if error.code in (errno.EPERM, errno.EACCES):
        return PermanentError(
            Code.PERMISSION,
            f"Could not {doing}: operation not permitted.",
            hint="NET_ADMIN is needed: run as root, or see `spokewire doctor`.",
        )
    return PermanentError(Code.COMMAND_FAILED, f"Could not {doing}: {error.args[1] if len(error.args) > 1 else error}.")
