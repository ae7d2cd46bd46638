"""Saved views: kept under a name by who has the password, opened by everybody with access, everywhere where filters hold."""

from __future__ import annotations

import html
import json
import re
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from sojourn.errors import SettingsError
from sojourn.report import tokens
from tests.report.conftest import MakeApp
from tests.report.harness import PASSWORD, TOKEN, App, Reader
from tests.report.test_report_filters import FIREFOX, IPHONE, figure
from tests.report.test_report_pages import HOSTILE, visit

IGNORED = "Part of this address was ignored"


@pytest.fixture
def app(make_app: MakeApp) -> App:
    app = make_app(settings={"saved_views": {"Phones": "?device=phone&range=7d"}}, password=PASSWORD, token=TOKEN)
    for path, agent in (("/", FIREFOX), ("/seeds", FIREFOX), ("/seeds", IPHONE)):
        visit(app, path, user_agent=agent)
    return app


def save(reader: Reader, name: str = "Fox", address: str = "?browser=Firefox&range=30d", page: str = "/") -> str:
    reply = reader.post("/views/add", name=name, address=address, page=page)
    assert reply.status == 303, reply.words
    return reply.header("location")


def sessions(reader: Reader, **query: str) -> int:
    return int(json.loads(reader.get("/overview.json", **query).text)["figures"]["sessions"])


def test_saved_view_means_its_filters_everywhere(app: App, reader: Reader) -> None:
    assert save(reader) == "/_sojourn/?view=Fox"
    other = Reader(app)
    other.log_in(TOKEN)
    for each in (reader, other):
        page = each.get("/", view="Fox")
        assert figure(page.text, "Sessions") == "2"
        assert "View: Fox" in page.words
        assert IGNORED not in page.words
    assert sessions(reader, view="Fox") == 2
    assert len(json.loads(reader.get("/sessions.json", view="Fox").text)) == 2
    assert json.loads(reader.get("/panels/browsers.json", view="Fox").text)["sessions"] == 2
    assert reader.get("/sessions.csv", view="Fox").text.count("Firefox") == 2
    for path in ("/sessions", "/goals", "/funnels", "/retention", "/panels/pages"):
        page = reader.get(path, view="Fox")
        assert "Firefox" in page.words
        assert IGNORED not in page.words, path


@pytest.mark.parametrize(
    ("more", "count"),
    [
        pytest.param({"entry": "/seeds"}, 1, id="another name is added"),
        pytest.param({"browser": "Opera"}, 0, id="the same name replaces"),
        pytest.param({"browser": ""}, 3, id="an empty value takes away"),
        pytest.param({"range": "today"}, 2, id="a range replaces the range"),
        pytest.param({"since": "2023-11-14", "until": "2023-11-15"}, 2, id="of any kind, the interval too"),
    ],
)
def test_parameters_beside_a_view_are_put_over_it(reader: Reader, more: dict[str, str], count: int) -> None:
    save(reader, address="?browser=Firefox&range=90d&interval=week&measure=errors")
    query = "&".join(f"{name}={value}" for name, value in {"view": "Fox", **more}.items())
    reply = reader.get(f"/overview.json?{query}")
    assert reply.status == 200, reply.text
    assert json.loads(reply.text)["figures"]["sessions"] == count
    assert IGNORED not in reader.get(f"/?{query}").words


def test_what_links_append_takes_nothing_from_a_view(reader: Reader) -> None:
    save(reader, "Mail", "?campaign_source=mail")
    assert sessions(reader, view="Mail", utm_source="twitter", gclid="x") == 0


def test_unknown_view_is_a_notice_on_pages_and_an_error_for_programs(reader: Reader) -> None:
    page = reader.get("/", view="Phone")
    assert "there is no saved view of this name; did you mean Phones?" in page.words
    assert figure(page.text, "Sessions") == "3"
    for path in ("/overview.json", "/sessions.json", "/panels/pages.json"):
        reply = reader.get(path, view="Spring")
        assert reply.status == 400
        assert "renamed or deleted" in json.loads(reply.text)["errors"][0]["message"]
    assert reader.get("/sessions.csv", view="Spring").status == 400
    assert "unknown parameter" in reader.get("/delivery", view="Phones").words


def test_links_of_a_view_keep_its_name_and_say_what_differs(reader: Reader) -> None:
    save(reader, address="?browser=Firefox&range=30d&measure=errors")
    text = reader.get("/", view="Fox").text
    (chip,) = re.findall(r'<a href="([^"]*)" title="Remove this filter"', text)
    assert parse_qs(urlsplit(html.unescape(chip)).query, keep_blank_values=True) == {"view": ["Fox"], "browser": [""]}
    assert figure(reader.get(html.unescape(chip).removeprefix("/_sojourn")).text, "Sessions") == "3"
    ranges = dict(re.findall(r'<a href="([^"]*)" data-range="(\w+)"', text))
    by_range = {name: html.unescape(href) for href, name in ranges.items()}
    assert by_range["30d"] == "/_sojourn/?view=Fox"
    assert by_range["24h"] == "/_sojourn/?view=Fox&range=24h"
    assert 'href="/_sojourn/sessions?view=Fox"' in text
    assert 'href="/_sojourn/goals?view=Fox"' in text


def test_view_that_is_changed_can_be_saved_again_or_left(reader: Reader) -> None:
    save(reader)
    page = reader.get("/", view="Fox", entry="/seeds")
    assert "View: Fox, changed" in page.words.replace(" ,", ",")
    assert 'href="/_sojourn/?view=Fox">Undo changes' in page.text
    address = re.search(r'name="address" value="([^"]*)"', page.text)
    assert address is not None
    reply = reader.post("/views/change", name="Fox", address=html.unescape(address[1]), page="/sessions")
    assert reply.header("location") == "/_sojourn/sessions?view=Fox"
    assert sessions(reader, view="Fox") == 1
    assert "Save changes" not in reader.get("/", view="Fox").text


def test_page_lists_views_renames_and_deletes_them(reader: Reader) -> None:
    save(reader)
    words = reader.get("/views").words.replace(" ,", ",")
    assert "Fox Browser Firefox, Started in 30 days" in words
    assert "Phones Device phone, Started in 7 days" in words
    reader.post("/views/rename", name="Fox", to="Foxes & co")
    assert sessions(reader, view="Foxes & co") == 2
    assert reader.get("/overview.json", view="Fox").status == 400
    reader.post("/views/remove", name="Foxes & co")
    assert "Foxes" not in reader.get("/views").words


@pytest.mark.parametrize(
    ("path", "form", "status", "message"),
    [
        ("add", {"name": "", "address": "?range=7d"}, 400, "Give a name"),
        ("add", {"name": "x" * 81, "address": "?range=7d"}, 400, "Give a name"),
        ("add", {"name": "A", "address": ""}, 400, "Give filters"),
        ("add", {"name": "A", "address": "?"}, 400, "Give filters"),
        ("add", {"name": "A", "address": "?utm_source=x"}, 400, "shows everything"),
        ("add", {"name": "A", "address": "?browserx=1"}, 400, "did you mean browser"),
        ("add", {"name": "A", "address": "?view=Nobody"}, 400, "no saved view"),
        ("add", {"name": "A", "address": "?entry=" + "x" * 2100}, 400, "longer than 2,000"),
        ("add", {"name": "Phones", "address": "?range=7d"}, 409, "There is a view named Phones"),
        ("add", {"name": "Fox", "address": "?range=7d"}, 409, "There is a view named Fox"),
        ("change", {"name": "Phones", "address": "?range=7d"}, 409, "defined in the settings"),
        ("change", {"name": "Nobody", "address": "?range=7d"}, 404, "No such view"),
        ("rename", {"name": "Phones", "to": "B"}, 409, "defined in the settings"),
        ("rename", {"name": "Fox", "to": "Phones"}, 409, "There is a view named Phones"),
        ("rename", {"name": "Fox", "to": " "}, 400, "Give a name"),
        ("rename", {"name": "Nobody", "to": "B"}, 404, "No such view"),
        ("remove", {"name": "Phones"}, 409, "defined in the settings"),
        ("remove", {"name": "Nobody"}, 404, "No such view"),
    ],
)
def test_what_cannot_be_saved_says_why(
    reader: Reader, path: str, form: dict[str, str], status: int, message: str
) -> None:
    save(reader)
    reply = reader.post(f"/views/{path}", fields=form)
    assert (reply.status, message in reply.words) == (status, True), reply.words
    assert sessions(reader, view="Fox") == 2


def test_only_a_reader_with_the_password_writes(app: App, reader: Reader) -> None:
    save(reader)
    by_token = Reader(app)
    by_token.log_in(TOKEN)
    forms = {"add": {"name": "x", "address": "?range=7d"}, "change": {"name": "Fox", "address": "?range=7d"}}
    forms |= {"rename": {"name": "Fox", "to": "x"}, "remove": {"name": "Fox"}}
    before = app.engine.store.definitions.of("view")
    for path, form in forms.items():
        assert by_token.post(f"/views/{path}", fields=form).status == 403
        assert reader.post(f"/views/{path}", fields=form, token="0" * 64).status == 403
        assert reader.post(f"/views/{path}", fields=form, headers={"sec-fetch-site": "cross-site"}).status == 403
    assert app.engine.store.definitions.of("view") == before
    assert "Save view…" not in by_token.get("/", browser="Firefox").text
    assert "Rename" not in by_token.get("/views").text


def test_reader_whom_the_app_lets_in_opens_views_and_saves_none(make_app: MakeApp) -> None:
    app = make_app(settings={"saved_views": "Phones=device=phone"}, allow=lambda _request: True)
    visit(app, "/", user_agent=IPHONE)
    reader = Reader(app)
    assert sessions(reader, view="Phones") == 1
    assert "Save view…" not in reader.get("/", device="phone").text
    assert reader.post("/views/add", name="x", address="?range=7d").status == 403
    assert "without a log-in" not in reader.get("/views").words


@pytest.mark.parametrize(
    "name", [*HOSTILE[:6], "a&b=c#d?e+f%20g", "\u202egnirps", "ä 漢字 \U0001f600", "../../x", "view"]
)
def test_hostile_names_are_text_and_work(reader: Reader, name: str) -> None:
    reply = reader.post("/views/add", name=name, address="?browser=Firefox", page="https://evil.example/")
    if reply.status == 400:
        assert "Give a name" in reply.words
        return
    there = reply.header("location")
    assert there.startswith("/_sojourn/?view=")
    for page in (reader.get(there.removeprefix("/_sojourn")), reader.get("/views"), reader.get("/sessions")):
        assert IGNORED not in page.words
        for tag in ("<script>alert", "<img src=x", "8641969"):
            assert tag not in page.text
        assert "\u202e" not in re.sub(r'value="[^"]*"', "", page.text)
    opened = reader.get(there.removeprefix("/_sojourn"))
    for link in re.findall(r'href="(/_sojourn/sessions\?[^"]*view=[^"]*)"', opened.text):
        assert "Firefox" in reader.get(html.unescape(link).removeprefix("/_sojourn")).words


def test_view_that_this_version_cannot_read_says_so(app: App, reader: Reader) -> None:
    app.engine.store.definitions.add("view", "Old", '{"id":"1","query":"weather=rain&browser=Firefox"}')
    assert "a part of it cannot be read: weather: unknown parameter" in reader.get("/", view="Old").words
    assert reader.get("/overview.json", view="Old").status == 400
    assert "weather: unknown parameter" in reader.get("/views").words


def test_view_of_the_settings_that_cannot_be_read_is_an_error_at_the_start(make_app: MakeApp) -> None:
    with pytest.raises(SettingsError, match=r"saved_views: Spring: brwser: unknown parameter; did you mean browser"):
        make_app(settings={"saved_views": {"Spring": "brwser=x"}}, password=PASSWORD)


def test_time_without_offset_in_a_view_is_the_savers_for_everybody(app: App, reader: Reader) -> None:
    reader.cookies["sojourn_report_zone"] = quote("America/New_York")
    save(reader, address="?since=2023-11-01T10:00&until=2023-12-01")
    del reader.cookies["sojourn_report_zone"]
    assert json.loads(reader.get("/overview.json", view="Fox").text)["since"] == "2023-11-01T14:00:00.000Z"
    assert reader.get("/", view="Fox").status == 200


@pytest.mark.parametrize("query", ["view=Anna", "field=user&op=is&is=anna", "user=anna", "q=anna", "visitor!=x"])
def test_token_of_figures_reads_no_one_by_any_way(app: App, reader: Reader, query: str) -> None:
    save(reader, "Anna", "?user=anna")
    figures = tokens.make(app.engine.store, "figures", now=0, reads_people=False)
    people = tokens.make(app.engine.store, "people", now=0, reads_people=True)
    for token, status in ((figures, 403), (people, 200)):
        bearer = {"authorization": f"Bearer {token}"}
        reply = Reader(app).request("GET", f"/overview.json?{query}", headers=bearer)
        assert reply.status in {status, 303}, reply.text
