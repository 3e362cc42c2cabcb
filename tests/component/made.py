"""A made-up network: a root key, and the machines that it granted."""

from dataclasses import dataclass, field
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spokewire.api.client import Identity
from spokewire.host import clock, keys
from spokewire.network.documents import Grant, Proof, Record, Report, Result, Settings, TestRequest, sign
from spokewire.network.keys import derive_network_id, format_public_key
from spokewire.network.names import NetworkId
from spokewire.network.proof import PairResult, Step
from spokewire.network.status import NodeStatus, State
from spokewire.network.token import format_token


def make_public_key() -> str:
    """A WireGuard public key whose private half nobody has."""
    return keys.derive_wireguard_public_key(keys.make_wireguard_key())


@dataclass(frozen=True)
class Machine:
    """A machine with its grant and the grant's key."""

    network: "Network"
    grant: Grant
    grant_text: str
    key: Ed25519PrivateKey
    wireguard_key: str = field(default_factory=make_public_key)

    @property
    def name(self) -> str:
        return self.grant.name

    @property
    def identity(self) -> Identity:
        return Identity(self.network.root.public_key(), self.key, self.grant_text)

    def record(self, sequence: int = 1, **changes: Any) -> str:
        values = {"grant": self.grant_text, "sequence": sequence, "wireguard_key": self.wireguard_key, **changes}
        return sign(Record.model_validate(values), self.key)

    def report(self, node: str | None = None) -> str:
        now = clock.wall()
        status = NodeStatus(
            node=node or self.name,
            network="made",
            state=State.CONNECTED,
            reason="echoes come back",
            since=now,
            disk_free_gb=1.0,
            time=now,
            started_at=now,
            version="0",
        )
        return sign(Report(grant=self.grant_text, issued_at=int(now), status=status), self.key)

    def result(self, test: str, target: str) -> str:
        pair = PairResult(source=self.name, target=target, udp_loss_pct=0.0, tcp_ok=True, checksum_ok=True)
        return sign(Result(grant=self.grant_text, test=test, pairs=(pair,)), self.key)

    def proof(self, audience: str = "hub-1", *, age_s: float = 0, network: NetworkId | None = None) -> dict[str, str]:
        """The header that proves who is calling."""
        return _bearer(self.key, self.grant_text, audience, age_s, network or self.network.id)

    def token(self, *urls: str) -> str:
        return format_token(self.network.root.public_key(), self.grant_text, self.key, [(url,) for url in urls])


@dataclass(frozen=True)
class Network:
    """A root key."""

    root: Ed25519PrivateKey = field(default_factory=keys.make_signing_key)
    name: str = "made"

    @property
    def id(self) -> NetworkId:
        return derive_network_id(self.root.public_key())

    @property
    def operator(self) -> Identity:
        return Identity(self.root.public_key(), self.root)

    def grant(
        self,
        name: str,
        number: int = 11,
        *,
        role: Literal["hub", "node"] = "node",
        lifetime_s: float = 3600,
        later_ms: int = 0,
    ) -> Machine:
        key, now = keys.make_signing_key(), clock.wall()
        grant = Grant(
            id=keys.make_id(),
            network=self.id,
            network_name=self.name,
            name=name,
            role=role,
            number=number,
            key=format_public_key(key.public_key()),
            issued_at_ms=int(now * 1000) + later_ms,
            expires_at=int(now + lifetime_s),
        )
        return Machine(self, grant, sign(grant, self.root), key)

    def settings(self, version: int = 1, *revoked: Machine) -> str:
        ids = frozenset(machine.grant.id for machine in revoked)
        values = {"network": self.id, "version": version, "cidr": "10.88.0.0/24", "relay": "routed", "revoked": ids}
        return sign(Settings.model_validate(values), self.root)

    def request(self, *pairs: tuple[str, str], test: str | None = None) -> str:
        request = TestRequest(
            id=test or keys.make_id(), network=self.id, pairs=pairs, step=Step.ECHO, issued_at=int(clock.wall())
        )
        return sign(request, self.root)

    def proof(self, audience: str = "hub-1", *, age_s: float = 0) -> dict[str, str]:
        """The header that proves that the operator is calling."""
        return _bearer(self.root, None, audience, age_s, self.id)


def _bearer(
    key: Ed25519PrivateKey, grant: str | None, audience: str, age_s: float, network: NetworkId
) -> dict[str, str]:
    proof = Proof(network=network, audience=audience, grant=grant, issued_at=int(clock.wall() - age_s))
    return {"Authorization": f"Bearer {sign(proof, key)}"}
