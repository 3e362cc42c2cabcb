"""The user's own variables reach their machine encrypted, through the real command line; nobody else sees a value, and nothing is made without one."""

import json
from pathlib import Path

import httpx
import pytest

from spokewire.cloud.phala.seal import seal, unseal
from tests.component.clouds import Desk, open_desk
from tests.emulators.authority import Authority
from tests.emulators.machines import NullCvms
from tests.emulators.phala.emulator import KEY

SECRET, OTHER = "correct horse battery staple", "it$elf"
COMPOSE = """\
services:
  web:
    image: nginx
    environment:
      PASSWORD: ${DB_PASSWORD}
      KEY: ${API_KEY}
"""
KEYS = 'compose = "docker-compose.yml"\nenvironment = ["DB_PASSWORD", "API_KEY"]\nenv_file = "secrets.env"\n'


def want(desk: Desk, keys: str = KEYS) -> None:
    spec = desk.folder / "spokewire.toml"
    spec.write_text(spec.read_text().replace('provider = "phala"\n', f'provider = "phala"\n{keys}'))
    (desk.folder / "docker-compose.yml").write_text(COMPOSE)
    (desk.folder / "secrets.env").write_text(f"API_KEY='{OTHER}'\n")


def test_a_value_goes_into_the_encrypted_environment_and_nowhere_else(authority: Authority, tmp_path: Path) -> None:
    with open_desk(authority, tmp_path) as desk:
        want(desk)
        done = desk.run("deploy", "--timeout", "1", DB_PASSWORD=SECRET)
        again = desk.run("deploy", "--json", "--timeout", "1", DB_PASSWORD=SECRET)
        (cvm,) = desk.phala.living()
        backend = desk.phala.backend
        assert isinstance(backend, NullCvms)
        environment = backend.environments[cvm.name]
        assert set(environment) == {"SPOKEWIRE_TOKEN", "API_KEY", "DB_PASSWORD"}
        assert (environment["DB_PASSWORD"], environment["API_KEY"]) == (SECRET, OTHER)
        (commit,) = desk.phala.calls("POST", "/api/v1/cvms")
        assert unseal(commit.body["encrypted_env"], cvm.made_from.key) == environment
        kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "secrets.env"]
        everything = done.stdout + done.stderr + again.stdout + again.stderr
        everything += "".join(path.read_bytes().decode(errors="replace") for path in kept)
        everything += "".join(str(entry.call) + str(entry.call.body) for entry in desk.phala.log)
        assert SECRET not in everything
        assert OTHER not in everything
        assert not [action for action in json.loads(again.stdout)["plan"] if action["role"] == "node"]


@pytest.mark.parametrize("command", [["deploy", "--json"], ["deploy", "--json", "--yes"]])
def test_a_variable_without_a_value_is_one_sentence_and_nothing_is_made(
    authority: Authority, tmp_path: Path, command: list[str]
) -> None:
    with open_desk(authority, tmp_path) as desk:
        want(desk)
        done = desk.run(*command)
        assert done.returncode == 2
        error = json.loads(done.stdout)["error"]
        assert error["code"] == "variable-missing"
        assert error["message"] == "The spec's environment names a variable without a value: DB_PASSWORD."
        assert "secrets.env" in error["hint"]
        assert desk.machines == []
        assert not (tmp_path / ".spokewire/root.key").exists()


def test_a_variable_that_the_spec_does_not_name_is_a_fault_of_the_compose_file(
    authority: Authority, tmp_path: Path
) -> None:
    with open_desk(authority, tmp_path) as desk:
        want(desk, 'compose = "docker-compose.yml"\nenvironment = ["API_KEY"]\n')
        done = desk.run("deploy", DB_PASSWORD=SECRET, API_KEY=OTHER)
        assert done.returncode == 2
        assert "docker-compose.yml:5: the variable DB_PASSWORD has no value on the machine" in done.stderr
        assert desk.machines == []


def test_another_set_of_names_is_another_machine_and_that_is_asked_first(authority: Authority, tmp_path: Path) -> None:
    with open_desk(authority, tmp_path) as desk:
        want(desk)
        desk.run("deploy", "--timeout", "1", DB_PASSWORD=SECRET)
        spec = desk.folder / "spokewire.toml"
        spec.write_text(spec.read_text().replace('"API_KEY"]', '"API_KEY", "MORE"]'))
        asked = desk.run("deploy", DB_PASSWORD=SECRET, MORE="1")
        assert asked.returncode == 2
        assert "That needs a yes" in asked.stderr
        plan = json.loads(desk.run("deploy", "--dry-run", "--json").stdout)["plan"]
        assert [action["verb"] for action in plan if action["name"] == "node-1"] == ["replace"]


def test_a_value_that_was_changed_with_the_vendors_own_tool_stays_and_the_next_deploy_finds_nothing_to_change(
    authority: Authority, tmp_path: Path
) -> None:
    """As `phala envs update` does it: the whole set is replaced, without our token, which the node no longer needs."""
    with open_desk(authority, tmp_path) as desk:
        want(desk)
        desk.run("deploy", "--timeout", "1", DB_PASSWORD=SECRET)
        (cvm,) = desk.phala.living()
        url, headers = desk.environment["PHALA_CLOUD_API_PREFIX"], {"X-API-Key": KEY, "X-Phala-Version": "2026-01-21"}
        with httpx.Client(base_url=url, headers=headers, verify=authority.client_context()) as tool:
            key = tool.get(f"/cvms/{cvm.name}").json()["kms_info"]["encrypted_env_pubkey"]
            changed = {"DB_PASSWORD": "another", "API_KEY": OTHER}
            body = {"encrypted_env": seal(changed, key, bytes(range(44))), "env_keys": list(changed)}
            assert tool.patch(f"/cvms/{cvm.uuid}/envs", json=body).json()["allowed_envs_changed"] is True
        assert cvm.env == changed
        plan = json.loads(desk.run("deploy", "--dry-run", "--json").stdout)["plan"]
        assert [action for action in plan if action["role"] == "node"] == []
