"""What a view sees of its session before the first byte."""

from __future__ import annotations

from typing import Any

from sojourn import current_session, end_session
from tests.doors.browser import Browser, Site, view_of


def test_the_number_of_the_visit_counts_this_browsers_sessions(site: Site, browser: Browser) -> None:
    seen: list[Any] = []
    site.views["/"] = view_of(lambda: seen.append(current_session()))
    site.views["/out"] = view_of(end_session)
    browser.navigate("/")
    browser.navigate("/")
    site.clock.advance(3600)
    browser.navigate("/")  # after the idle timeout
    browser.navigate("/out")
    browser.navigate("/")
    Browser(site).navigate("/")
    assert [session.visit_number for session in seen] == [1, 1, 2, 3, 1]
    assert [session.is_new for session in seen] == [True, False, True, True, True]
