"""The `wg` program: one way to speak to in-kernel and user-space devices alike."""

from collections.abc import Iterable
from pathlib import Path

from spokewire.errors import Code, PermanentError
from spokewire.host import processes
from spokewire.network.names import WireGuardKey
from spokewire.wireguard.configuration import (
    Change,
    InterfaceObserved,
    PeerObserved,
    RemovePeer,
    SetInterface,
    SetPeer,
    format_peers,
    parse_dump,
)


def derive_public_key(private_key: str) -> WireGuardKey:
    """The public half of a private key, which no other program sees; ValueError if it is not one."""
    outcome = processes.attempt(["wg", "pubkey"], stdin=f"{private_key}\n")
    if outcome.status != 0:
        raise ValueError(outcome.stderr.strip())
    return WireGuardKey(outcome.stdout.strip())


def observe(interface: str, timeout_s: float = processes.TIMEOUT_S) -> InterfaceObserved:
    """Read the state of an interface; TemporaryError (timeout) if its device does not answer."""
    text = processes.run(["wg", "show", interface, "dump"], timeout_s=timeout_s)
    try:
        return parse_dump(text)
    except ValueError as error:
        raise PermanentError(
            Code.COMMAND_FAILED, f"wg told something about {interface} that cannot be understood."
        ) from error


def renew_peers(interface: str, peers: Iterable[PeerObserved], timeout_s: float = processes.TIMEOUT_S) -> None:
    """Remove peers and add them again as they were, their endpoints included, in one go: WireGuard forgets sessions and timestamps, nobody sees them gone."""
    words = [
        word
        for peer in peers
        for word in (
            *("peer", peer.public_key, "remove", "peer", peer.public_key),
            *("allowed-ips", ",".join(sorted(map(str, peer.allowed_ips)))),
            *("persistent-keepalive", str(peer.keepalive_s)),
            *(("endpoint", peer.endpoint) if peer.endpoint is not None else ()),
        )
    ]
    processes.run(["wg", "set", interface, *words], timeout_s=timeout_s)


def apply(interface: str, key_file: Path, changes: list[Change], timeout_s: float = processes.TIMEOUT_S) -> None:
    """Carry out planned changes; the private key is read by `wg` itself, from its file."""
    for change in changes:
        if isinstance(change, SetInterface):
            port = [] if change.listen_port is None else ["listen-port", str(change.listen_port)]
            processes.run(["wg", "set", interface, *port, "private-key", str(key_file)], timeout_s=timeout_s)
    removals = [
        word for change in changes if isinstance(change, RemovePeer) for word in ("peer", change.public_key, "remove")
    ]
    if removals:
        processes.run(["wg", "set", interface, *removals], timeout_s=timeout_s)
    peers = [change for change in changes if isinstance(change, SetPeer)]
    if peers:
        processes.run(["wg", "addconf", interface, "/dev/stdin"], stdin=format_peers(peers), timeout_s=timeout_s)
