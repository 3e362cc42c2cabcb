"""What the daemons log and how, and which network their commands choose."""

import contextlib
import io
import json
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spokewire.cli.daemon import choose_network
from spokewire.errors import Code, InputError
from spokewire.host.logs import Fields, Level, Logger, format_json, format_text

NOW = 1795329877.25
SPEC = '[network]\nname = "{name}"\n[[hubs]]\nname = "hub-1"\nprovider = "lab"\n'
ADOPT = "import logging; from spokewire.host import logs; logs.configure('info', json_lines=True); logs.adopt_foreign()"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty working folder."""
    with contextlib.chdir(tmp_path):
        yield tmp_path


def written(least: Level, level: Level) -> str:
    logger, stream = Logger(), io.StringIO()
    logger.configure(least, format_json, stream)
    logger.write(level, "event", {})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("fields", "rest"),
    [
        ({}, {}),
        ({"node": "node-1", "loss": 0.5}, {"node": "node-1", "loss": 0.5}),
        ({"path": Path("/a b")}, {"path": "/a b"}),
        ({"text": 'two\nlines and a "quote" \x1b[31m'}, {"text": 'two\nlines and a "quote" \x1b[31m'}),
        ({"level": "fatal", "timestamp": 0}, {}),
    ],
)
def test_a_line_for_programs_is_one_object_that_begins_with_when_how_grave_and_what(
    fields: Fields, rest: dict[str, object]
) -> None:
    line = format_json(NOW, Level.WARNING, "step failed", fields)
    head = {"timestamp": "2026-11-22T06:44:37.250000Z", "level": "warning", "event": "step failed"}
    assert json.loads(line) == head | rest
    assert list(json.loads(line))[:3] == list(head)
    assert line.isprintable()


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, "06:44:37.250  info     node started"),
        ({"node": "node-1"}, "06:44:37.250  info     node started  node=node-1"),
        ({"error": "it is gone"}, '06:44:37.250  info     node started  error="it is gone"'),
        ({"error": ""}, '06:44:37.250  info     node started  error=""'),
        ({"error": "a\n\x1b[2Jb"}, '06:44:37.250  info     node started  error="a\\n\\u001b[2Jb"'),
    ],
)
def test_a_line_for_people_is_one_line_that_cannot_steer_their_terminal(fields: Fields, shown: str) -> None:
    assert format_text(NOW, Level.INFO, "node started", fields) == shown


def test_only_what_matters_enough_is_written() -> None:
    assert [bool(written(Level.WARNING, level)) for level in Level] == [False, False, True, True]


def test_a_log_that_nobody_reads_any_more_does_not_end_a_daemon() -> None:
    logger = Logger()
    with Path("/dev/full").open("w") as full:
        logger.configure(Level.INFO, format_json, full)
        logger.info("event")
        with contextlib.suppress(OSError):
            full.close()
    logger.info("event after the end")


@pytest.mark.parametrize("by", ["logging.getLogger('asyncio').error('it failed')", "logging.warning('it failed')"])
def test_what_a_library_reports_is_a_line_like_any_other(by: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"{ADOPT}; {by}"], capture_output=True, text=True, check=True)
    (line,) = map(json.loads, done.stderr.splitlines())
    assert (line["event"], line["message"]) == ("a library reports", "it failed")


def node(*options: str) -> list[str]:
    """The command line of a node that finds no token, on a port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    return [sys.executable, "-m", "spokewire", "node", "run", "--state-dir", "state", "--status-port", port, *options]


def run_on_terminal(*options: str) -> str:
    """What a terminal shows of a node that has no token, and that finds a broken spec in its folder."""
    master, slave = pty.openpty()
    try:
        done = subprocess.run(node(*options), stdout=subprocess.DEVNULL, stderr=slave, check=False)
        os.close(slave)
        assert done.returncode == 2
        shown = b""
        with contextlib.suppress(OSError):
            while data := os.read(master, 65536):
                shown += data
        return shown.decode()
    finally:
        os.close(master)


def test_a_terminal_is_shown_text_unless_json_is_asked_for(folder: Path) -> None:
    (folder / "spokewire.toml").write_text("[")
    first, *_ = run_on_terminal().splitlines()
    assert "spec passed over" in first
    assert not first.startswith("{")
    (line,) = map(json.loads, run_on_terminal("--json").splitlines())
    assert (line["level"], line["event"], line["code"]) == ("warning", "spec passed over", "spec-invalid")


def test_where_no_terminal_is_every_line_is_json_and_the_last_word_is_an_error_object(folder: Path) -> None:
    (folder / "spokewire.toml").write_text("[")
    done = subprocess.run(node("--json"), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == ["spec passed over"]
    assert json.loads(done.stdout)["error"]["code"] == "token-missing"


@pytest.mark.parametrize(
    ("default", "given", "option", "kept", "chosen"),
    [
        (None, None, None, [], None),
        (None, None, "home", [], "home"),
        (None, "home", None, [], "home"),
        (None, "home", "home", [], "home"),
        ("work", "home", None, ["work", "home"], "home"),
        ("work", None, None, ["work", "home"], "work"),
        ("work", None, None, ["home"], None),
        ("work", None, "home", ["work", "home"], "home"),
    ],
)
def test_a_spec_chooses_among_the_networks_of_a_machine(
    default: str | None, given: str | None, option: str | None, kept: list[str], chosen: str | None, folder: Path
) -> None:
    for name in kept:
        (folder / "state" / name).mkdir(parents=True)
        (folder / "state" / name / "token").touch()
    for path, network in (("spokewire.toml", default), ("given.toml", given)):
        if network is not None:
            (folder / path).write_text(SPEC.format(name=network))
    config = None if given is None else Path("given.toml")
    assert choose_network(config, option, Path("state")) == chosen


@pytest.mark.parametrize(
    ("text", "option", "code"),
    [(None, None, Code.SPEC_MISSING), ("[", None, Code.SPEC_INVALID), (SPEC, "work", Code.REQUEST_INVALID)],
    ids=["missing", "wrong", "of another network"],
)
def test_a_spec_that_is_given_to_a_daemon_must_be_right(
    text: str | None, option: str | None, code: Code, folder: Path
) -> None:
    if text is not None:
        (folder / "given.toml").write_text(text.format(name="home"))
    with pytest.raises(InputError) as refused:
        choose_network(Path("given.toml"), option, Path("state"))
    assert refused.value.code is code
