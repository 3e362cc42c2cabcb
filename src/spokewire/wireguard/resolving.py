"""Finding the addresses of endpoints that are named: a hub's name may lead elsewhere tomorrow."""

import asyncio
import contextlib
import socket
from collections.abc import Mapping
from ipaddress import ip_address

from spokewire.host.logs import log
from spokewire.host.routes import has_route


async def resolve(endpoints: Mapping[str, str | None]) -> dict[str, list[str]]:
    """Resolve each `host:port`, and what may be used in its place, to every `address:port`; one that cannot be resolved now is left out.

    The first address that we have a route to comes first, IPv4 before IPv6: a sealed relay switches within one family, and nearly everybody has that one.
    """
    resolved = {}
    for endpoint, instead in endpoints.items():
        found = [place for text in (endpoint, instead) if text is not None for place in await _look_up(text)]
        found.sort(key=lambda place: ":" in place[0])
        found.sort(key=lambda place: not has_route(place[0]))
        if found:
            resolved[endpoint] = [
                f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address, port in found
            ]
    return resolved


async def _look_up(endpoint: str) -> list[tuple[str, int]]:
    host, _, port = endpoint.rpartition(":")
    with contextlib.suppress(ValueError):
        # The resolver would answer the same, but take a thread for it, and load the tables of international names: a megabyte of each agent.
        return [(str(ip_address(host.strip("[]"))), int(port))]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)
    except (OSError, ValueError):
        log.warning("endpoint not resolved", endpoint=endpoint)
        return []
    return [(str(entry[4][0]), int(entry[4][1])) for entry in found]
