"""The rules of this repository that no linter knows."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spokewire.errors import HTTP_STATUS, Code, InputError, PermanentError, TemporaryError

REPOSITORY = Path(__file__).parents[2]
SOURCE = REPOSITORY / "src" / "spokewire"
MAX_LINES = 400
BROAD = {"Exception", "BaseException"}


def list_files() -> list[Path]:
    """Every file that is, or is about to be, in the repository; without git, every file of its folders."""
    command = ["git", "-C", str(REPOSITORY), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        found = [REPOSITORY / name for name in listed.stdout.split("\0") if name]
    else:
        found = [
            path for folder in ("src", "tests", "bench", "docs", "tools") for path in (REPOSITORY / folder).rglob("*")
        ]
        found += list(REPOSITORY.glob("*.*"))
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts]


FILES = list_files()
MODULES = [path for path in FILES if path.suffix == ".py"]


def name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def test_there_is_something_to_look_at() -> None:
    assert {"README.md", "pyproject.toml", "src/spokewire/errors.py", "tests/builders.py"} <= set(map(name, FILES))
    assert len(MODULES) > 100


def test_imports_point_downward() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    outcome = subprocess.run([tool, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "0 broken" in outcome.stdout


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    long = {name(path): lines for path in MODULES if (lines := len(path.read_text().splitlines())) > MAX_LINES}
    assert long == {}


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=name)
def test_a_package_file_holds_its_docstring_and_nothing_else(path: Path) -> None:
    body = ast.parse(path.read_text()).body
    assert len(body) == 1
    assert ast.get_docstring(ast.Module(body, []))


def find_broad_handlers(path: Path) -> Iterator[str]:
    for handler in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ExceptHandler)):
        caught = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else BROAD
        if caught & BROAD:
            yield f"{name(path)}:{handler.lineno}"


def test_only_the_command_line_catches_everything() -> None:
    found = [place for path in MODULES if SOURCE in path.parents for place in find_broad_handlers(path)]
    assert {place.partition(":")[0] for place in found} == {"src/spokewire/cli/main.py"}
    assert len(found) == 1


def test_no_test_patches_what_it_tests() -> None:
    words = ("monkey" + "patch", "unittest." + "mock", "mocker" + ".")
    found = [name(path) for path in MODULES if any(word in path.read_text() for word in words)]
    assert found == []


def read_error_reference() -> dict[str, tuple[str, str]]:
    """The table rows of docs/reference/errors.md: exit status and HTTP status by code."""
    text = (REPOSITORY / "docs" / "reference" / "errors.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \|.*?(?<!\\)\| ([0-9, -]+) \| ([0-9, -]+) \|", text, re.MULTILINE)
    assert len(rows) == len({code for code, _, _ in rows}), "a code is explained twice"
    return {code: (exits.strip(), http.strip()) for code, exits, http in rows}


def test_every_error_code_is_explained_in_the_reference_and_no_other() -> None:
    assert set(read_error_reference()) == set(map(str, Code))


def test_the_reference_tells_the_statuses_that_errors_have() -> None:
    kinds = (InputError, TemporaryError, PermanentError)
    known = {str(kind.exit_status): kind for kind in kinds}
    for code, (exits, http) in read_error_reference().items():
        documented = kinds if exits == "-" else [known[word.strip()] for word in exits.split(",")]
        possible = {kind(Code(code), "").http_status for kind in documented}
        if http != "-":
            assert {int(word) for word in http.split(",")} <= possible, code
        assert http != "-" or Code(code) not in HTTP_STATUS, code


FORBIDDEN = [
    r"\.\./" + "shared",
    r"(?<![\w./])/" + "work/",
    r"\bpypi\." + "org",
    "files\\.python" + "hosted",
    r"registry\." + "npmjs",
    "docker" + r"\.io/",
    re.escape(str(REPOSITORY)) + r"\b",
]


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_nothing_mentions_one_machine_or_one_registry(pattern: str) -> None:
    found = []
    for path in FILES:
        if path.name != "uv.lock":
            lines = path.read_bytes().decode(errors="replace").splitlines()
            found += [f"{name(path)}:{number}" for number, line in enumerate(lines, 1) if re.search(pattern, line)]
    assert found == []
