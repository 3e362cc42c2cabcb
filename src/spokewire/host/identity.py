"""Who this machine is: its token and keys, kept in a folder of its own for each network, mode 0700.

Files: `token`, `wireguard.key`, `record` (the newest record we signed), `journal.json`, `lock`; a node's `roster.json`;
a hub's `hub.sqlite`, `tls.key`, `tls.crt`.
"""

from dataclasses import dataclass
from pathlib import Path

from spokewire.errors import Code, InputError
from spokewire.host import clock, files
from spokewire.network.documents import Record, Role, sign, verify
from spokewire.network.keys import format_public_key
from spokewire.network.names import WireGuardKey
from spokewire.network.token import Token, parse_token

DEFAULT_STATE_FOLDER = Path("/var/lib/spokewire")


@dataclass(frozen=True)
class Identity:
    """A machine's token and the folder that holds its state."""

    token: Token
    folder: Path

    @property
    def key_file(self) -> Path:
        """Where the WireGuard private key is."""
        return self.folder / "wireguard.key"


def load_identity(
    state_folder: Path, role: Role, token_text: str | None, network: str | None = None, root_key: str | None = None
) -> Identity:
    """Take the token that is given, or the one kept from an earlier start; keep it, and return who we are.

    InputError if there is none, if it is for the other role or of another root key than `root_key`, or if this machine belongs to another
    network of the same name.
    """
    now = clock.wall()
    if token_text is None:
        kept = _find_kept(state_folder, network)
        return _checked(Identity(parse_token(files.read(kept) or "", now), kept.parent), role, root_key)
    given = parse_token(token_text, now)
    identity = _checked(Identity(given, state_folder / given.grant.network_name), role, root_key)
    files.make_private_folder(identity.folder)
    path = identity.folder / "token"
    before = files.read(path)
    if before is not None and before.strip() == token_text.strip():
        # Nothing to write: a machine whose disk is full or read-only must still start.
        return identity
    if before is not None:
        _refuse_foreign(before, given, now)
    files.write(path, token_text.strip() + "\n", files.PRIVATE)
    return identity


def refresh_record(identity: Identity, wanted: Record) -> str:
    """Sign our record, or return the one we signed before if it says the same; the sequence number only grows."""
    path = identity.folder / "record"
    before = files.read(path)
    sequence = 1
    if before is not None:
        try:
            known = verify(Record, before.strip(), identity.token.grant_key.public_key())
        except InputError:
            known = None
        if known is not None:
            if known == wanted.model_copy(update={"sequence": known.sequence}):
                return before.strip()
            sequence = known.sequence + 1 if known.grant == wanted.grant else 1
    text = sign(wanted.model_copy(update={"sequence": sequence}), identity.token.grant_key)
    files.write(path, text + "\n", files.PRIVATE)
    return text


def describe_node(identity: Identity, key: WireGuardKey) -> Record:
    """What a node's record says."""
    return Record(grant=identity.token.grant_text, sequence=1, wireguard_key=key)


def _find_kept(state_folder: Path, network: str | None) -> Path:
    kept = sorted(state_folder.glob("*/token")) if network is None else [state_folder / network / "token"]
    kept = [path for path in kept if path.exists()]
    if len(kept) == 1:
        return kept[0]
    if not kept:
        raise InputError(
            Code.TOKEN_MISSING,
            "This machine has no token.",
            hint="Mint one where the network's root key is (spokewire node token NAME) and set SPOKEWIRE_TOKEN to it.",
        )
    names = ", ".join(path.parent.name for path in kept)
    raise InputError(
        Code.TOKEN_MISSING, f"This machine belongs to several networks: {names}.", hint="Choose one with --network."
    )


def _checked(identity: Identity, role: Role, root_key: str | None) -> Identity:
    granted = identity.token.grant.role
    if root_key is not None and format_public_key(identity.token.root) != root_key:
        raise InputError(
            Code.TOKEN_FOREIGN,
            "The token is of another network than this machine was made for: its root key is not the one in SPOKEWIRE_ROOT_KEY.",
            hint="Whoever gave the token is not whoever made the machine: look at where it comes from.",
        )
    if granted != role:
        raise InputError(
            Code.TOKEN_FOREIGN,
            f"The token is for a {granted}, not for a {role}.",
            hint=f"Run: spokewire {granted} run.",
        )
    return identity


def _refuse_foreign(before: str, given: Token, now: float) -> None:
    try:
        kept = parse_token(before, now)
    except InputError:
        return
    if kept.network != given.network or kept.grant.name != given.grant.name:
        raise InputError(
            Code.TOKEN_FOREIGN,
            f"This machine already is {kept.grant.name} of another network called {kept.grant.network_name}, or another machine of it.",
            hint="Use another --state-dir, or remove the old state folder.",
        )
