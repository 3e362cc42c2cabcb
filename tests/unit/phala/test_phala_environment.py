"""The user's variables get their values from where docker compose's users expect them, and no message ever has a value in it."""

from pathlib import Path

import pytest
import yaml

from spokewire.cloud.phala.compose import Marker, join_agent
from spokewire.cloud.phala.environment import read_environment
from spokewire.cloud.phala.variables import find_used
from spokewire.errors import Code, InputError
from spokewire.network.cloudspec import CvmSpec

IMAGE = "registry.example.com/spokewire@sha256:" + "a" * 64
MARKER = Marker("demo", "k" * 43)
FILE = """\
# Secrets of the shop.
DB_PASSWORD=from the file   # and a comment
export API_KEY='it$elf'
EMPTY=
QUOTED="two
lines"
"""


def make(*names: str, file: str | None = "secrets.env") -> CvmSpec:
    return CvmSpec(compose="docker-compose.yml", environment=names, env_file=file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secrets.env").write_text(FILE)
    return tmp_path


def test_a_value_comes_from_the_file_unless_the_operators_environment_has_it(folder: Path) -> None:
    wanted = make("API_KEY", "DB_PASSWORD", "EMPTY", "QUOTED")
    assert read_environment(wanted, folder, {"API_KEY": "mine", "OTHER": "x"}) == {
        "API_KEY": "mine",
        "DB_PASSWORD": "from the file",
        "EMPTY": "",
        "QUOTED": "two\nlines",
    }
    assert read_environment(make("API_KEY"), folder, {}) == {"API_KEY": "it$elf"}


def test_nothing_is_read_where_no_variable_is_wanted(tmp_path: Path) -> None:
    assert read_environment(make(), tmp_path, {"A": "1"}) == {}


def test_every_variable_without_a_value_is_named_at_once(folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_environment(make("API_KEY", "NOWHERE", "NEITHER"), folder, {})
    assert caught.value.code is Code.VARIABLE_MISSING
    assert caught.value.message == "The spec's environment names 2 variables without a value: NOWHERE, NEITHER."
    assert "secrets.env" in caught.value.hint
    with pytest.raises(InputError, match="a variable without a value: NOWHERE") as alone:
        read_environment(make("NOWHERE", file=None), folder, {})
    assert "env_file" in alone.value.hint


def test_a_file_that_is_missing_or_not_understood_is_told_without_what_stands_in_it(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_environment(make("A"), tmp_path, {})
    assert [str(fault.problem) for fault in caught.value.faults] == ["missing"]
    (tmp_path / "secrets.env").write_text("A=1\nB='hunter2\n")
    with pytest.raises(InputError) as broken:
        read_environment(make("A"), tmp_path, {})
    assert [fault.place for fault in broken.value.faults] == ["secrets.env:2"]
    assert "hunter2" not in str(broken.value.faults) + broken.value.message + broken.value.hint


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("plain $$A $${B}", []),
        ("$A-${B}/${A}", ["A", "B"]),
        ("${A:-default} ${B-} ${C:+other} ${D+x}", []),
        ("${A:?must be set} ${B?}", ["A", "B"]),
        ("${A:-${B}}", []),
        ("$HOME ${PWD} ${DSTACK_APP_ID}", []),
        ("$1 $ ${} ${1}", []),
        ("$é $_é", ["_"]),
    ],
)
def test_a_variable_needs_a_value_unless_its_place_names_another(text: str, names: list[str]) -> None:
    assert find_used(text) == names


COMPOSE = "services:\n  web:\n    image: nginx\n    environment:\n      # ${IGNORED}\n      P: ${DB_PASSWORD}\n      Q: ${MODE:-dev}\n"


def test_a_variable_of_the_compose_file_that_nothing_gives_a_value_is_a_fault_with_its_line() -> None:
    with pytest.raises(InputError) as caught:
        join_agent(COMPOSE, "docker-compose.yml", IMAGE, MARKER)
    (fault,) = caught.value.faults
    assert fault.place == "docker-compose.yml:6"
    assert "DB_PASSWORD has no value" in fault.problem
    assert "${DB_PASSWORD:-}" in fault.expected


def test_the_names_stand_in_the_measured_text_so_that_another_set_of_them_is_another_machine() -> None:
    text = join_agent(COMPOSE, "docker-compose.yml", IMAGE, MARKER, ("DB_PASSWORD",))
    document = yaml.safe_load(text)
    assert document["x-spokewire-environment"] == ["DB_PASSWORD"]
    assert document["services"]["web"]["environment"] == {"P": "${DB_PASSWORD}", "Q": "${MODE:-dev}"}
    assert "x-spokewire-environment" not in join_agent(None, "", IMAGE, MARKER)
