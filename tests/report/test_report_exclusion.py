"""Readers of the report are not tracked: through ASGI and WSGI."""

from __future__ import annotations

import pytest

from sojourn import identify
from tests.report.harness import App, Reader


@pytest.mark.parametrize("path", ["/", "/sessions", "/login", "/assets/x", "/nothing", "/live/online"])
def test_report_request_starts_no_session(app: App, path: str) -> None:
    reply = Reader(app).get(path)
    app.engine.flush()
    assert app.engine.stats().store.sessions == 0
    assert not [line for name, line in reply.headers if name == "set-cookie" and not line.startswith("sojourn_report")]
    assert app.engine.guard.counters() == {"report": 1}


def test_report_request_does_not_extend_a_session(app: App, reader: Reader) -> None:
    cookie = app.visit("/").header("set-cookie").partition(";")[0]
    before = app.engine.stats().store
    app.clock.advance(60)
    reader.cookies[cookie.partition("=")[0]] = cookie.partition("=")[2]
    assert reader.get("/").status == 200
    app.engine.flush()
    after = app.engine.stats().store
    assert (after.sessions, after.events) == (before.sessions, before.events)
    app.clock.advance(30 * 60 - 60)
    app.visit("/", cookie=cookie)
    assert app.engine.stats().store.sessions == 2  # idle since its last page: report requests do not count


def test_app_pages_are_still_tracked(app: App, reader: Reader) -> None:
    app.view = lambda: identify("anna")
    app.visit("/")
    reader.get("/")
    app.visit("/")
    assert app.engine.stats().store.sessions == 2
