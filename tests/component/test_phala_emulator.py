"""The emulated Phala Cloud takes what the vendor's own command line sent, and refuses what the real one refuses."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.component.phala import Cloud
from tests.emulators.phala.emulator import KEY
from tests.emulators.phala.world import Provision

RECORDED = Path(__file__).parents[1] / "emulators" / "phala" / "cli-requests.jsonl"
HEADERS = {"X-API-Key": KEY, "X-Phala-Version": "2026-01-21"}


@pytest.fixture
def client(cloud: Cloud) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=cloud.url, verify=cloud.authority.client_context()) as client:
        yield client


def load_recording() -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    return [line for line in lines if "m" in line]


def test_every_request_that_the_vendors_command_line_was_seen_to_send_is_taken(
    cloud: Cloud, client: httpx.Client
) -> None:
    """Its commit names an app id, a hash and a key that were made up for the recording: they are put into the cache first."""
    recording = load_recording()
    provision = next(line["b"] for line in recording if line["p"].endswith("/provision"))
    made = Provision(
        "wg-node", cloud.emulator.hosts[0], "tdx.small", 20, "dstack-0.5.8", dict(provision["compose_file"]),
        X25519PrivateKey.from_private_bytes(b"\1" * 32), False, cloud.clock.now,
    )  # fmt: skip
    cloud.emulator.provisions["a" * 40, "c0" * 32] = made
    cloud.emulator.ids = [("cvm_AbC123", "11112222333344448555666677778888")]
    cloud.emulator.switches.delete_takes_s = 1e9
    for line in recording:
        headers = {name: value for name, value in line["h"].items() if name != "content-length"}
        content = None if line["b"] is None else json.dumps(line["b"])
        if line["p"].startswith("/clog"):
            headers["content-type"] = ""
        answer = client.request(line["m"], line["p"], headers=headers, content=content)
        assert answer.status_code < 300, f"{line['m']} {line['p']}: {answer.status_code} {answer.text}"
        assert answer.status_code != 204 or answer.content == b""
    assert len(recording) == len(cloud.emulator.log) >= 30
    (cvm,) = cloud.emulator.cvms
    assert cvm.env == {"A": "3"}


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        ({"X-Phala-Version": "2026-01-21"}, 401, "Invalid API key"),
        ({"X-API-Key": "phak_other", "X-Phala-Version": "2026-01-21"}, 401, "Invalid API key"),
        ({"Authorization": f"Bearer {KEY}", "X-Phala-Version": "2026-01-21"}, 401, "Invalid or expired token"),
        (HEADERS | {"User-Agent": ""}, 403, "1010"),
        (HEADERS | {"User-Agent": "Python-urllib/3.11"}, 403, "1010"),
        ({"X-API-Key": KEY, "X-Phala-Version": "2020-01-01"}, 400, "Unsupported"),
    ],
)
def test_callers_that_the_real_one_turns_away_are_turned_away(
    cloud: Cloud, client: httpx.Client, headers: dict[str, str], status: int, words: str
) -> None:
    answer = client.get("/api/v1/cvms/paginated", headers=headers)
    assert (answer.status_code, words in answer.text) == (status, True)
    cloud.emulator.violations.clear()


@pytest.mark.parametrize("version", ["2025-10-28", "2026-01-21"])
def test_each_version_has_its_own_shapes(cloud: Cloud, client: httpx.Client, version: str) -> None:
    cloud.create()
    headers = HEADERS | {"X-Phala-Version": version}
    is_new = version == "2026-01-21"
    me = client.get("/api/v1/auth/me", headers=headers).json()
    assert ("workspace" in me) is is_new
    cvm = client.get("/api/v1/cvms/spokewire-demo-node-1", headers=headers).json()
    assert isinstance(cvm["id"], str if is_new else int)
    assert ("gateway" in cvm) is is_new
    (item,) = client.get("/api/v1/cvms/paginated", headers=headers).json()["items"]
    assert ("hosted" in item) is not is_new


def provision(client: httpx.Client, **changes: Any) -> httpx.Response:
    compose = {"name": "", "docker_compose_file": "services: {}", "allowed_envs": []}
    body = {"name": "some-node", "instance_type": "tdx.small", "compose_file": compose} | changes
    wanted = {key: value for key, value in body.items() if value is not None}
    return client.post("/api/v1/cvms/provision", headers=HEADERS, json=wanted)


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"instance_type": None}, 400, "ERR-02-008"),
        ({"instance_type": "tdx.none"}, 400, "ERR-02-001"),
        ({"region": "us-west"}, 400, "No teepod found"),
        ({"teepod_id": 4711}, 400, "ERR-02-002"),
        ({"image": "dstack-0.0.1"}, 400, "ERR-02-010"),
        ({"compose_file": {"name": "", "docker_compose_file": "x" * 300_000}}, 400, "ERR-01-003"),
        ({"name": None}, 422, "name"),
        ({"colour": "red"}, 422, "colour"),
        ({"disk_size": "20"}, 422, "detail"),
    ],
)
def test_a_wrong_wish_is_refused(
    cloud: Cloud, client: httpx.Client, changes: dict[str, Any], status: int, words: str
) -> None:
    answer = provision(client, **changes)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert cloud.emulator.provisions == {}
    cloud.emulator.violations.clear()


def test_without_a_choice_the_server_takes_an_image_for_development(cloud: Cloud, client: httpx.Client) -> None:
    assert provision(client).status_code == 200
    assert provision(client, prefer_dev=False).status_code == 200
    assert [made.image for made in cloud.emulator.provisions.values()] == ["dstack-dev-0.5.8", "dstack-0.5.8"]
    assert {made.listed for made in cloud.emulator.provisions.values()} == {True}


def test_a_commit_is_the_same_machine_when_it_is_asked_again_and_needs_what_was_provisioned(
    cloud: Cloud, client: httpx.Client
) -> None:
    made = provision(client, region="US-WEST-1").json()
    body = {"app_id": made["app_id"], "compose_hash": made["compose_hash"]}
    first, again = (client.post("/api/v1/cvms", headers=HEADERS, json=body).json() for _ in range(2))
    assert first["vm_uuid"] == again["vm_uuid"]
    other = client.post("/api/v1/cvms", headers=HEADERS, json=body | {"compose_hash": "0" * 64})
    assert (other.status_code, other.json()["error_code"]) == (409, "ERR-03-007")
    unknown = client.post("/api/v1/cvms", headers=HEADERS, json=body | {"app_id": "1" * 40})
    assert unknown.status_code == 422
    second = provision(client, name="other-node").json()
    body = {"app_id": second["app_id"], "compose_hash": second["compose_hash"], "encrypted_env": "00" * 80}
    assert "encrypted_env" in client.post("/api/v1/cvms", headers=HEADERS, json=body).text
    assert len(cloud.emulator.cvms) == 1


def test_only_allowed_names_of_the_environment_reach_the_guest(cloud: Cloud) -> None:
    cloud.create()
    assert list(cloud.backend.environments["spokewire-demo-node-1"]) == ["SPOKEWIRE_TOKEN"]


def test_the_switches_can_be_used_by_hand(cloud: Cloud, client: httpx.Client) -> None:
    answer = client.patch("/_emulator/switches", json={"balance": "0", "starting_never_ends_on": [18]})
    assert answer.json()["starting_never_ends_on"] == [18]
    assert cloud.emulator.switches.balance == "0"
    assert client.patch("/_emulator/hosts/18", json={"slots": 0}).json() == {"id": 18, "slots": 0}
    assert client.get("/_emulator/cvms").json() == []
    assert client.get("/_emulator/violations").json() == []
