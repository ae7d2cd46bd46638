"""A shared view: its figures for everyone with the link, nothing about people, and no way to anything else."""

from __future__ import annotations

import re

import pytest

from sojourn import identify
from tests.report.conftest import MakeApp
from tests.report.harness import PASSWORD, TOKEN, App, Reader
from tests.report.test_report_pages import visit


def shared(reader: Reader, address: str = "?range=24h", name: str = "Spring") -> str:
    page = reader.post("/shares/add", name=name, address=address)
    (link,) = re.findall(r"/share/[\w-]{40,}", page.words)
    return str(link)


def test_link_shows_figures_without_a_log_in_and_nothing_about_people(app: App, reader: Reader) -> None:
    visit(app, "/one", lambda: identify("anna", "Anna B."))
    page = Reader(app).get(shared(reader))
    assert page.status == 200
    assert "Spring 24 hours" in page.words
    assert "Sessions 1" in page.words
    assert "/one" in page.words
    assert "nna" not in page.text


def test_filters_of_a_link_are_fixed(app: App, reader: Reader) -> None:
    visit(app, "/one")
    visit(app, "/two")
    link = shared(reader, "https://shop.example/_sojourn/?range=24h&entry=/two")
    page = Reader(app).get(link, entry="/one")
    assert "Sessions 1" in page.words
    assert "Entry page /two" in page.words
    assert "/one" not in page.words


def test_link_opens_nothing_else(app: App, reader: Reader) -> None:
    stranger = Reader(app)
    stranger.get(shared(reader))
    for path in ("/", "/sessions", "/overview.json", "/shares"):
        assert stranger.get(path).status in {303, 401, 403}, path


def test_withdrawn_and_unknown_links_open_nothing(app: App, reader: Reader) -> None:
    link = shared(reader)
    assert reader.post("/shares/withdraw", name="Spring").status == 303
    for path in (link, f"/share/{'a' * 43}"):
        assert Reader(app).get(path).status == 404


def test_store_keeps_a_hash_alone(app: App, reader: Reader) -> None:
    link = shared(reader)
    (definition,) = app.engine.store.definitions.of("share")
    assert link.removeprefix("/share/") not in definition.text
    assert link not in reader.get("/shares").text


@pytest.mark.parametrize(
    "address", ["?user=anna", "?visitor!=x", "?q=anna", "?rangex=7d", "?range=7 days", "?" + "a" * 3000]
)
def test_view_that_cannot_be_shared_is_an_error(app: App, reader: Reader, address: str) -> None:
    assert reader.post("/shares/add", name="x", address=address).status == 400
    assert app.engine.store.definitions.of("share") == []


def test_only_a_reader_with_the_password_shares(make_app: MakeApp) -> None:
    app = make_app(password=PASSWORD, token=TOKEN)
    program = Reader(app)
    program.log_in(TOKEN)
    assert program.post("/shares/add", name="x", address="?range=7d").status == 403
    assert program.post("/shares/withdraw", name="x").status == 403


def test_own_check_of_an_app_decides_alone(make_app: MakeApp) -> None:
    app = make_app(allow=lambda _request: False)
    assert Reader(app).get(f"/share/{'a' * 43}").status == 403
