"""The reference pages against the code: nothing missing, nothing invented."""

import ast
import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from pydantic import BaseModel

from spokewire import errors
from spokewire.deploy.editor import load_spec
from spokewire.errors import HTTP_STATUS, Code
from spokewire.network.cloudspec import EndpointTable, ReleaseTable
from spokewire.network.events import EchoSummary, Event, EventCode, NodeHistory
from spokewire.network.explanation import Candidate, Explanation, Leg, Side
from spokewire.network.findings import GUIDES, Finding
from spokewire.network.overview import HubOverview, NetworkOverview, NodeOverview
from spokewire.network.spec import AccessTable, HubTable, NetworkTable, NodeTable
from spokewire.network.status import Issue, NodeStatus, PeerStatus
from tests.docs.pages import PAGES, REPOSITORY, blocks, name, prose, read, rows

TABLES: dict[str, type[BaseModel]] = {
    "[network]": NetworkTable,
    "[[hubs]]": HubTable,
    "[[nodes]]": NodeTable,
    "[[access]]": AccessTable,
    "[release]": ReleaseTable,
    "[digitalocean]": EndpointTable,
    "[phala]": EndpointTable,
}
FALLBACKS = {"InputError": "400", "TemporaryError": "503", "PermanentError": "500"}


def test_the_command_reference_is_what_help_says() -> None:
    done = subprocess.run(
        [sys.executable, "tools/cli-reference"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert read("docs/reference/cli.md") == done.stdout, (
        "run: .venv/bin/python tools/cli-reference > docs/reference/cli.md"
    )


@pytest.mark.parametrize(("heading", "table"), TABLES.items(), ids=list(TABLES))
def test_the_spec_reference_has_every_key_and_no_other(heading: str, table: type[BaseModel]) -> None:
    documented = {
        cells[0].strip("`"): cells for above, cells in rows(read("docs/reference/spec.md")) if above == heading
    }
    known = {field.alias or key: field for key, field in table.model_fields.items()}
    assert set(documented) == set(known)
    assert {key for key, cells in documented.items() if cells[2] == "required"} == {
        key for key, field in known.items() if field.is_required()
    }


@pytest.mark.parametrize("page", [page for page in PAGES if list(blocks(page.read_text(), "toml"))], ids=name)
def test_every_spec_that_a_page_shows_whole_is_accepted(page: Path, tmp_path: Path) -> None:
    shown = [block.text for block in blocks(page.read_text(), "toml")]
    for position, text in enumerate(shown):
        path = tmp_path / f"{position}.toml"
        path.write_text(text if "[network]" in text else f'[network]\nname = "demo"\n[[hubs]]\nname = "hub-1"\n{text}')
        assert load_spec(path).hubs


def test_the_error_reference_has_every_code_and_no_other() -> None:
    documented = [cells[0].strip("`") for _, cells in rows(read("docs/reference/errors.md"))]
    assert sorted(documented) == sorted(Code)


def test_the_error_reference_gives_the_exit_and_http_statuses_that_the_code_has() -> None:
    raised = _find_raised()
    wrong = []
    for _, (code_text, _, exits, http, *_) in rows(read("docs/reference/errors.md")):
        code = Code(code_text.strip("`"))
        known_exits = sorted({getattr(errors, kind).exit_status for kind in raised[code]})
        if code is not Code.NOT_FOUND and exits != (", ".join(map(str, known_exits)) or "-"):
            wrong.append(f"{code}: exit status {exits}, the code has {known_exits}")
        allowed = (
            {str(HTTP_STATUS[code])} if code in HTTP_STATUS else {"-"} | {FALLBACKS[kind] for kind in raised[code]}
        )
        if http not in allowed:
            wrong.append(f"{code}: HTTP status {http}, the code has {allowed}")
    assert wrong == []


def test_every_code_that_the_pages_name_as_an_issue_exists() -> None:
    named = [
        re.findall(r"`([a-z-]+)`", cells[1])
        for _, cells in rows(read("docs/reference/issues.md"))
        if cells[0].startswith(("node:", "hub:"))
    ]
    assert len(named) == 13
    assert {code for codes in named for code in codes} <= set(Code)


@pytest.mark.parametrize(
    ("page", "heading", "places", "model"),
    [
        ("json", "spokewire status", [], NetworkOverview),
        ("json", "spokewire status", ["hubs"], HubOverview),
        ("json", "spokewire status", ["nodes"], NodeOverview),
        ("json", "spokewire status", ["nodes", "hubs"], PeerStatus),
        ("json", "spokewire status", ["nodes", "peers"], PeerStatus),
        ("json", "spokewire path", [], Explanation),
        ("json", "spokewire path", ["sides"], Side),
        ("json", "spokewire path", ["candidates"], Candidate),
        ("json", "spokewire path", ["candidates", "legs"], Leg),
        ("json", "spokewire status", ["nodes", "issues"], Issue),
        ("api", "A node's status server", [], NodeStatus),
        ("api", "A node's status server", ["peers"], PeerStatus),
        ("api", "The history", [], NodeHistory),
        ("api", "The history", ["events"], Event),
        ("api", "The history", ["echoes"], EchoSummary),
        ("json", "spokewire history", ["nodes"], NodeHistory),
        ("json", "spokewire doctor --network", ["findings"], Finding),
    ],
)
def test_the_documented_status_has_every_field_and_no_other(
    page: str, heading: str, places: list[str], model: type[BaseModel]
) -> None:
    shown = json.loads(next(b.text for b in blocks(read(f"docs/reference/{page}.md"), "json") if b.heading == heading))
    for place in places:
        shown = shown[place][0]
    assert list(shown) == list(model.model_fields)
    model.model_validate(shown)


def test_the_history_reference_has_every_code_and_no_other() -> None:
    cells = [cells[0] for above, cells in rows(read("docs/reference/api.md")) if above == "The history"]
    assert sorted(re.findall(r"`([a-z-]+)`", " ".join(cells))) == sorted(EventCode)


def test_the_api_reference_has_every_request_and_no_other() -> None:
    served = {
        f"{method.upper()} {path}"
        for method, path in re.findall(r'@app\.(get|put|post)\("([^"]+)"', read("src/spokewire/hub/api.py"))
    }
    served |= {f"GET {path}" for path in re.findall(r'Route\("([^"]+)"', read("src/spokewire/node/server.py"))}
    assert len(served) > 10
    first = [cells[0].strip("`") for _, cells in rows(read("docs/reference/api.md"))]
    documented = {words for words in first if words.startswith(("GET ", "PUT ", "POST "))}
    assert documented - {"GET /openapi.json"} == served


def test_the_reasons_that_the_status_page_explains_are_those_that_status_gives() -> None:
    source = "".join(read(f"src/spokewire/network/{module}.py") for module in ("overview", "evidence", "health"))
    told = re.sub(r'"\s*\n\s*f?"', "", source)
    shown = [cells[0] for _, cells in rows(read("docs/howto/read-a-status.md")) if len(cells) == 3]
    assert len(shown) == 12
    parts = [part.strip() for reason in shown for part in re.split(r"…|NAME|^N ", reason) if part.strip()]
    assert [part for part in parts if part not in told] == []


def test_the_page_of_the_doctor_has_every_kind_of_finding_in_order_and_each_runbook_names_its_own() -> None:
    told = [
        (cells[0].strip("`"), cells[1], cells[3].removeprefix("[page](../runbooks/").removesuffix(".md)"))
        for above, cells in rows(read("docs/howto/examine-a-network.md"))
        if above == "What it can find"
    ]
    assert told == [(kind, *guide) for kind, guide in GUIDES.items()]
    for kind, _, page in told:
        assert not page or f"`{kind}`" in read(f"docs/runbooks/{page}.md"), f"{page} does not name {kind}"


def test_every_command_and_option_that_a_page_names_exists() -> None:
    known = {
        block.heading: set(re.findall(r"--[a-z-]+", block.text))
        for block in blocks(read("docs/reference/cli.md"), "text")
    }
    assert len(known) > 20
    unknown = [
        f"{name(page)}: {words}" for page in PAGES for words in _named_commands(page) if not _exists(words, known)
    ]
    assert unknown == []


@pytest.mark.parametrize(
    ("words", "exists"),
    [
        ("spokewire deploy --dry-run", True),
        ("spokewire lab exec node-1 -- ls --color", True),
        ("spokewire fly", False),
        ("spokewire node fly", False),
        ("spokewire deploy --soon", False),
    ],
)
def test_a_command_that_does_not_exist_would_be_found(words: str, exists: bool) -> None:
    known = {
        "spokewire": set[str](),
        "spokewire deploy": {"--dry-run"},
        "spokewire node": set[str](),
        "spokewire node run": set[str](),
        "spokewire lab exec": set[str](),
    }
    assert _exists(words, known) is exists


def _named_commands(page: Path) -> list[str]:
    """What a page says in console blocks and between backquotes, as far as it begins with `spokewire` and a word."""
    lines = [line for block in blocks(page.read_text(), "console") for line in block.text.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", prose(page.read_text()))
    return [found for line in lines for found in re.findall(r"\bspokewire [a-z][^>|;()]*", line) if "…" not in found]


def _exists(words: str, known: dict[str, set[str]]) -> bool:
    ours = words.partition(" -- ")[0].split()
    called = max((command for command in known if ours[: len(command.split())] == command.split()), key=len)
    is_group = any(command.startswith(f"{called} ") for command in known)
    is_complete = not is_group or len(ours) == len(called.split())
    return is_complete and {word for word in ours if word.startswith("--")} <= known[called] | {"--help"}


def _find_raised() -> dict[Code, set[str]]:
    """The error classes that the source makes with each code."""
    found: dict[Code, set[str]] = defaultdict(set)
    calls = [
        node
        for path in (REPOSITORY / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]
    for call in calls:
        code = call.args[0] if call.args else None
        if isinstance(call.func, ast.Name) and call.func.id in FALLBACKS and isinstance(code, ast.Attribute):
            found[Code[code.attr]].add(call.func.id)
    return found
