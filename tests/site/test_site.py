"""The docs as a site: built without a warning, every link leads somewhere, and the search finds an answer."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.chromium import in_chromium, launched

pytest.importorskip("mkdocs")
ROOT = Path(__file__).parents[2]
HOME = "https://sojourn-analytics.github.io/sojourn/"

pytestmark = in_chromium


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Page]:
    with launched() as chromium:
        yield chromium.new_page()


def test_every_link_and_anchor_of_the_site_leads_somewhere(site: Path) -> None:
    pages = {file: file.read_text() for file in site.rglob("*.html") if file.name != "404.html"}
    anchors = {file: set(re.findall(r'\bid="([^"]+)"', text)) for file, text in pages.items()}
    lost = []
    for file, text in pages.items():
        here = urljoin(HOME, file.relative_to(site).as_posix().removesuffix("index.html"))
        for link in re.findall(r'(?:href|src)="([^"]+)"', text):
            target, anchor = urldefrag(urljoin(here, link.replace("&amp;", "&")))
            if not target.startswith(HOME):
                continue
            there = site / unquote(urlsplit(target).path.removeprefix(urlsplit(HOME).path))
            there = there / "index.html" if there.is_dir() else there
            if not there.exists() or (anchor and there in anchors and unquote(anchor) not in anchors[there]):
                lost.append((here, link))
    assert len(pages) > 40
    assert lost == []


def test_no_page_loads_anything_from_another_host(page: Page, address: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in ("", "tutorial/", "api/sojourn/", "architecture/"):
        page.goto(address + path)
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith((address, "data:"))] == []


def test_who_sees_no_session_finds_out_why_in_the_search(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("textbox", name="Search").click()
    page.get_by_role("textbox", name="Search").fill("see no session")
    first = page.locator(".md-search-result__link").first
    expect(first).to_have_attribute("href", re.compile(r"faq/"), timeout=60_000)


def test_each_helper_and_setting_is_in_the_reference(site: Path) -> None:
    from sojourn import __all__ as names

    reference = (site / "api" / "sojourn" / "index.html").read_text()
    assert [name for name in names if f'id="sojourn.{name}"' not in reference] == []


def test_what_a_language_model_reads_is_there(site: Path) -> None:
    brief = (site / "llms.txt").read_text()
    assert brief.startswith("# Sojourn\n")
    for link in re.findall(r"\((https://[^)]+)\)", brief):
        assert (site / link.removeprefix(HOME)).exists(), link
    assert "Why do I see no session?" in (site / "llms-full.txt").read_text()
