"""Which addresses this machine has a route to."""

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

_ANY_PORT = 9
"""Discard (RFC 863). Nothing is sent to it."""


def has_route(host: str) -> bool:
    """Whether packets to an IP address would leave this machine; a name counts as routed. Nothing is sent: the kernel only chooses route and source."""
    try:
        address = ip_address(host)
    except ValueError:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as line:
            line.connect((host, _ANY_PORT))
    except OSError:
        return False
    return True


def choose_url(urls: Sequence[str]) -> str:
    """Of one hub's URLs, one for each family, the first whose address this machine has a route to; the first of all if there is none."""
    return next((url for url in urls if has_route(_find_host(url))), urls[0])


def _find_host(url: str) -> str:
    """The host of a URL, which others wrote; "" if it is no URL: what calls it will say what is wrong with it."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
