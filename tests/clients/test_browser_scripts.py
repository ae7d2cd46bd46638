"""The vendors' own scripts in headless Chromium: their session ids are read off the requests of the page they run in.

`scripts/clients` installs the scripts and runs this; so does CI.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sojourn import Settings, current_session, track
from sojourn.core.events import PAGE_VIEW, START
from sojourn.starlette import Sojourn
from sojourn.testing.vendors.serving import served
from tests.chromium import in_chromium, launched

PLACE = Path(os.environ.get("SOJOURN_CLIENTS", "not installed")) / "node" / "node_modules"
SCRIPTS = {
    "posthog": PLACE / "posthog-js" / "dist" / "array.full.no-external.js",
    "rudderstack": PLACE / "@rudderstack" / "analytics-js" / "dist" / "npm" / "modern" / "bundled" / "umd" / "index.js",
}
RUDDER_SOURCE = {
    "source": {
        "id": "source",
        "name": "Shop",
        "writeKey": "key",
        "enabled": True,
        "workspaceId": "workspace",
        "connections": [],
        "destinations": [],
        "config": {"statsCollection": {"errors": {"enabled": False}, "metrics": {"enabled": False}}},
        "dataplanes": {},
    }
}

pytestmark = [
    *in_chromium,
    pytest.mark.skipif("SOJOURN_CLIENTS" not in os.environ, reason="scripts/clients installs the scripts"),
]


async def page_of(request: Request) -> Response:
    session = current_session()
    return HTMLResponse(f"""<!doctype html><title>Shop</title><p id=session>{session and session.id}</p>
        <p id=visitor>{session and session.visitor_id}</p><script src="/scripts/{request.path_params["vendor"]}"></script>""")


async def script(request: Request) -> Response:
    return FileResponse(SCRIPTS[request.path_params["vendor"]], media_type="text/javascript")


async def vendor(request: Request) -> Response:
    return JSONResponse(RUDDER_SOURCE if request.query_params.get("writeKey") else {})


async def api(_request: Request) -> Response:
    track("searched")
    return JSONResponse([])


class Visit:
    """A page in the browser, and what Sojourn made of it."""

    def __init__(self, page: Page, address: str, sojourn: Sojourn) -> None:
        self.page, self.address = page, address
        self._sojourn = sojourn

    def open(self, path: str) -> None:
        self.page.goto(self.address + path)

    def ids(self, attribute: str, event: str = PAGE_VIEW) -> list[object]:
        """What the events of one name have under an attribute in the store: only that vendor's backend gets it."""
        self._sojourn.engine.flush(5)
        events = self._sojourn.engine.store.log.after(START, limit=1000)
        return [each.attributes.get(attribute) for each in events if each.name == event]


@contextmanager
def visiting(name: str) -> Iterator[Visit]:
    everything = ["GET", "POST"]
    app = Starlette(
        routes=[
            Route("/shop/{vendor}/{page}", page_of),
            Route("/scripts/{vendor}", script),
            Route("/api", api),
            Route("/vendor/{rest:path}", vendor, methods=everything),
        ]
    )
    settings = Settings(
        secret_key="a key that only these tests use",
        store="memory:",
        browser_ids=[name],
        exclude=["/vendor/*"],
    )
    sojourn = Sojourn(app, settings)
    with launched() as chromium, sojourn.engine, served(app) as address:
        page = chromium.new_page()
        yield Visit(page, address, sojourn)
        page.close()


@pytest.fixture
def rudderstack() -> Iterator[Visit]:
    with visiting("rudderstack") as visit:
        yield visit


@pytest.fixture
def posthog() -> Iterator[Visit]:
    with visiting("posthog") as visit:
        yield visit


START_POSTHOG = """(options) => {
    posthog.init("phc_key", {
        api_host: location.origin + "/vendor", autocapture: false, disable_session_recording: true,
        advanced_disable_flags: true, ...options,
    });
    return posthog.get_session_id();
}"""


def test_posthogs_session_is_read_off_its_cookie(posthog: Visit) -> None:
    posthog.open("/shop/posthog/first")
    own_id = posthog.page.evaluate(START_POSTHOG, {})
    posthog.open("/shop/posthog/second")
    assert own_id
    assert posthog.page.evaluate(START_POSTHOG, {}) == own_id
    assert posthog.ids("posthog.session_id") == [None, own_id]


def test_posthogs_session_is_read_off_the_header_of_its_calls(posthog: Visit) -> None:
    posthog.open("/shop/posthog/first")
    only_in_memory = {"persistence": "memory", "tracing_headers": ["127.0.0.1"]}
    own_id = posthog.page.evaluate(START_POSTHOG, only_in_memory)
    posthog.page.wait_for_function("window.fetch.toString().indexOf('[native code]') < 0")
    posthog.page.evaluate("fetch('/api').then(reply => reply.json())")
    assert posthog.ids("posthog.session_id", "searched") == [own_id]


def test_posthogs_script_begins_with_the_session_that_the_page_hands_it(posthog: Visit) -> None:
    posthog.open("/shop/posthog/first")
    session, visitor = (posthog.page.inner_text(f"#{each}") for each in ("session", "visitor"))
    bootstrap = {"bootstrap": {"sessionID": session, "distinctID": visitor}}
    assert posthog.page.evaluate(START_POSTHOG, bootstrap) == session
    assert posthog.page.evaluate("posthog.get_distinct_id()") == visitor
    posthog.open("/shop/posthog/second")
    assert posthog.ids("posthog.session_id") == [None, session]


START_RUDDERSTACK = """() => new Promise(resolve => {
    window.script = new rudderanalytics.RudderAnalytics();
    script.load("key", location.origin + "/vendor", {
        configUrl: location.origin + "/vendor", onLoaded: () => resolve(script.getSessionId()),
    });
})"""


def test_rudderstacks_session_is_read_off_its_cookie(rudderstack: Visit) -> None:
    rudderstack.open("/shop/rudderstack/first")
    own_id = rudderstack.page.evaluate(START_RUDDERSTACK)
    rudderstack.open("/shop/rudderstack/second")
    assert own_id
    assert rudderstack.ids("rudderstack.session_id") == [None, str(own_id)]


def test_rudderstacks_script_takes_the_visitor_that_the_page_hands_it(rudderstack: Visit) -> None:
    rudderstack.open("/shop/rudderstack/first")
    visitor = rudderstack.page.inner_text("#visitor")
    rudderstack.page.evaluate(START_RUDDERSTACK)
    rudderstack.page.evaluate("visitor => script.setAnonymousId(visitor)", visitor)
    assert rudderstack.page.evaluate("script.getAnonymousId()") == visitor
