"""What the operator keeps: `.spokewire/` beside the spec. The root key is the one thing to guard; the rest is a cache."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spokewire.deploy.folder import keeper_folder
from spokewire.errors import Code, InputError, PermanentError
from spokewire.host import clock, files, keys
from spokewire.network.documents import Grant, sign, verify_grant
from spokewire.network.keys import derive_network_id, format_private_key, format_public_key, parse_private_key
from spokewire.network.names import MachineName, NetworkId
from spokewire.network.spec import MachineSpec, NetworkSpec
from spokewire.network.token import format_token

GRANT_LIFETIME_DAYS = 3650


@dataclass(frozen=True)
class State:
    """The cache: the newest grant minted for each name, and the newest settings handed out. Both are signed, and verified when loaded."""

    grants: dict[MachineName, Grant] = field(default_factory=dict)
    grant_texts: dict[MachineName, str] = field(default_factory=dict)
    settings: str = ""
    providers: frozenset[str] = frozenset()
    """The clouds in which machines were made: they are asked even when the spec names them no more."""


class Keeper:
    """The operator's folder."""

    def __init__(self, spec_path: Path) -> None:
        self.folder = keeper_folder(spec_path)
        self._key_path = self.folder / "root.key"
        self._state_path = self.folder / "state.json"

    def has_key(self) -> bool:
        """Whether there is a root key: whether this network was ever begun here."""
        return self._key_path.exists()

    def load_key(self) -> Ed25519PrivateKey:
        """Load the root key; InputError if there is none."""
        text = files.read(self._key_path)
        if text is None:
            raise InputError(
                Code.NOT_DEPLOYED,
                f"There is no root key in {self.folder}: nothing is deployed from here.",
                hint="Run: spokewire deploy.",
            )
        try:
            return parse_private_key(text.strip())
        except ValueError as error:
            raise PermanentError(
                Code.KEY_FILE, f"{self._key_path} does not hold a root key.", hint="Restore it from a backup."
            ) from error

    def load_or_make_key(self) -> Ed25519PrivateKey:
        """Load the root key, or make it."""
        if not self.has_key():
            self.store_key(keys.make_signing_key())
        return self.load_key()

    def draw_key(self) -> Ed25519PrivateKey:
        """Load the root key; or make one that is not stored yet, for a command that may yet decide to do nothing."""
        return self.load_key() if self.has_key() else keys.make_signing_key()

    def store_key(self, root: Ed25519PrivateKey) -> None:
        """Store a root key, unless there is one."""
        if not self.has_key():
            files.make_private_folder(self.folder)
            files.write(self._key_path, format_private_key(root) + "\n", files.PRIVATE)

    def load_state(self, *, with_expired: bool = False) -> State:
        """Load the cache; what does not verify is left out, and so are expired grants unless they are asked for."""
        if not self.has_key():
            return State()
        root = self.load_key().public_key()
        network, now = derive_network_id(root), 0.0 if with_expired else clock.wall()
        try:
            data = json.loads(files.read(self._state_path) or "{}")
            texts = {MachineName(str(name)): str(text) for name, text in data.get("grants", {}).items()}
            settings = str(data.get("settings", ""))
            providers = frozenset(map(str, data.get("providers", [])))
        except (ValueError, TypeError, AttributeError, RecursionError):
            return State()
        grants = {}
        for name, text in texts.items():
            try:
                grants[name] = verify_grant(text, root, network, now)
            except InputError:
                continue
        return State(grants, {name: texts[name] for name in grants}, settings, providers)

    def store_state(self, state: State) -> None:
        """Store the cache."""
        files.make_private_folder(self.folder)
        files.write(
            self._state_path,
            json.dumps(
                {"grants": state.grant_texts, "settings": state.settings, "providers": sorted(state.providers)},
                indent=1,
            ),
            files.PRIVATE,
        )

    def lock(self) -> files.Lock:
        """The lock of those commands that change the network."""
        files.make_private_folder(self.folder)
        return files.Lock(self.folder / "lock", "Another spokewire command is changing this network.")

    def remove(self) -> None:
        """Remove the folder with the root key: the network is no more."""
        files.remove_folder(self.folder)


def mint(
    spec: NetworkSpec,
    machine: MachineSpec,
    number: int,
    root: Ed25519PrivateKey,
    *,
    days: int = GRANT_LIFETIME_DAYS,
    agent: bool = True,
) -> tuple[str, Ed25519PrivateKey]:
    """Sign a new grant; return it with its private key. Needs no hub and no network."""
    key, now = keys.make_signing_key(), clock.wall()
    grant = Grant(
        id=keys.make_id(),
        network=derive_network_id(root.public_key()),
        network_name=spec.name,
        name=machine.name,
        role=machine.role,
        number=number,
        key=format_public_key(key.public_key()),
        tags=machine.tags,
        agent=agent,
        issued_at_ms=int(now * 1000),
        expires_at=int(now) + days * 86400,
    )
    return sign(grant, root), key


def make_token(
    root: Ed25519PrivateKey, grant_text: str, grant_key: Ed25519PrivateKey, hub_urls: list[tuple[str, ...]]
) -> str:
    """Write the token for a grant."""
    return format_token(root.public_key(), grant_text, grant_key, hub_urls)


def network_id(root: Ed25519PrivateKey) -> NetworkId:
    """The id of the network that a root key is."""
    return derive_network_id(root.public_key())
