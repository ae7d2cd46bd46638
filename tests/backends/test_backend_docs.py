"""The pages of docs/backends hold: blocks run, links resolve, URLs build their backend, every vendor has a page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sojourn.backends import backend_from_url
from sojourn.backends.registry import built_in
from sojourn.testing.vendors import FAKES

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGES = sorted((DOCS / "backends").glob("*.md"))
NAMES = [page.stem for page in PAGES]
INDEX = DOCS / "backends.md"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", [INDEX, *PAGES], ids=["index", *NAMES])
def test_every_block_runs(page: Path) -> None:
    names: dict[str, Any] = {"__name__": "shown"}
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec", dont_inherit=True), names)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_url_builds_the_backend_of_its_page(page: Path) -> None:
    shown = re.findall(r'^SOJOURN_BACKENDS="([^"]+)"$', "\n".join(blocks(page, "sh")), re.MULTILINE)
    assert bool(shown) is (page.stem in FAKES)
    for url in shown:
        assert backend_from_url(url).name == page.stem


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        place, _, heading = target.partition("#")
        if place.startswith("https://"):
            continue
        linked = (page.parent / place).resolve() if place else page
        assert linked.is_file(), target
        headings = [
            re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-")
            for title in re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE)
        ]
        assert not heading or heading in headings, target


def test_every_vendor_has_a_page_that_the_index_links() -> None:
    index = INDEX.read_text()
    assert set(re.findall(r"\]\(backends/([\w-]+)\.md", index)) == set(NAMES) == {*FAKES, "fakes"}


def test_the_index_shows_a_url_for_every_backend() -> None:
    assert set(re.findall(r"\| `([a-z0-9]+)(?::|\+https?://)", INDEX.read_text())) == {
        entry.name for entry in built_in()
    }
