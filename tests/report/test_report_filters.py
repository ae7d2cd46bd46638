"""The overview with filters and with one measure in its chart, through ASGI and WSGI."""

from __future__ import annotations

import html
import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from sojourn import track
from tests.report.harness import App, Reader
from tests.report.test_report_pages import HOSTILE, visit

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1"
    " Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def shop(app: App) -> App:
    visit(app, "/", lambda: track("order", {"currency": "EUR"}), user_agent=FIREFOX)
    visit(app, "/", user_agent=FIREFOX)
    visit(app, "/seeds", lambda: track("order", {"currency": "USD"}), user_agent=IPHONE)
    return app


def figure(text: str, label: str) -> str:
    found = re.search(rf'<h2>{label}</h2>.*?class="figure">([^<]*)<', text, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("query", "sessions"),
    [
        ({}, "3"),
        ({"browser": "Firefox"}, "2"),
        ({"browser!": "Firefox"}, "1"),
        ({"entry~": "SEED"}, "1"),
        ({"event": "order"}, "2"),
        ({"event": "order", "event.currency": "EUR"}, "1"),
        ({"browser": "Firefox", "event": "order"}, "1"),
        ({"q": "seeds"}, "1"),
        ({"browser": "Opera"}, "0"),
    ],
)
def test_the_overview_counts_what_a_filter_matches(
    shop: App, reader: Reader, query: dict[str, str], sessions: str
) -> None:
    assert figure(reader.get("/", **query).text, "Sessions") == sessions
    assert json.loads(reader.get("/overview.json", **query).text)["figures"]["sessions"] == int(sessions)


def test_each_chip_leads_to_the_overview_without_it(shop: App, reader: Reader) -> None:
    query = {"browser": "Firefox", "event~": "ord", "measure": "visitors", "range": "7d"}
    text = reader.get("/", **query).text
    chips = re.findall(r'<a href="([^"]*)" title="Remove this filter"', text)
    left = [
        {name: values[0] for name, values in parse_qs(urlsplit(html.unescape(chip)).query).items()} for chip in chips
    ]
    assert left == [
        {"event~": "ord", "measure": "visitors", "range": "7d"},
        {"browser": "Firefox", "measure": "visitors", "range": "7d"},
    ]
    assert "Event contains ord" in reader.get("/", **query).words


def test_links_of_a_filtered_overview_keep_the_filter(shop: App, reader: Reader) -> None:
    text = html.unescape(reader.get("/", browser="Firefox", range="7d").text)
    for link in re.findall(r'<a href="([^"]*[?&](?:range|since|interval|measure)=[^"]*)"', text):
        if "clear" not in link and urlsplit(link).path.endswith(("/_sojourn/", "/sessions")):
            query = parse_qs(urlsplit(link).query)
            assert "browser" in query or query == {"range": ["7d"]}, link


def test_the_form_adds_a_filter_and_shows_its_address(shop: App, reader: Reader) -> None:
    form = {"browser": "Firefox", "field": "prop.", "op": "is_not", "is": "plan=pro", "range": "7d"}
    for path in ("/", "/sessions"):
        reply = reader.get(path, **form)
        assert reply.status == 303
        there = urlsplit(dict(reply.headers)["location"])
        assert parse_qs(there.query) == {"browser": ["Firefox"], "prop.plan!": ["pro"], "range": ["7d"]}
    assert "give a number" in reader.get("/", field="pages", op="is", **{"is": "many"}).words


def test_the_tiles_choose_what_the_chart_shows(shop: App, reader: Reader) -> None:
    text = reader.get("/").text
    links = [html.unescape(link) for link in re.findall(r'<a class="card" href="([^"]*)"', text)]
    measures = [parse_qs(urlsplit(link).query)["measure"][0] for link in links]
    assert measures == ["sessions", "visitors", "users", "duration", "bounce", "errors"]
    assert "Sessions by hour" in reader.get("/").words
    for measure, title in (("bounce", "Bounce rate by hour"), ("duration", "Median duration by hour")):
        reply = reader.get("/", measure=measure)
        assert title in reply.words
        assert len(re.findall(r'class="card"[^>]*aria-current="true"', reply.text)) == 1


def test_the_interval_of_the_chart_can_be_chosen(shop: App, reader: Reader) -> None:
    assert "Sessions by day" in reader.get("/", range="7d").words
    assert "Sessions by hour" in reader.get("/", range="7d", interval="hour").words
    assert "Sessions by week" in reader.get("/", range="30d", interval="week").words


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_values_of_filters_are_text(shop: App, reader: Reader, text: str) -> None:
    for path in ("/", "/sessions"):
        reply = reader.get(path, **{"browser": text, "event~": text, "q": text})
        assert reply.status == 200
        for tag in ("<script>alert", "<img src=x", "8641969"):
            assert tag not in reply.text


def test_an_overview_that_nothing_matches_says_so(shop: App, reader: Reader) -> None:
    words = reader.get("/", browser="Opera").words
    assert "No matching sessions in this range" in words
    assert "Open a page of your app" not in words
