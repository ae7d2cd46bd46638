"""Panels: what the overview shows of them, the page of all values, and their exports."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from sojourn import capture_exception, identify, track
from sojourn.report import _formatting
from sojourn.report._columns import Line
from sojourn.report._panels import GROUPS, PANELS
from sojourn.stores.reporting.breakdowns import BREAKDOWNS, Counts, histogram_key
from tests.report.conftest import MakeApp
from tests.report.harness import PASSWORD, App, Reader

HOSTILE = "<script>alert(1)</script>"


def played(app: App) -> None:
    """Four visits: one buys, two meet an error, one came by a campaign."""

    def fail() -> None:
        identify("anna", "Anna B.")
        try:
            raise KeyError("seed")
        except KeyError as error:
            capture_exception(error)

    app.view = lambda: track("purchase", {"currency": "EUR"})
    app.visit("/cart?utm_source=newsletter&utm_medium=email&utm_campaign=spring")
    app.view = fail
    app.visit("/", referer="https://www.google.com/")
    app.visit("/", referer="https://google.de/")
    app.view = lambda: None
    app.visit("/seeds")


def titles(text: str) -> list[str]:
    return re.findall(r'id="panel-(\w+)"', text)


def test_every_panel_has_a_breakdown_and_columns_of_its_own() -> None:
    for panel in PANELS.values():
        assert panel.breakdown in BREAKDOWNS
        names = [column.name for column in panel.columns]
        assert len(set(names)) == len(names)
        assert panel.beside is None or panel.column(panel.beside) is not None
        assert panel.columns[0].name == BREAKDOWNS[panel.breakdown].measures[0]


def test_overview_sums_up_what_happened(app: App, reader: Reader) -> None:
    played(app)
    page = reader.get("/")
    words = page.words
    assert "Events share times purchase 25 % 1" in words
    assert "Errors sessions times KeyError in played.<locals>.fail 2 2" in words
    assert 'title="KeyError at tests/report/test_report_panels.py in played' in page.text
    assert "google.com 2" in words, "www. and country domains are one source"
    assert "Users page views sessions Anna B. 2 2" in words
    for name in ("Pages", "Sources", "Events", "Errors", "Routes", "Browsers", "Users", "Releases"):
        assert name in words


@pytest.mark.parametrize(
    ("group", "shown"),
    [
        ("shop.payment.DeclinedError at shop/payment.py in Card.charge", "DeclinedError in Card.charge"),
        ("UndefinedError at advice.html in block 'at in'", "UndefinedError in block 'at in'"),
        ("shop.payment.DeclinedError", "shop.payment.DeclinedError"),
        ("Status 500 at /log in here", "Status 500 at /log in here"),
    ],
)
def test_an_error_is_called_by_its_type_and_function(group: str, shown: str) -> None:
    assert _formatting.short_error(group) == shown


@pytest.mark.parametrize(("took", "mark"), [(900, ""), (1300, "slow"), (None, "")])
def test_a_slow_route_is_marked(took: int | None, mark: str) -> None:
    tally = {} if took is None else {histogram_key(took): 1}
    routes = BREAKDOWNS["routes"]
    line = Line(value="/", counts=Counts([0] * len(routes.measures), tally=tally), breakdown=routes, total=1)
    column = PANELS["routes"].column("p95_ms")
    assert column is not None
    assert column.mark(line) == mark


def test_tabs_choose_a_panel_each(app: App, reader: Reader) -> None:
    played(app)
    assert titles(reader.get("/").text) == [group.panels[0].name for group in GROUPS]
    page = reader.get("/", tabs="campaigns,devices")
    assert {"campaigns", "devices", "pages"} <= set(titles(page.text))
    assert "spring 1" in page.words
    assert "tabs=campaigns%2Cdevices%2Centries" in page.text, "another tab keeps the other choices"
    assert "unknown value" in reader.get("/", tabs="nothing").words


@pytest.mark.parametrize("name", PANELS)
def test_every_panel_has_a_page_and_exports(app: App, reader: Reader, name: str) -> None:
    empty = reader.get(f"/panels/{name}")
    assert (empty.status, "Choose a longer range" in empty.words) == (200, True)
    played(app)
    assert reader.get(f"/panels/{name}").status == 200
    rows = json.loads(reader.get(f"/panels/{name}.json").text)["rows"]
    lines = list(csv.reader(io.StringIO(reader.get(f"/panels/{name}.csv").text)))
    assert lines[0] == ["value", *(column.name for column in PANELS[name].columns)]
    assert len(lines) == len(rows) + 1
    for row in rows:
        assert list(row) == lines[0]


def test_page_searches_sorts_and_says_how_many(app: App, reader: Reader) -> None:
    played(app)
    page = reader.get("/panels/pages")
    assert "1 to 3 of 3, in 4 sessions of 7 days" in page.words
    assert re.findall(r'scope="row"><a href="/_sojourn/\?range=7d&amp;path=([^"]+)"', page.text) == [
        "%2F",
        "%2Fcart",
        "%2Fseeds",
    ]
    found = reader.get("/panels/pages", find="SEED")
    assert "1 to 1 of 1 that match" in found.words
    assert "Nothing matches “ tulip ”" in reader.get("/panels/pages", find="tulip").words
    upwards = json.loads(reader.get("/panels/pages.json", sort="views", dir="up").text)["rows"]
    assert [row["views"] for row in upwards] == [1, 1, 2]


def test_pages_of_a_panel_hold_fifty_values_each(app: App, reader: Reader) -> None:
    for number in range(51):
        app.visit(f"/p{number:02}")
    first, second = reader.get("/panels/pages"), reader.get("/panels/pages", page="2")
    assert "1 to 50 of 51" in first.words
    assert "51 to 51 of 51" in second.words
    assert "51 to 51 of 51" in reader.get("/panels/pages", page="99").words
    assert "All pages (51)" in reader.get("/").words


def test_error_says_which_sessions_and_users_met_it(app: App, reader: Reader) -> None:
    played(app)
    (row,) = json.loads(reader.get("/panels/errors.json").text)["rows"]
    assert (row["errors"], row["sessions"], row["users"], row["share"]) == (2, 2, 1, 0.5)
    assert row["first_seen_at"].endswith("Z")


def test_filter_narrows_a_panel_and_can_be_taken_away(app: App, reader: Reader) -> None:
    played(app)
    page = reader.get("/panels/pages", source="google.com")
    assert "1 to 1 of 1, in 2 sessions" in page.words
    assert "Source google.com" in page.words
    assert "path=%2F" in page.text
    error = json.loads(reader.get("/panels/errors.json").text)["rows"][0]["value"]
    rows = json.loads(reader.get("/panels/entries.json", error=error).text)["rows"]
    assert [(row["value"], row["sessions"], row["error_share"]) for row in rows] == [("/", 2, 1.0)]
    assert len(json.loads(reader.get("/sessions.json", error=error).text)) == 2, "into the sessions"


def test_mistake_in_an_address_is_named(app: App, reader: Reader) -> None:
    assert reader.get("/panels/nothing").status == 404
    assert reader.get("/panels/nothing.json").status == 404
    wrong = reader.get("/panels/pages.json", sort="colour")
    assert (wrong.status, json.loads(wrong.text)["errors"][0]["parameter"]) == (400, "sort")
    assert "unknown value" in reader.get("/panels/pages", sort="colour").words


def test_what_visitors_sent_is_inert(app: App, reader: Reader) -> None:
    app.view = lambda: track("=cmd()", {})
    app.visit(f"/{HOSTILE}?utm_source=%3Cb%3E", referer="https://evil.example/%3Cb%3E")
    for path in ("/", "/panels/pages", "/panels/events", "/panels/campaign_sources"):
        page = reader.get(path)
        assert HOSTILE not in page.text
        assert "<b>" not in page.text.replace("<b data-number", "")
    assert "'=cmd()" in reader.get("/panels/events.csv").text


def test_order_is_marked_only_where_a_column_has_it(make_app: MakeApp) -> None:
    app = make_app(password=PASSWORD, settings={"service_version": "2.1"})
    reader = Reader(app)
    reader.log_in()
    app.visit("/")
    assert 'aria-sort="descending"' in reader.get("/panels/pages").text
    assert "aria-sort" not in reader.get("/panels/releases").text, "versions stand in the order in which they came"
    assert 'aria-sort="descending"' in reader.get("/panels/releases", sort="sessions").text


@pytest.mark.parametrize("settings", [{"service_version": "2.1"}])
def test_release_has_the_version_of_the_settings(make_app: MakeApp, settings: dict[str, str]) -> None:
    app = make_app(password=PASSWORD, settings=settings)
    reader = Reader(app)
    reader.log_in()
    played(app)
    (row,) = json.loads(reader.get("/panels/releases.json").text)["rows"]
    assert (row["value"], row["sessions"], row["error_share"]) == ("2.1", 4, 0.5)
    (error,) = json.loads(reader.get("/panels/errors.json").text)["rows"]
    assert error["versions"] == "2.1 (2)"
