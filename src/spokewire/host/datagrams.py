"""A UDP socket with a callback for each datagram."""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import cast

from spokewire.errors import Code, PermanentError

_MTU_DISCOVER, _WANT, _PROBE = 10, 1, 3
"""IP_MTU_DISCOVER, IP_PMTUDISC_WANT (the kernel's default) and IP_PMTUDISC_PROBE of linux/in.h."""

Receive = Callable[[bytes, tuple[str, int]], None]


class DatagramSocket(asyncio.DatagramProtocol):
    """One bound UDP socket. Open it with `open_datagram_socket`."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: D102
        self._receive(data, addr)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error or a missing route: the datagram is lost, which its sender notices by the silence."""

    def send(self, data: bytes, address: tuple[str, int], *, whole: bool = False) -> None:
        """Send a datagram; one that cannot be sent is lost, like any other. `whole`: never in pieces, over IPv4."""
        if self._transport is None or self._transport.is_closing():
            return
        if not whole:
            self._transport.sendto(data, address)
            return
        line: socket.socket = self._transport.get_extra_info("socket")
        line.setsockopt(socket.IPPROTO_IP, _MTU_DISCOVER, _PROBE)
        self._transport.sendto(data, address)
        line.setsockopt(socket.IPPROTO_IP, _MTU_DISCOVER, _WANT)

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()


async def open_datagram_socket(address: str, port: int, receive: Receive) -> DatagramSocket:
    """Open a UDP socket on an address that need not exist yet (IP_FREEBIND of ip(7)), so that it outlives its interface."""
    bound = bind(socket.SOCK_DGRAM, address, port)
    _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(lambda: DatagramSocket(receive), sock=bound)
    return protocol


def bind(kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    """Make a non-blocking socket bound with IP_FREEBIND; one sentence if the port is taken or forbidden. On `::` it takes IPv4 too."""
    protocol = socket.IPPROTO_TCP if kind is socket.SOCK_STREAM else socket.IPPROTO_UDP
    # With protocol 0 asyncio leaves Nagle's algorithm on, which costs every answer 40 ms (it looks for TCP by name).
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setblocking(False)
        if family is socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_FREEBIND", 15), 1)
        if kind is socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
    except OSError as error:
        bound.close()
        raise translate_bind(error, kind, address, port) from error
    return bound


def translate_bind(error: OSError, kind: socket.SocketKind, address: str, port: int) -> PermanentError:
    """The error of ours for a bind that failed."""
    protocol = "UDP" if kind is socket.SOCK_DGRAM else "TCP"
    where = "" if address in ("::", "0.0.0.0") else f" on {address}"  # noqa: S104 - compared, not bound
    if error.errno == errno.EADDRINUSE:
        return PermanentError(
            Code.PORT_IN_USE,
            f"{protocol} port {port}{where} is in use by another program.",
            hint=f"Find it with `ss -lnp 'sport = :{port}'` and end it, or choose another port.",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return PermanentError(
            Code.PERMISSION,
            f"{protocol} port {port} may not be opened.",
            hint="Ports below 1024 need root or CAP_NET_BIND_SERVICE.",
        )
    return PermanentError(Code.COMMAND_FAILED, f"{protocol} port {port}{where} cannot be opened: {error.strerror}.")
