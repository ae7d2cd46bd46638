"""`connection.end` of a response in pieces, through both doors: for what lasted, and for event streams."""

from __future__ import annotations

import pytest

from sojourn import opt_out
from tests.doors.browser import FETCH, HTML, JSON, NAVIGATE, Browser, Response, Site, view_of

EVENTS = ("content-type", "text/event-stream; charset=utf-8")
FILE = tuple(b"x" * 65_536 for _ in range(4))


def opened(
    site: Site,
    browser: Browser,
    seconds: float,
    *,
    content: tuple[str, str] = HTML,
    pieces: tuple[bytes, ...] = FILE,
    before: float = 0,
    headers: dict[str, str] = NAVIGATE,
) -> list[float]:
    """Send a body that pauses so long after its first piece; return the lengths of the connections recorded."""
    pauses = iter([seconds])
    response = Response(headers=(content,), pieces=pieces, between=lambda: site.clock.advance(next(pauses, 0)))
    site.views["/file"] = view_of(lambda: site.clock.advance(before), response=response)
    browser.ask("GET", "/file", headers)
    return [float(event.attributes["connection.duration_ms"]) for event in site.named("connection.end")]


@pytest.mark.parametrize(
    ("seconds", "lengths"), [(0, []), (0.003, []), (0.75, []), (0.999, []), (1.0, [1000]), (60, [60_000])]
)
def test_a_page_in_pieces_is_a_connection_if_it_lasts_a_second(
    site: Site, browser: Browser, seconds: float, lengths: list[float]
) -> None:
    assert opened(site, browser, seconds) == pytest.approx(lengths)
    assert site.names()[:2] == ["session.start", "page_view"]


def test_the_time_before_the_response_does_not_count(site: Site, browser: Browser) -> None:
    assert opened(site, browser, 0.5, before=3) == []


def test_a_slow_page_in_one_piece_is_none(site: Site, browser: Browser) -> None:
    assert opened(site, browser, 0, before=3, pieces=(b"<p>",)) == []


@pytest.mark.parametrize("content", [JSON, ("content-type", "video/mp4")])
def test_what_is_no_page_is_none_however_long(site: Site, browser: Browser, content: tuple[str, str]) -> None:
    browser.navigate()
    assert opened(site, browser, 60, content=content) == []


@pytest.mark.parametrize("pieces", [(b"data: 1\n\n", b"data: 2\n\n"), FILE])
@pytest.mark.parametrize("seconds", [0, 0.5, 600])
def test_an_event_stream_is_a_connection_however_short(
    site: Site, browser: Browser, seconds: float, pieces: tuple[bytes, ...]
) -> None:
    browser.navigate()
    assert opened(site, browser, seconds, content=EVENTS, pieces=pieces, headers=FETCH) == pytest.approx(
        [seconds * 1000]
    )
    (end,) = site.named("connection.end")
    assert end.attributes["http.response.status_code"] == 200
    assert end.attributes["url.path"] == "/file"
    assert end.session_id == site.sessions[0]


def test_an_event_stream_without_a_session_is_not_recorded(site: Site, browser: Browser) -> None:
    assert opened(site, browser, 5, content=EVENTS, headers=FETCH) == []
    browser.navigate()
    site.views["/out"] = view_of(opt_out)
    browser.navigate("/out")
    assert opened(site, browser, 5, content=EVENTS, headers=FETCH) == []
