"""A link to a saved view: its figures for everyone who has it, nothing about people, and no way to anything else."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import pytest

from sojourn import identify
from tests.report.conftest import MakeApp
from tests.report.harness import MOUNT, PASSWORD, TOKEN, App, Reader
from tests.report.test_report_pages import HOSTILE, visit

DAY_S = 86_400


def shared(reader: Reader, address: str = "?range=24h", name: str = "Spring", **form: str) -> str:
    """The path of a link to a new view."""
    assert reader.post("/views/add", name=name, address=address).status == 303
    return link_to(reader, name, **form)


def link_to(reader: Reader, view: str, **form: str) -> str:
    page = reader.post("/views/share", fields={"view": view, **form})
    found = re.findall(r"/share/[\w-]{40,}", page.words)
    assert found, page.words
    return str(found[0])


def both(app: App, link: str) -> tuple[int, int]:
    """The status of the page and of the JSON for a stranger."""
    return Reader(app).get(link).status, Reader(app).get(f"{link}.json").status


def test_link_shows_figures_and_the_chart_without_a_log_in_and_nothing_about_people(app: App, reader: Reader) -> None:
    visit(app, "/one", lambda: identify("anna", "Anna B."))
    link = shared(reader)
    page = Reader(app).get(link)
    assert page.status == 200
    assert "Spring 24 hours" in page.words
    assert "Sessions 1" in page.words
    assert "/one" in page.words
    assert "Sessions by hour" in page.words
    assert len(re.findall(r"<g data-label=", page.text)) == 24
    document = json.loads(Reader(app).get(f"{link}.json").text)
    assert (document["name"], document["figures"]["sessions"], document["bucket"]) == ("Spring", 1, "hour")
    assert document["panels"]["pages"][0]["value"] == "/one"
    for text in (page.text, json.dumps(document)):
        assert "nna" not in text


def test_link_compares_with_the_period_before(app: App, reader: Reader) -> None:
    link = shared(reader)
    visit(app, "/one")
    app.clock.now_ms += DAY_S * 1000
    visit(app, "/two")
    assert "Sessions no change , was 1 in the previous period 1 " in Reader(app).get(link).words


def test_page_has_no_link_that_needs_access(app: App, reader: Reader) -> None:
    visit(app, "/one")
    link = shared(reader, "?range=24h&measure=errors&interval=hour")
    page = Reader(app).get(link)
    assert "With errors by hour" in page.words
    hrefs = re.findall(r'<a [^>]*href="(/[^"]*)"', page.text)
    assert len(hrefs) == 6, "the tiles"
    assert not re.findall(r'<a [^>]*href="/', Reader(app).get(f"/share/{'a' * 43}").text)
    for href in hrefs:
        assert href.startswith(f"{MOUNT}{link}?measure="), href
        assert Reader(app).get(href.removeprefix(MOUNT)).status == 200
    assert "data-chart" not in page.text
    assert "Bounce rate by hour" in Reader(app).get(link, measure="bounce").words


def test_filters_of_a_link_are_fixed(app: App, reader: Reader) -> None:
    visit(app, "/one")
    visit(app, "/two")
    link = shared(reader, "https://shop.example/_sojourn/?range=24h&entry=/two")
    page = Reader(app).get(link, entry="/one", range="7d", view="Spring")
    assert "Sessions 1" in page.words
    assert "Entry page /two" in page.words
    assert "/one" not in page.words
    reply = Reader(app).get(f"{link}.json", entry="/one")
    assert json.loads(reply.text)["figures"]["sessions"] == 1


def test_link_opens_nothing_else(app: App, reader: Reader) -> None:
    stranger = Reader(app)
    stranger.get(shared(reader))
    for path in ("/", "/sessions", "/overview.json", "/views", "/?view=Spring"):
        assert stranger.get(path).status in {303, 401, 403}, path


def test_link_follows_its_view(app: App, reader: Reader) -> None:
    """Changes show, another name does not matter; the page of views says so."""
    visit(app, "/one")
    link = shared(reader)
    assert "when you change the view, the link shows the change" in reader.get("/views").words
    reader.post("/views/change", name="Spring", address="?range=24h&entry=/other")
    reader.post("/views/rename", name="Spring", to="Autumn")
    page = Reader(app).get(link)
    assert "Autumn 24 hours · Entry page /other" in page.words
    assert "Sessions 0" in page.words


def test_link_of_a_deleted_view_shows_nothing_even_if_another_view_gets_its_name(app: App, reader: Reader) -> None:
    link = shared(reader)
    reader.post("/views/remove", name="Spring")
    assert both(app, link) == (404, 404)
    assert "view that this link showed was deleted" in Reader(app).get(link).words
    assert "deleted" in json.loads(Reader(app).get(f"{link}.json").text)["errors"][0]["message"]
    assert "Spring nothing: its view was deleted" in reader.get("/views").words
    assert reader.post("/views/add", name="Spring", address="?range=7d").status == 303
    assert both(app, link) == (404, 404)


def test_link_whose_view_comes_to_be_about_a_person_shows_nothing(app: App, reader: Reader) -> None:
    link = shared(reader)
    reader.post("/views/change", name="Spring", address="?range=24h&user=anna")
    assert both(app, link) == (404, 404)
    assert "anna" not in Reader(app).get(link).text
    reader.post("/views/change", name="Spring", address="?range=24h")
    assert both(app, link) == (200, 200)


def test_link_whose_view_cannot_be_read_shows_nothing_instead_of_everything(app: App, reader: Reader) -> None:
    link = shared(reader)
    (view,) = app.engine.store.definitions.of("view")
    text = view.text.replace("range=24h", "weather=rain")
    assert app.engine.store.definitions.change("view", "Spring", text)
    assert both(app, link) == (404, 404)


def test_expired_link_shows_nothing(app: App, reader: Reader) -> None:
    link = shared(reader, **{"for": "7d"})
    app.clock.advance(7 * DAY_S - 1)
    assert both(app, link) == (200, 200)
    app.clock.advance(1)
    assert both(app, link) == (404, 404)
    assert "This link has expired" in Reader(app).get(link).words
    reader.log_in()
    assert "ended" in reader.get("/views").words


def test_revoked_and_unknown_links_show_nothing(app: App, reader: Reader) -> None:
    link = shared(reader)
    other = link_to(reader, "Spring", name="For Bob")
    assert reader.post("/views/revoke", name="Spring").status == 303
    for each in (link, f"/share/{'a' * 43}", f"{other}x"):
        assert both(app, each) == (404, 404)
    assert both(app, other) == (200, 200)


def test_store_keeps_a_hash_alone(app: App, reader: Reader) -> None:
    link = shared(reader)
    (definition,) = app.engine.store.definitions.of("share")
    assert link.removeprefix("/share/") not in definition.text
    assert link not in reader.get("/views").text


@pytest.mark.parametrize("address", ["?user=anna", "?visitor!=x", "?q=anna", "?field=user&op=is&is=anna"])
def test_view_about_a_person_cannot_be_shared(app: App, reader: Reader, address: str) -> None:
    assert reader.post("/views/add", name="x", address=address).status == 303
    reply = reader.post("/views/share", view="x")
    assert (reply.status, "shows figures, not people" in reply.words) == (400, True)
    assert app.engine.store.definitions.of("share") == []
    assert 'value="x"' not in re.findall(r"<select name=.view.*?</select>", reader.get("/views").text)


def test_what_cannot_be_shared_says_why(reader: Reader) -> None:
    shared(reader)
    assert "there is a link named Spring" in reader.post("/views/share", view="Spring").words.replace("T", "t")
    assert reader.post("/views/share", view="Nobody").status == 404
    assert reader.post("/views/share", view="Spring", name="x" * 81).status == 400


@pytest.mark.parametrize("name", [*HOSTILE[:6], "a&b=c#d", "\u202egnirps"])
def test_hostile_names_are_text(app: App, reader: Reader, name: str) -> None:
    if reader.post("/views/add", name=name, address="?browser=<script>alert(1)</script>").status == 400:
        return
    link = link_to(reader, name.strip())
    for page in (Reader(app).get(link), reader.get("/views")):
        assert page.status == 200
        for tag in ("<script>alert", "<img src=x", "8641969"):
            assert tag not in page.text
        assert "\u202e" not in re.sub(r'value="[^"]*"', "", page.text)
    assert both(app, f"/share/{quote(name, safe='')}")[0] in {303, 404}
    assert reader.post("/views/revoke", name=name.strip()).status == 303
    assert both(app, link) == (404, 404)


def test_only_a_reader_with_the_password_shares(make_app: MakeApp) -> None:
    app = make_app(settings={"saved_views": {"Week": "range=7d"}}, password=PASSWORD, token=TOKEN)
    program = Reader(app)
    program.log_in(TOKEN)
    assert program.post("/views/share", view="Week").status == 403
    assert program.post("/views/revoke", name="Week").status == 403
    owner = Reader(app)
    owner.log_in()
    assert owner.post("/views/share", view="Week", token="0" * 64).status == 403
    assert both(app, link_to(owner, "Week")) == (200, 200)


def test_own_check_of_an_app_decides_alone(make_app: MakeApp) -> None:
    app = make_app(allow=lambda _request: False)
    assert both(app, f"/share/{'a' * 43}") == (403, 403)
