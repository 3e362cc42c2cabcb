"""The command line as a whole: what every command has, and how each says that a request is wrong. No lab, no root."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from spokewire.cli.app import tree
from spokewire.cli.main import run

COMMAND = [sys.executable, "-m", "spokewire"]
SPEC = """\
[network]
name = "demo"

[[hubs]]
name = "hub-1"
provider = "lab"

[[nodes]]
name = "node"
count = 2
provider = "lab"
"""
ARGUMENTS: dict[tuple[str, ...], list[str]] = {
    ("hub", "run"): ["--public-address", "192.0.2.1"],
    ("lab", "add"): ["bare-1"],
    ("lab", "exec"): ["node-1", "true"],
    ("lab", "kill"): ["node-1"],
    ("lab", "link"): ["node-1", "up"],
    ("lab", "logs"): ["node-1"],
    ("lab", "remove"): ["bare-1"],
    ("lab", "restart"): ["node-1"],
    ("node", "add"): ["build-1"],
    ("node", "export"): ["phone"],
    ("node", "remove"): ["node-1"],
    ("node", "token"): ["laptop"],
    ("path",): ["node-1", "node-2"],
}
"""What a command cannot do without."""


def list_commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
    for name, each in (inner or {}).items():
        yield from list_commands(each, (*words, name))


COMMANDS = dict(list_commands(typer.main.get_command(tree())))
EACH = pytest.mark.parametrize("words", list(COMMANDS), ids=" ".join)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty working folder."""
    with contextlib.chdir(tmp_path):
        yield tmp_path


def spokewire(
    *arguments: str, env: dict[str, str] | None = None, shell: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run the real thing; with `shell` the rest of a shell's command line follows."""
    argv = ["bash", "-o", "pipefail", "-c", f'"$@" {shell}', "bash", *COMMAND, *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=env, stdin=subprocess.DEVNULL)


def options(words: tuple[str, ...]) -> set[str]:
    return {option for parameter in COMMANDS[words].params for option in parameter.opts}


def test_all_commands_are_looked_at() -> None:
    assert len(COMMANDS) > 20
    assert {("deploy",), ("node", "run"), ("hub", "run"), ("lab", "exec")} <= set(COMMANDS)


@EACH
def test_every_command_has_a_config_and_a_json_option(words: tuple[str, ...]) -> None:
    assert {"--config", "-c", "--json"} <= options(words)


@EACH
def test_every_commands_help_has_an_example_with_its_own_options(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "--help"]) == 0
    shown = capsys.readouterr().out
    examples = [line.strip() for line in shown.partition("Example:")[2].splitlines() if line.strip()]
    assert examples
    assert all(f"spokewire {' '.join(words)}" in line for line in examples[:1])
    named = {word for line in examples for word in line.partition(" -- ")[0].split() if word.startswith("--")}
    assert named <= options(words)


@EACH
def test_a_spec_that_is_not_there_ends_every_command_with_2_and_an_error_object(
    words: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if words == ("init",):
        config, code = "no/such/folder/spokewire.toml", "request-invalid"
    else:
        config, code = "missing.toml", "spec-missing"
    assert run([*words, "--json", "--config", config, *ARGUMENTS.get(words, [])]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == code
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "code", "place"),
    [
        (b"\xff", "spec-invalid", None),
        (b"[network", "spec-invalid", "the file"),
        (SPEC.replace("count = 2", "count = -1").encode(), "spec-invalid", "nodes[0].count"),
        (None, "spec-invalid", None),
    ],
    ids=["no text", "no TOML", "a wrong field", "a folder"],
)
@pytest.mark.parametrize(
    "words", [("status",), ("deploy", "--dry-run"), ("doctor",), ("demo",), ("lab", "list")], ids=" ".join
)
def test_a_spec_that_cannot_be_used_is_told_as_that(
    words: tuple[str, ...],
    content: bytes | None,
    code: str,
    place: str | None,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = folder / "spokewire.toml"
    spec.mkdir() if content is None else spec.write_bytes(content)
    assert run([*words, "--json", "--config", "spokewire.toml"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == code
    assert place in [None, *(fault["place"] for fault in error["faults"])]


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["status", "--soon"],
        ["deploy", "extra"],
        ["demo", "--nodes", "1"],
        ["node", "token"],
        ["node", "token", "laptop", "--days", "0"],
        ["status", "--config"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_end_with_2_and_say_what_is_wrong(
    arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("Error: ")
    assert run([*arguments[:1], "--json", *arguments[1:]]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "request-invalid"


def test_json_that_another_program_was_asked_for_is_not_ours(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "exec", "node-1", "--", "ip", "--json"]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.startswith("error: There is no ")) == ("", True)


@pytest.mark.parametrize(
    ("tables", "arguments", "told"),
    [
        ('[[nodes]]\nname = "laptop"\nprovider = "host"\n', [], "laptop: is of provider host"),
        ("", ["--nodes", "3"], "Give --nodes and --hubs, or --config"),
        ("", ["--hubs", "2"], "Give --nodes and --hubs, or --config"),
    ],
    ids=["a host of one's own", "both a spec and a count", "both a spec and a count of hubs"],
)
def test_a_demo_is_refused_what_it_cannot_perform(
    tables: str, arguments: list[str], told: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = folder / "mine.toml"
    spec.write_text(SPEC + tables)
    assert run(["demo", "--config", str(spec), *arguments]) == 2
    assert told in capsys.readouterr().err
    assert list(folder.iterdir()) == [spec]


def test_a_demo_of_one_node_is_refused_because_a_proof_needs_two(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "mine.toml").write_text(SPEC.replace("count = 2", "count = 1"))
    assert run(["demo", "--config", "mine.toml"]) == 2
    assert "at least two" in capsys.readouterr().err


def test_a_log_level_that_does_not_exist_is_told_with_those_that_do(folder: Path) -> None:
    done = spokewire("status", env={"SPOKEWIRE_LOG_LEVEL": "loud"})
    assert done.returncode == 2
    assert "debug, info, warning, error" in done.stderr


def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    (folder / "spokewire.toml").write_text(SPEC.replace("count = 2", "count = 200"))
    for arguments in (["node", "list"], ["node", "list", "--json"], ["--help"]):
        done = spokewire(*arguments, shell="| true")
        assert (done.stdout, done.stderr) == ("", ""), arguments


def test_an_output_that_is_full_is_told_in_one_sentence(folder: Path) -> None:
    (folder / "spokewire.toml").write_text(SPEC)
    for arguments in (["node", "list"], ["node", "list", "--json"]):
        done = spokewire(*arguments, shell="> /dev/full")
        assert done.returncode == 1
        assert done.stderr.splitlines()[0] == "error: The output cannot be written: No space left on device."


def test_a_working_folder_that_was_removed_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'cd "$0" && rmdir "$0" && exec "$@"'
    argv = ["bash", "-c", script, str(gone), *COMMAND, "status"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "error: The working folder does not exist any more.")


def test_what_others_wrote_cannot_steer_the_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--config", "a\x1b]0;owned\x07b"]) == 2
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "code", "words"),
    [
        (("node-1", "node-9"), "name-unknown", "node-9 is no node of the spec"),
        (("hub-1", "node-1"), "name-unknown", "hub-1 is a hub"),
        (("node-1", "node-1"), "request-invalid", "A path has two ends"),
    ],
)
def test_a_path_is_between_two_nodes_of_the_spec(
    names: tuple[str, str], code: str, words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "spokewire.toml").write_text(SPEC)
    assert run(["path", *names, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == code
    assert words in error["message"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("spokewire path n", ["node-1", "node-2"]), ("spokewire path node-1 ", ["node-2"]), ("spokewire path x", [])],
)
def test_the_shell_completes_the_names_of_nodes(typed: str, offered: list[str], folder: Path) -> None:
    (folder / "spokewire.toml").write_text(SPEC)
    words = typed.split(" ")
    environment = dict(os.environ) | {
        "_SPOKEWIRE_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    assert spokewire(env=environment).stdout.split() == offered


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("spokewire 0.")


def test_the_shell_is_told_how_to_complete_a_word() -> None:
    env = {"_SPOKEWIRE_COMPLETE": "complete_bash", "COMP_WORDS": "spokewire de", "COMP_CWORD": "1"}
    assert spokewire(env=env).stdout.split() == ["deploy", "destroy", "demo"]
