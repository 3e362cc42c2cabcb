"""Being told by the kernel that links, addresses, routes or nftables rules have changed: a reason to look again, nothing more."""

import asyncio
import socket
import struct
from collections.abc import Callable

from spokewire.host.logs import log

_NETFILTER = 12
_LINK, _IPV4_ADDRESS, _IPV4_ROUTE, _IPV6_ADDRESS, _IPV6_ROUTE = 0x1, 0x10, 0x40, 0x100, 0x400
"""Multicast groups of rtnetlink(7)."""
_NFTABLES = 1 << (7 - 1)
"""NFNLGRP_NFTABLES of linux/netfilter/nfnetlink.h, as a bit."""
_RULES = frozenset(range(9))
"""NFT_MSG_NEWTABLE to NFT_MSG_DELRULE of linux/netfilter/nf_tables.h. What comes and goes in sets and maps is no change of the rules: a relay's labels do."""
_HEADER = struct.Struct("=IHHII")
"""nlmsghdr of linux/netlink.h: length, type, flags, sequence number, port."""
PAUSE_S = 0.5
"""However much changes, we look at most twice a second."""


async def watch_changes(changed: Callable[[], None]) -> None:
    """Call `changed` soon after anything of these has changed, for ever. Where the kernel does not tell, it is never called."""
    woken = asyncio.Event()
    loop = asyncio.get_running_loop()
    lines = [line for line in map(_open, (socket.NETLINK_ROUTE, _NETFILTER)) if line is not None]

    def read(line: socket.socket) -> None:
        try:
            while data := line.recv(65536):
                if line.proto != _NETFILTER or tells_of_rules(data):
                    woken.set()
        except BlockingIOError:
            return
        except OSError:
            # Some of it was lost, because too much has changed (ENOBUFS).
            woken.set()

    for line in lines:
        loop.add_reader(line, read, line)
    try:
        while True:
            await woken.wait()
            woken.clear()
            changed()
            await asyncio.sleep(PAUSE_S)
    finally:
        for line in lines:
            loop.remove_reader(line)
            line.close()


def tells_of_rules(data: bytes) -> bool:
    """Whether messages of nftables, one after the other, tell of a table, chain or rule that came or went."""
    start = 0
    while start + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, start)
        if kind & 0xFF in _RULES:
            return True
        start += max(_HEADER.size, (length + 3) & ~3)
    return False


def _open(protocol: int) -> socket.socket | None:
    groups = _NFTABLES if protocol == _NETFILTER else _LINK | _IPV4_ADDRESS | _IPV4_ROUTE | _IPV6_ADDRESS | _IPV6_ROUTE
    line = None
    try:
        line = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
        line.bind((0, groups))
    except OSError as error:
        log.info("the kernel does not tell of changes", protocol=protocol, error=str(error))
        if line is not None:
            line.close()
        return None
    return line
