"""Addresses around a page keep what the reader looks at: filter, range, measure and interval, to every page and back."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.report.conftest import MakeApp
from tests.report.harness import MOUNT, PASSWORD, App, Reader, Reply
from tests.report.test_report_pages import visit

CHOICE = {"browser": "Firefox", "range": "30d", "measure": "errors", "interval": "week"}
ONLINE = {"state": "open", "sort": "seen"}
"""The figure in the head, and its link, are of the whole site."""
HOLDS = ("/", "/sessions", "/goals", "/funnels", "/retention", "/panels/pages", "/panels/users")


@pytest.fixture
def app(make_app: MakeApp) -> App:
    app = make_app(settings={"goals": {"Bought": "purchase"}, "funnels": {"Way": "/a > /b"}}, password=PASSWORD)
    for path in ("/a", "/b", "/c"):
        visit(app, path, user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    return app


def links(reply: Reply, pattern: str = '<a (?!class="clear")[^>]*') -> Iterator[tuple[str, dict[str, str]]]:
    """The path below the mount and the parameters of each link in tags of this pattern."""
    for tag in re.findall(pattern, reply.text):
        if (found := re.search(r'href="([^"#]*)[^"]*"', tag)) and found[1].startswith(MOUNT):
            parts = urlsplit(html.unescape(found[1]))
            yield parts.path.removeprefix(MOUNT), {name: values[0] for name, values in parse_qs(parts.query).items()}


def test_row_of_a_panel_keeps_measure_and_interval(reader: Reader) -> None:
    page, added = reader.get("/", **CHOICE, tabs="entries"), set()
    for path, query in links(page, r'<span class="name"><a [^>]*'):
        assert path == "/"
        assert query.items() >= {**CHOICE, "tabs": "entries"}.items()
        added |= query.keys() - CHOICE.keys()
    assert added >= {"entry", "source"}
    assert "path" not in added, "the tab is kept, too"


@pytest.mark.parametrize("start", HOLDS)
def test_ways_between_pages_keep_all_that_was_chosen(reader: Reader, start: str) -> None:
    """From each page to each other one: menu, panels, lists, breadcrumbs, tabs and searches."""
    page = reader.get(start, **CHOICE)
    met = set()
    for path, query in links(page):
        if path not in HOLDS or not query or query == ONLINE:
            continue
        changed = {name for name in CHOICE if query.get(name) != CHOICE[name]}
        # One thing at a time changes: a range, and with it what does not suit it; a tile; a chip.
        assert len(changed - {"interval"}) <= 1, (path, query)
        if not changed:
            met.add(path)
    assert met >= {"/", "/sessions", "/goals", "/funnels"} - {start}


@pytest.mark.parametrize("start", HOLDS)
def test_no_link_leads_to_an_address_that_is_partly_ignored(reader: Reader, start: str) -> None:
    page = reader.get(start, **CHOICE)
    assert "Part of this address was ignored" not in page.words
    seen = {(path, tuple(query.items())) for path, query in links(page) if path in HOLDS}
    assert len(seen) > 5
    for path, query in seen:
        assert "Part of this address was ignored" not in reader.get(path, **dict(query)).words, (path, query)


def test_range_that_an_interval_does_not_suit_drops_it(reader: Reader) -> None:
    text = reader.get("/", range="7d", interval="hour").text
    hrefs = dict(re.findall(r'<a href="([^"]*)" data-range="(\w+)"', text))
    by_range = {name: parse_qs(urlsplit(html.unescape(href)).query) for href, name in hrefs.items()}
    assert by_range["24h"] == {"range": ["24h"], "interval": ["hour"]}
    assert by_range["12m"] == {"range": ["12m"]}


def test_forms_send_what_was_chosen_along(reader: Reader) -> None:
    page = reader.get("/panels/pages", **CHOICE, sort="exits")
    form = re.search(r'<form class="filter panel".*?</form>', page.text, re.DOTALL)
    assert form is not None
    assert dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', form[0])) == {**CHOICE, "sort": "exits"}


def test_order_of_a_list_stays_there(reader: Reader) -> None:
    for path, query in links(reader.get("/sessions", **CHOICE, sort="pages")):
        if path in HOLDS:
            assert ("sort" in query) is (path == "/sessions" and query.get("sort") != "started") or path == "/sessions"


def test_program_may_send_the_address_of_a_page_as_it_is(reader: Reader) -> None:
    for path in ("/sessions.json", "/panels/pages.json", "/sessions.csv"):
        assert reader.get(path, **CHOICE).status == 200, path
        assert reader.get(path, measure="size").status == 400, path
