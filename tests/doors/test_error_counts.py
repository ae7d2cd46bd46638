"""Errors are counted one way, through both doors: what the session, its end and its events say agrees."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from sojourn import capture_exception, track
from sojourn.stores.reporting.model import Filter, Span
from tests.doors.asgi_calls import call, door, scope
from tests.doors.browser import HTML, JSON, Browser, Response, Site, view_of

HOUR_MS = 3_600_000


class OwnError(Exception):
    """An error of an app."""


def capture() -> None:
    capture_exception(OwnError())


def capture_two() -> None:
    capture()
    capture()


FAILED = Response(500, (HTML,))


def counts(site: Site) -> tuple[int, int]:
    """Errors and refused pages of the only session; its end and its list entry say the same."""
    site.clock.advance(1800)
    site.engine.sweep()
    (end,) = site.named("session.end")
    (row,) = site.engine.store.sessions.latest(limit=2)
    (line,) = site.engine.store.sessions.page(Filter()).lines
    found = site.engine.store.sessions.page(Filter.of("errors=1..")).lines
    assert end.attributes["session.errors"] == row.errors == line.errors
    assert bool(found) is bool(row.errors)
    return line.errors, line.client_errors


def raising() -> None:
    raise OwnError


def capture_and_raise() -> None:
    error = OwnError()
    capture_exception(error)
    raise error


@pytest.mark.parametrize(
    ("views", "expected"),
    [
        pytest.param([], (0, 0), id="none"),
        pytest.param([view_of(capture), view_of(capture)], (2, 0), id="two captured exceptions"),
        pytest.param([view_of(capture), view_of(capture), view_of(response=FAILED)], (3, 0), id="and a failed page"),
        pytest.param([view_of(capture, response=FAILED)], (1, 0), id="a failed page and its exception"),
        pytest.param([view_of(capture, capture, response=FAILED)], (2, 0), id="a failed page and two exceptions"),
        pytest.param([raising], (1, 0), id="an unhandled exception"),
        pytest.param([capture_and_raise], (1, 0), id="an exception captured on its way out"),
        pytest.param([view_of(response=Response(404, (HTML,)))], (0, 1), id="a page that is missing"),
        pytest.param([view_of(capture, response=Response(403, (HTML,)))], (1, 1), id="a refused page and an exception"),
        pytest.param(
            [view_of(response=Response(500, (HTML,), late=capture))], (1, 0), id="an exception after the response"
        ),
        pytest.param([view_of(response=Response(500, (HTML,), late=capture_two))], (2, 0), id="two after it"),
        pytest.param([view_of(response=Response(late=capture))], (1, 0), id="an exception after a good response"),
        pytest.param([view_of(lambda: track("error"))], (0, 0), id="an event of the app"),
    ],
)
def test_errors_of_a_session(site: Site, browser: Browser, views: list[Any], expected: tuple[int, int]) -> None:
    browser.navigate()
    for view in views:
        site.views["/x"] = view
        with contextlib.suppress(OwnError):
            browser.navigate("/x")
    assert counts(site) == expected


def test_a_first_page_that_fails_counts_once(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(response=Response(500, (HTML,), late=capture))
    browser.navigate()
    assert counts(site) == (1, 0)


def test_an_exception_is_known_as_the_cause_of_the_page_that_failed_before_it(site: Site, browser: Browser) -> None:
    browser.navigate()

    def capture_later() -> None:
        site.clock.advance(0.005)
        capture()

    site.views["/x"] = view_of(response=Response(500, (HTML,), late=capture_later))
    browser.navigate("/x")
    site.clock.advance(1)
    site.views["/x"] = view_of(response=FAILED)
    browser.navigate("/x")
    site.engine.flush()
    now = site.clock.now()
    errors = site.engine.store.report.breakdowns(Span(now - HOUR_MS, now + HOUR_MS), ["errors"]).tables["errors"]
    assert sorted(name.partition(" at ")[0] for name in errors) == ["Status 500", f"{__name__}.OwnError"]
    assert [counts.sums[0] for counts in errors.values()] == [1, 1]


def test_a_failed_fetch_counts_by_its_exception(site: Site, browser: Browser) -> None:
    browser.navigate()
    site.views["/api"] = view_of(response=Response(500, (JSON,)))
    browser.fetch("/api")
    site.views["/api"] = view_of(capture, response=Response(500, (JSON,)))
    browser.fetch("/api")
    assert counts(site) == (1, 0)


def test_a_framework_that_responds_and_raises_again_counts_once() -> None:
    site = Site("asgi")
    browser = Browser(site)
    browser.navigate()

    async def app(asked: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"failed"})
        raise OwnError

    cookie = f"sojourn={browser.cookies['sojourn']}".encode()
    for _ in range(2):
        with pytest.raises(OwnError):
            call(door(site, app), scope(headers=[(b"cookie", cookie), (b"accept", b"text/html")]))
    assert counts(site) == (2, 0)
    site.close()
