"""What the tests of several workers and of several hosts share: one browser, whose requests reach now this one, now that."""

from __future__ import annotations

from typing import Final

import pytest

from tests.doors.browser import HTML, Browser, Response, Site, view_of

PUBLIC: Final = Response(headers=(HTML, ("cache-control", "public")))

WITHOUT_A_COOKIE: Final = [
    pytest.param(lambda browser: browser.ask("HEAD", "/", {}), id="HEAD"),
    pytest.param(lambda browser: browser.navigate("/public"), id="public pages"),
    pytest.param(lambda browser: browser.navigate("/unchanged"), id="304"),
]
"""Requests whose responses carry none. `serve_without_a_cookie` makes their pages."""


def serve_without_a_cookie(site: Site) -> None:
    site.views["/public"] = view_of(response=PUBLIC)
    site.views["/unchanged"] = view_of(response=Response(status=304, headers=()))


def at(site: Site, browser: Browser) -> Browser:
    """The same browser, whose next request reaches this site."""
    return Browser(site, browser.scheme, browser.cookies, browser.client)
