"""Links between the pages."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, REPOSITORY, anchor, headings, links, name, read


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_of_a_page_leads_to_a_page_and_a_heading_that_exist(page: Path) -> None:
    broken = []
    for link in links(page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        is_whole = target.exists() and (not fragment or fragment in map(anchor, headings(target.read_text())))
        if not is_whole:
            broken.append(link)
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set[Path](), [REPOSITORY / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        waiting += [
            (page.parent / link.partition("#")[0]).resolve() for link in links(page.read_text()) if ":" not in link
        ]
    assert [name(page) for page in PAGES if page not in reached] == []


def test_the_files_that_the_architecture_names_exist() -> None:
    named = set(
        re.findall(r"`((?:src|tools|tests|docs)/[\w./-]+|(?:[a-z]+/)+[a-z_]+\.py)`", read("docs/architecture.md"))
    )
    assert len(named) > 20
    found = {path for path in named if (REPOSITORY / path).exists() or (REPOSITORY / "src/spokewire" / path).exists()}
    assert named - found == set()
