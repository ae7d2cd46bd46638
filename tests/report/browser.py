"""An app with the report, in headless Chromium: what the browser tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from sojourn import Settings, identify, set_session_properties, track
from sojourn.starlette import Sojourn
from sojourn.testing.vendors.serving import served
from tests.chromium import launched
from tests.report.harness import PASSWORD

PATIENCE_MS = 15_000


async def anything(request: Request) -> HTMLResponse:
    """A page of the app; its query sets the user, properties and events."""
    query = request.query_params
    if user := query.get("user"):
        identify(user, query.get("name"))
    if plan := query.get("plan"):
        set_session_properties({"plan": plan})
    if name := query.get("event"):
        track(name, {"note": query.get("note", "")})
    return HTMLResponse("<title>Shop</title><p>hello", 500 if "fail" in query else 200)


@dataclass
class Site:
    """The app, and browsers at it."""

    address: str
    chromium: Browser
    sojourn: Sojourn
    faults: list[str] = field(default_factory=list)

    @property
    def report(self) -> str:
        return f"{self.address}/_sojourn"

    def page(self, **options: Any) -> Page:
        """A browser of its own."""
        context = self.chromium.new_context(locale="en", timezone_id="Europe/Vienna", **options)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("console", lambda message: self.faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        return page

    def visit(self, path: str, **query: str) -> Page:
        """Open the app as a new visitor, whose page stays open."""
        visitor = self.page(user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
        self.go(visitor, path, **query)
        return visitor

    def go(self, visitor: Page, path: str, **query: str) -> None:
        visitor.goto(f"{self.address}{path}?{'&'.join(f'{name}={quoted(value)}' for name, value in query.items())}")
        self.sojourn.engine.flush(5)

    def reader(self, **options: Any) -> Page:
        """A logged-in reader of the report."""
        page = self.page(**options)
        page.goto(f"{self.report}/login")
        page.get_by_label("Password or token").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("navigation", name="Menu")).to_be_visible()
        return page


def quoted(text: str) -> str:
    return quote(text, safe="")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@contextmanager
def site_at(folder: Path, chromium: Browser, **settings: Any) -> Iterator[Site]:
    """An app on a free loopback port, with a fresh store; any error in a console of its browsers fails the test."""
    app = Starlette(routes=[Route("/{rest:path}", anything)])
    store = f"sqlite:///{folder / 'sojourn.db'}"
    sojourn = Sojourn(app, Settings(secret_key="a key that only these tests use", store=store, **settings))
    sojourn.mount_report(password=PASSWORD)
    expect.set_options(timeout=PATIENCE_MS)
    with served(app) as address:
        site = Site(address, chromium, sojourn)
        try:
            yield site
        finally:
            for context in chromium.contexts:
                context.close()
            sojourn.engine.close()
    assert site.faults == []


@pytest.fixture
def site(chromium: Browser, tmp_path: Path) -> Iterator[Site]:
    with site_at(tmp_path, chromium) as site:
        yield site


def rows(page: Page) -> Any:
    return page.locator("table.sessions tbody tr")
