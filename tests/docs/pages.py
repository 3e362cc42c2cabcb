"""The documentation as data: pages, headings, links, code blocks, tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the heading above it."""

    language: str
    text: str
    heading: str


def name(page: Path) -> str:
    """A page as people call it."""
    return str(page.relative_to(REPOSITORY))


def read(path: str) -> str:
    """The text of a page, named from the repository's top."""
    return (REPOSITORY / path).read_text()


def prose(text: str) -> str:
    """A page without its code blocks."""
    return _FENCE.sub("", text)


def links(text: str) -> list[str]:
    """The targets of all links of a page."""
    return _LINK.findall(prose(text))


def headings(text: str) -> list[str]:
    """All headings of a page, in order."""
    return [match.group(1).strip() for match in re.finditer(r"^#+ (.+)$", prose(text), re.MULTILINE)]


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading: lower case, no punctuation, hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def blocks(text: str, language: str) -> Iterator[Block]:
    """The code blocks of one language, each with the heading above it."""
    for match in _FENCE.finditer(text):
        if match.group(1) == language:
            above = headings(text[: match.start()])
            yield Block(language, match.group(2), above[-1] if above else "")


def rows(text: str) -> Iterator[tuple[str, list[str]]]:
    """Every row of every table, with the heading above it; neither the heads nor the rules under them."""
    heading, before = "", ""
    for line in prose(text).splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            is_rule = set("".join(cells)) <= {"-", ":"}
            if not is_rule and before.startswith("|"):
                yield heading, cells
        before = line
