"""The dimensions of a session: one table makes columns, and computes their values when a session starts."""

from __future__ import annotations

import pytest

from sojourn.core.events import PAGE_VIEW, Scalar
from sojourn.core.records import ACTIVITY, REQUEST, STARTS, Entry
from sojourn.pipeline.record.fold import set_exit_pages
from sojourn.stores.dimensions import DIMENSIONS, NAMES
from sojourn.stores.rows import SessionRow
from sojourn.stores.schema import SESSIONS
from tests.pipeline.record.story import FIRST, Story

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def started(origin: dict[str, Scalar]) -> SessionRow:
    return Story().record(FIRST, 0, flags=STARTS | ACTIVITY | REQUEST, origin=origin).rows["k1"]


def test_each_dimension_is_a_column_and_a_field_that_may_be_empty() -> None:
    assert len(set(NAMES)) == len(DIMENSIONS)
    for name in NAMES:
        assert SESSIONS[name].is_nullable
        assert getattr(started({}), name) == ("Direct" if name in {"source", "channel"} else None)


@pytest.mark.parametrize(
    ("origin", "values"),
    [
        pytest.param({"url.path": "/in"}, {"entry_path": "/in"}, id="entry page"),
        pytest.param(
            {"http.request.header.referer": "https://a.example/"}, {"referrer": "https://a.example/"}, id="referrer"
        ),
        pytest.param(
            {"http.request.header.referer": "https://shop.example/in", "session.internal_referrer": True},
            {"referrer": "(within the site)"},
            id="a page of this site",
        ),
        pytest.param(
            {"user_agent.original": FIREFOX},
            {"browser": "Firefox", "system": "Linux", "device": "desktop"},
            id="families of the user agent",
        ),
        pytest.param(
            {"url.query": "utm_source=mail&utm_campaign=spring+sale&utm_source=other&ref=1"},
            {"utm_source": "mail", "utm_campaign": "spring sale"},
            id="campaign, the first of several",
        ),
        pytest.param({"url.query": "utm_source=&q=utm_medium"}, {}, id="campaign without a value"),
        pytest.param({"service.version": "2.1"}, {"version": "2.1"}, id="version"),
        pytest.param({"service.name": "shop"}, {"service": "shop"}, id="service"),
        pytest.param({"visitor.kind": "cookieless"}, {"visitor_kind": "cookieless"}, id="visitor without a cookie"),
    ],
)
def test_the_first_request_decides(origin: dict[str, Scalar], values: dict[str, str]) -> None:
    row = started(origin)
    computed = {name: value for name in NAMES if (value := getattr(row, name)) is not None}
    assert {name: value for name, value in computed.items() if name not in {"source", "channel"}} == values


def test_what_no_column_holds_stays_in_the_origin() -> None:
    row = started({"url.path": "/in", "user_agent.original": FIREFOX, "client.address": "192.0.2.0", "new.one": 7})
    assert row.origin == {"user_agent.original": FIREFOX, "client.address": "192.0.2.0", "new.one": 7}


def test_the_page_of_a_click_inside_the_site_stays_in_the_origin() -> None:
    page: dict[str, Scalar] = {
        "http.request.header.referer": "https://shop.example/in",
        "session.internal_referrer": True,
    }
    assert started({"url.path": "/in", **page}).origin == page


def test_an_attribute_of_the_first_request_reaches_the_start_without_further_code() -> None:
    story = Story().record(FIRST, 0, flags=STARTS, origin={"new.one": 7})
    assert story.events[0].attributes["new.one"] == 7


@pytest.mark.parametrize("order", [(1, 2), (2, 1)], ids=["in order", "out of order"])
def test_the_exit_page_is_that_of_the_latest_page_view(order: tuple[int, ...]) -> None:
    story = Story()
    for at in order:
        story.record(FIRST, at, Entry(PAGE_VIEW, at, {"url.path": f"/{at}"}))
        set_exit_pages(story.rows, story.last.events)
    row = story.rows["k1"]
    assert (row.exit_path, row.exit_at, row.exit_ms) == ("/2", 2, None)


def test_the_exit_page_has_the_time_that_its_response_took() -> None:
    story = Story()
    for at, took in ((1, 1500.4), (2, 20.0), (3, "no number"), (4, 1200.6)):
        view: dict[str, Scalar] = {"url.path": f"/{at}", "page_view.duration_ms": took}
        story.record(FIRST, at, Entry(PAGE_VIEW, at, view))
        set_exit_pages(story.rows, story.last.events)
        assert story.rows["k1"].exit_ms == (round(took) if isinstance(took, float) else None)


def test_the_exit_page_is_what_scrub_left() -> None:
    story = Story().record(FIRST, 1, Entry(PAGE_VIEW, 1, {"url.path": "/secret"}))
    set_exit_pages(story.rows, [])
    assert story.rows["k1"].exit_path is None
