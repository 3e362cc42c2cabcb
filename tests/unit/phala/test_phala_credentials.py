"""The API key is found where the vendor's own tools look for it, and shown nowhere."""

import json
from pathlib import Path
from typing import Any

import pytest

from spokewire.cloud.phala.credentials import ENDPOINT, find_access
from spokewire.errors import Code, InputError

PROFILE = {"token": "phak_file", "api_prefix": "https://file.example.com/api/v1"}
FILE: dict[str, Any] = {
    "schema_version": 1,
    "current_profile": "work",
    "profiles": {"work": PROFILE, "home": {"token": "no"}},
}


def write(folder: Path, content: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "credentials.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_the_environment_wins_over_the_spec_and_both_over_the_file(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    write(tmp_path / ".phala-cloud", FILE)
    access = find_access(home, None)
    assert (access.key.reveal(), access.endpoint) == ("phak_file", "https://file.example.com/api/v1")
    both = home | {"PHALA_CLOUD_API_KEY": " phak_env\n", "PHALA_CLOUD_API_PREFIX": "https://env.example.com/api/v1"}
    access = find_access(both, None)
    assert (access.key.reveal(), access.endpoint) == ("phak_env", "https://env.example.com/api/v1")
    assert find_access(both, "https://spec.example.com").endpoint == "https://env.example.com/api/v1"
    assert find_access(home, "https://spec.example.com").endpoint == "https://spec.example.com"
    assert find_access({"PHALA_CLOUD_API_KEY": "k"}, None).endpoint == ENDPOINT


def test_another_folder_can_be_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "elsewhere", FILE)
    assert find_access({"PHALA_CLOUD_DIR": str(folder)}, None).key.reveal() == "phak_file"


@pytest.mark.parametrize("content", ["", "{", "[]", "null", {"current_profile": "x", "profiles": {}}, {"profiles": 3}])
def test_without_a_key_it_is_told_what_to_set(tmp_path: Path, content: Any) -> None:
    write(tmp_path / ".phala-cloud", content)
    for environment in ({}, {"HOME": str(tmp_path)}, {"HOME": str(tmp_path / "nobody")}):
        with pytest.raises(InputError) as caught:
            find_access(environment, None)
        assert caught.value.code is Code.CREDENTIALS_MISSING
        assert "PHALA_CLOUD_API_KEY" in caught.value.hint


def test_a_key_is_never_shown(tmp_path: Path) -> None:
    access = find_access({"PHALA_CLOUD_API_KEY": "phak_secret"}, None)
    assert "phak_secret" not in f"{access} {access!r} {access.key}"
    with pytest.raises(InputError) as caught:
        find_access({"PHALA_CLOUD_API_KEY": "phak_\x07secret"}, None)
    assert "secret" not in str(caught.value) + caught.value.hint
