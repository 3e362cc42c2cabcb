"""What the pages show as output, against what the commands print."""

import json
from typing import Any

import pytest

from tests.docs.console import matches
from tests.docs.pages import blocks, read
from tests.lab.conftest import MakeNetwork
from tests.lab.world import nodes

pytestmark = pytest.mark.lab

SOMETIMES = {
    "spokewire deploy": {"ready", "destroyed", "missing"},
    "spokewire test": {"mbits", "error"},
}


def test_the_readme_shows_what_the_demo_prints(make_network: MakeNetwork) -> None:
    shown = next(block.text for block in blocks(read("README.md"), "text") if block.text.startswith("1. A lab"))
    printed = make_network().run("demo").out
    assert matches(tuple(shown.splitlines()), printed), printed


def test_every_command_prints_the_json_that_is_documented(make_network: MakeNetwork) -> None:
    network = make_network()

    def ask(*arguments: str, expect: int | None = 0) -> Any:
        return network.run(*arguments, "--json", expect=expect).data

    printed = [
        ("An error", ask("status", expect=2)),
        ("An error", ask("status", "--soon", expect=2)),
        ("spokewire init", ask("init")),
    ]
    network.want(nodes(count=2))
    before = network.spec.read_text()
    demo = ask("demo", "--config", str(network.spec))
    assert demo["ok"] is True
    assert [path.read_text() for path in network.folder.iterdir()] == [before]
    assert list(network.scratch.iterdir()) == []
    printed += [(f"spokewire {part}", demo.pop(part)) for part in ("deploy", "status", "test")]
    printed += [("spokewire demo", demo | {"deploy": None, "status": None, "test": None})]
    printed += [
        ("spokewire deploy", ask("deploy", "--dry-run")),
        ("spokewire deploy", ask("deploy")),
        ("spokewire test", ask("test")),
        ("spokewire test", ask("test", "--bandwidth")),
        ("spokewire node list", ask("node", "list")),
        ("spokewire lab list", ask("lab", "list")),
        (
            "spokewire lab exec",
            network.run("lab", "exec", "--json", "node-1", "--", "sh", "-c", "echo; exit 7", expect=7).data,
        ),
        ("spokewire lab logs", ask("lab", "logs", "node-1")),
        ("Log lines", json.loads(ask("lab", "logs", "node-1")["lines"][0])),
        ("spokewire lab kill", ask("lab", "kill", "node-1")),
        ("spokewire lab kill", ask("lab", "restart", "node-1")),
        ("spokewire lab kill", ask("lab", "link", "node-1", "rate=100mbit")),
        ("spokewire lab kill", ask("lab", "add", "bare-1")),
        ("spokewire lab kill", ask("lab", "remove", "bare-1")),
        ("spokewire node add", ask("node", "add", "build-1")),
        ("spokewire node token", ask("node", "token", "laptop")),
        ("spokewire node export", ask("node", "export", "phone")),
        ("spokewire status", ask("status", expect=None)),
        ("spokewire path", ask("path", "node-1", "node-2", expect=None)),
        ("spokewire history", ask("history", expect=None)),
        ("spokewire doctor --network", ask("doctor", "--network", expect=None)),
        ("spokewire node remove", ask("node", "remove", "build-1")),
        ("spokewire destroy", ask("destroy", "--force")),
        ("spokewire doctor", ask("doctor", expect=None)),
        ("spokewire node health, spokewire hub health", ask("node", "health", "--status-port", "9", expect=1)),
    ]
    documented = {b.heading: json.loads(b.text) for b in blocks(read("docs/reference/json.md"), "json")}
    wrong = [
        f"{command}: {difference}"
        for command, value in printed
        for difference in differences(documented[command], value, SOMETIMES.get(command, set()))
    ]
    assert wrong == []
    assert set(documented) == {command for command, _ in printed}


def differences(shown: Any, found: Any, sometimes: set[str], place: str = "") -> list[str]:
    """Where a value has another shape than the documented one: keys, and the kinds of values; null fits every kind."""
    if isinstance(shown, dict) and isinstance(found, dict):
        missing = [
            f"{place}.{key} is documented, but not printed"
            for key in shown
            if key not in found and key not in sometimes
        ]
        unknown = [f"{place}.{key} is printed, but not documented" for key in found if key not in shown]
        both = [key for key in shown if key in found]
        return (
            missing
            + unknown
            + [d for key in both for d in differences(shown[key], found[key], sometimes, f"{place}.{key}")]
        )
    if isinstance(shown, list) and isinstance(found, list):
        return [d for item in found for d in differences(shown[0], item, sometimes, f"{place}[]")] if shown else []
    if shown is None or found is None or _kind(shown) == _kind(found):
        return []
    return [f"{place} is {found!r}, documented is {shown!r}"]


def _kind(value: object) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@pytest.mark.parametrize(
    ("shown", "found", "differs"),
    [
        ({"a": 1}, {"a": 2.5}, False),
        ({"a": 1}, {"a": None}, False),
        ({"a": 1}, {"a": "1"}, True),
        ({"a": 1}, {}, True),
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"x": [{"a": True}]}, {"x": [{"a": False}, {"b": True}]}, True),
        ({"often": 1}, {}, True),
        ({"rare": 1}, {}, False),
    ],
)
def test_the_comparison_of_shapes_can_fail(shown: Any, found: Any, differs: bool) -> None:
    assert bool(differences(shown, found, {"rare"})) is differs
