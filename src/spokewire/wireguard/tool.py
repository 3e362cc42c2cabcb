"""The `wg` program: one way to speak to in-kernel and user-space devices alike."""

from pathlib import Path

from spokewire.errors import Code, PermanentError
from spokewire.host import processes
from spokewire.wireguard.configuration import (
    Change,
    InterfaceObserved,
    RemovePeer,
    SetInterface,
    SetPeer,
    format_peers,
    parse_dump,
)


def observe(interface: str) -> InterfaceObserved:
    """Read the state of an interface."""
    text = processes.run(["wg", "show", interface, "dump"])
    try:
        return parse_dump(text)
    except ValueError as error:
        raise PermanentError(
            Code.COMMAND_FAILED, f"wg told something about {interface} that cannot be understood."
        ) from error


def apply(interface: str, key_file: Path, changes: list[Change]) -> None:
    """Carry out planned changes; the private key is read by `wg` itself, from its file."""
    for change in changes:
        if isinstance(change, SetInterface):
            port = [] if change.listen_port is None else ["listen-port", str(change.listen_port)]
            processes.run(["wg", "set", interface, *port, "private-key", str(key_file)])
    removals = [
        word for change in changes if isinstance(change, RemovePeer) for word in ("peer", change.public_key, "remove")
    ]
    if removals:
        processes.run(["wg", "set", interface, *removals])
    peers = [change for change in changes if isinstance(change, SetPeer)]
    if peers:
        processes.run(["wg", "addconf", interface, "/dev/stdin"], stdin=format_peers(peers))
