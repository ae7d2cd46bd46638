"""Two servers with a journal folder each, as on two hosts, and one store."""

from __future__ import annotations

import time

import httpx
import pytest

from .conftest import Place, Start

pytestmark = pytest.mark.slow
HTML = {"accept": "text/html"}


def test_cookie_from_before_a_call_is_known_as_old_at_the_other_host(place: Place, serve: Start) -> None:
    one = serve("gunicorn", workers=2, journal_dir=str(place.folder / "a"))
    other = serve("uvicorn", workers=2, journal_dir=str(place.folder / "b"))
    with httpx.Client(base_url=one.url, headers=HTML, timeout=30) as browser:
        browser.get("/in?user=anna")
        session = browser.get("/page").headers["x-session"]
        stale = dict(browser.cookies)
        browser.get("/in?user=ben")
        deadline = time.monotonic() + 30
        while httpx.get(f"{other.url}/page", cookies=stale, headers=HTML, timeout=30).headers["x-session"] == session:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert browser.get("/page").headers["x-session"] != session
    assert all((place.folder / host / "sessions.table").exists() for host in ("a", "b"))
