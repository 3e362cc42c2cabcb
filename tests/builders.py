"""Values for tests: valid by default, each with whatever a test wants different. Deterministic: the same words make the same keys."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spokewire.cloud.provider import Machine, MachineState
from spokewire.deploy.plan import Observed
from spokewire.errors import Code, InputError
from spokewire.network.documents import Document, Grant, Member, Record, Settings, sign, verify_member
from spokewire.network.keys import derive_network_id, encode_base64url, format_public_key
from spokewire.network.names import MachineName, WireGuardKey
from spokewire.network.relays import Relay
from spokewire.network.roster import Roster, merge
from spokewire.network.spec import NetworkSpec
from spokewire.network.specfile import parse_spec
from spokewire.network.status import HubStatus, HubView, NodeStatus, PeerStatus, State
from spokewire.network.token import format_token

T = TypeVar("T")

NOW = 1_800_000_000.0
DAY_S = 86_400


def encode_jws(header: dict[str, Any], payload: object, key: Ed25519PrivateKey | None = None) -> str:
    """Sign whatever one likes, by default with the root key: what an attacker could send."""
    words = [encode_base64url(json.dumps(part).encode()) for part in (header, payload)]
    return ".".join([*words, encode_base64url((key or ROOT).sign(".".join(words).encode()))])


def dump(document: Document, **changes: object) -> dict[str, Any]:
    """The payload of a document, with changes."""
    return {**document.model_dump(mode="json", exclude_none=True), **changes}


def attempt(call: Callable[..., T], *arguments: object) -> T | InputError:
    """What a call returns, or the InputError that it raises; any other error is a defect and is raised on."""
    try:
        return call(*arguments)
    except InputError as error:
        return error


def make_signing_key(words: str) -> Ed25519PrivateKey:
    """An Ed25519 key made from words."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(words.encode()).digest())


def make_wireguard_key(words: str) -> WireGuardKey:
    """A WireGuard key made from words."""
    return WireGuardKey(base64.b64encode(hashlib.sha256(words.encode()).digest()).decode())


ROOT = make_signing_key("root")
NETWORK = derive_network_id(ROOT.public_key())
STRANGER = make_signing_key("stranger")


def make_grant(name: str = "node-1", **changes: Any) -> Grant:
    """A grant for a node (or a hub, if the name begins with "hub"); its number is that of the name."""
    is_hub = name.startswith("hub")
    digits = "".join(character for character in name if character.isdigit()) or "1"
    defaults: dict[str, Any] = {
        "id": f"grant-of-{name}".ljust(20, "_"),
        "network": NETWORK,
        "network_name": "demo",
        "name": name,
        "role": "hub" if is_hub else "node",
        "number": int(digits) + (0 if is_hub else 10),
        "issued_at_ms": int(NOW * 1000),
        "expires_at": int(NOW) + DAY_S,
    }
    values = defaults | changes
    values.setdefault("key", format_public_key(grant_key(values["id"]).public_key()))
    return Grant.model_validate(values)


def grant_key(grant_id: str) -> Ed25519PrivateKey:
    """The private key of a grant that `make_grant` made."""
    return make_signing_key(f"grant {grant_id}")


def make_record(grant: Grant | None = None, /, *, root: Ed25519PrivateKey = ROOT, **changes: Any) -> str:
    """A signed record under a grant; a hub's says where the hub is."""
    grant = make_grant() if grant is None else grant
    defaults: dict[str, Any] = {
        "grant": sign(grant, root),
        "sequence": 1,
        "wireguard_key": make_wireguard_key(grant.id),
    }
    if grant.role == "hub":
        defaults |= {"endpoint": "203.0.113.1:51820", "api_url": "https://203.0.113.1:443", "certificate": "PEM"}
    return sign(Record.model_validate(defaults | changes), grant_key(grant.id))


def make_member(name: str = "node-1", **changes: Any) -> Member:
    """A verified member; the changes are of its grant."""
    return verify_member(make_record(make_grant(name, **changes)), ROOT.public_key(), NETWORK, NOW)


def make_settings(version: int = 1, **changes: Any) -> Settings:
    """Settings of the default network."""
    defaults: dict[str, Any] = {
        "network": NETWORK,
        "version": version,
        "cidr": "10.88.0.0/24",
        "relay": Relay.SEALED,
    }
    return Settings.model_validate(defaults | changes)


def sign_settings(version: int = 1, *, root: Ed25519PrivateKey = ROOT, **changes: Any) -> str:
    """Signed settings."""
    return sign(make_settings(version, **changes), root)


def make_roster(names: Iterable[str] = ("hub-1", "node-1", "node-2"), **settings: Any) -> Roster:
    """A roster of these machines, with settings."""
    texts = [sign_settings(**settings), *(make_record(make_grant(name)) for name in names)]
    merged = merge(Roster(ROOT.public_key()), texts, NOW)
    assert not merged.refusals
    return merged.roster


def make_token(
    grant: Grant | None = None, *, hub_urls: tuple[tuple[str, ...], ...] = (("https://203.0.113.1:443",),)
) -> str:
    """A token for a grant."""
    grant = make_grant() if grant is None else grant
    return format_token(ROOT.public_key(), sign(grant, ROOT), grant_key(grant.id), hub_urls)


SPEC_TEXT = """
[network]
name = "demo"

[[hubs]]
name = "hub-1"

[[nodes]]
name = "node"
count = 3
"""


def make_spec(text: str = SPEC_TEXT) -> NetworkSpec:
    """A parsed spec."""
    return parse_spec(text)


def spec_faults(text: str) -> dict[str, str]:
    """The faults of a spec that must be refused: the text of each by its place."""
    with pytest.raises(InputError) as caught:
        parse_spec(text)
    assert caught.value.code is Code.SPEC_INVALID
    assert caught.value.faults
    assert caught.value.hint
    return {fault.place: str(fault).removeprefix(f"{fault.place}: ") for fault in caught.value.faults}


def make_machine(name: str, state: MachineState = MachineState.RUNNING, shape: str = "") -> Machine:
    """A machine as a provider observes it."""
    return Machine(MachineName(name), "hub" if name.startswith("hub") else "node", state, shape)


def make_observed(machines: Iterable[Machine] = (), **changes: Any) -> Observed:
    """What a deploy plan is made from; every machine has its grant and has joined, unless told otherwise."""
    found = {machine.name: machine for machine in machines}
    defaults: dict[str, Any] = {
        "machines": found,
        "grants": {name: make_grant(name) for name in found},
        "roster": make_roster(found),
        "shapes": {},
        "now": NOW,
    }
    return Observed(**(defaults | changes))


def make_peer(name: str = "node-2", state: State = State.CONNECTED, **changes: Any) -> PeerStatus:
    """A peer as a node sees it."""
    defaults: dict[str, Any] = {
        "name": name,
        "overlay_ip": "10.88.0.12",
        "path": "via hub-1",
        "state": state,
        "reason": f"{name} is {state}",
        "since": NOW,
    }
    return PeerStatus.model_validate(defaults | changes)


def make_node_status(node: str = "node-1", state: State = State.CONNECTED, **changes: Any) -> NodeStatus:
    """A node's own status."""
    defaults: dict[str, Any] = {
        "node": node,
        "network": "demo",
        "overlay_ip": "10.88.0.11",
        "state": state,
        "reason": f"by its own word {state}",
        "since": NOW,
        "hubs": [make_peer("hub-1", rtt_ms=1.5, loss_pct=0.0)],
        "disk_free_gb": 1.0,
        "time": NOW,
        "started_at": NOW,
        "version": "0",
    }
    return NodeStatus.model_validate(defaults | changes)


def make_view(name: str = "node-1", **changes: Any) -> HubView:
    """A node as the hub sees it: echoes and reports are fresh."""
    defaults: dict[str, Any] = {
        "name": name,
        "overlay_ip": "10.88.0.11",
        "last_echo_age_s": 0.5,
        "last_handshake_age_s": 30.0,
        "report_age_s": 1.0,
    }
    return HubView.model_validate(defaults | changes)


def make_hub_status(name: str = "hub-1", state: State = State.CONNECTED, **changes: Any) -> HubStatus:
    """A hub's own status."""
    defaults: dict[str, Any] = {
        "name": name,
        "network": "demo",
        "state": state,
        "reason": f"by its own word {state}",
        "since": NOW,
        "overlay_ip": "10.88.0.1",
        "settings_version": 1,
        "time": NOW,
        "started_at": NOW,
        "version": "0",
    }
    return HubStatus.model_validate(defaults | changes)
