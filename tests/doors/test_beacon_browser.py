"""The beacon in a real browser: headless Chromium, a page with a strict Content-Security-Policy, both clocks moved by hand.

The page's clock is moved by Playwright, the server's is a `ManualClock`: a minute of reading takes no time at all.
"""

from __future__ import annotations

import io
import json
import math
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from sojourn import Event, Settings
from sojourn.asgi import Message, Scope, SojournMiddleware
from sojourn.engine import Engine
from sojourn.stores import SQLiteStore
from sojourn.stores.reporting.model import Filter
from sojourn.testing import ManualClock, MemoryBackend
from sojourn.testing.vendors.serving import served
from tests.chromium import in_chromium, launched

SAME_DOCUMENT = "browser.navigation.same_document"
POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; media-src 'self'; frame-ancestors 'none'"
PAGE = """<!doctype html><title>Shop</title>
<script src="/-/sojourn.js" defer></script><script src="/assets/shop.js" defer></script>
<a id=cart href="/cart?utm_source=mail&token=secret">Cart</a> <a id=away href="/elsewhere">Elsewhere</a>
<audio id=loud src="/assets/tone.wav" loop></audio><audio id=muted muted src="/assets/tone.wav" loop></audio>
<textarea id=box rows=2>{lines}</textarea><pre>{lines}</pre>
""".format(lines="\n" * 300)
SHOP = """document.querySelector("#cart").onclick = event => {
  event.preventDefault();
  history.pushState(null, "", event.target.href);
};"""

pytestmark = in_chromium


def tone() -> bytes:
    """Half a second of sound."""
    samples = bytes(round(127 + 60 * math.sin(n / 5)) for n in range(4000))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(samples)
    return out.getvalue()


TONE = tone()


async def shop(scope: Scope, receive: Any, send: Callable[[Message], Any]) -> None:
    path = scope["path"]
    kind, body = {
        "/assets/shop.js": ("text/javascript", SHOP.encode()),
        "/assets/tone.wav": ("audio/wav", TONE),
        "/elsewhere": ("text/html", b"<!doctype html><title>Elsewhere</title>"),
    }.get(path, ("text/html", PAGE.encode()))
    headers = [(b"content-type", kind.encode()), (b"content-security-policy", POLICY.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Visit:
    """A page in the browser, what it sends, and what the server has made of it."""

    def __init__(self, page: Page, address: str, engine: Engine, clock: ManualClock, backend: MemoryBackend) -> None:
        self.page = page
        self.address = address
        self.clock = clock
        self._engine = engine
        self._backend = backend
        self.beacons: list[dict[str, str]] = []
        self.faults: list[str] = []
        page.on("console", lambda message: self.faults.append(message.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.context.on("request", self._sent)

    def _sent(self, request: Any) -> None:
        if request.url == f"{self.address}/-/sojourn":
            self.beacons.append({"method": request.method, **json.loads(request.post_data)})

    def open(self, path: str = "/") -> None:
        self.page.goto(self.address + path)

    def wait(self, seconds: int) -> None:
        """Let time pass, for the page and for the server."""
        self.clock.advance(seconds)
        self.page.clock.run_for(seconds * 1000)

    def take_beacons(self) -> list[tuple[str, str]]:
        """Return what was sent since the last call."""
        self.page.evaluate("fetch('/assets/shop.js')")  # what was sent before it has arrived, or is on its way
        beacons = [(each["kind"], each["page"]) for each in self.beacons]
        assert all(each["method"] == "POST" for each in self.beacons)
        self.beacons.clear()
        return beacons

    @property
    def events(self) -> list[Event]:
        self._engine.flush()
        return self._backend.events

    def eventually(self, holds: Callable[[], bool], what: str) -> None:
        for _ in range(500):
            if holds():
                return
            self.page.wait_for_timeout(10)
        pytest.fail(f"waited 5 s in vain: {what}")

    @property
    def last_seen_at(self) -> int:
        """The last activity, as the store has it."""
        self._engine.flush()
        store = self._engine.store
        assert isinstance(store, SQLiteStore)
        (line,) = store.sessions.page(Filter()).lines
        return line.last_seen_at


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched("--autoplay-policy=no-user-gesture-required") as browser:
        yield browser


@contextmanager
def visiting(context: BrowserContext) -> Iterator[Visit]:
    clock, backend = ManualClock(), MemoryBackend()
    settings = Settings(
        secret_key="a key that only these tests use", store="memory:", backends=[backend], beacon_path="/-/sojourn"
    )
    engine = Engine(settings, clock=clock)
    with (
        engine,
        served(SojournMiddleware(shop, engine=engine)) as address,
    ):  # the server stops first: a page that closes still sends a beacon
        page = context.new_page()
        page.clock.install()
        visit = Visit(page, address, engine, clock, backend)
        yield visit
        page.close()
    assert visit.faults == []
    assert "fault" not in engine.guard.counters()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    context = chromium.new_context()
    with visiting(context) as visit:
        yield visit
    context.close()


def move(page: Page) -> None:
    page.mouse.move(40, 40)
    page.mouse.move(60, 60)


def play(page: Page, which: str) -> None:
    page.evaluate(f"document.querySelector('#{which}').play()")
    page.wait_for_timeout(500)  # `timeupdate` comes four times a second, by the real clock
    assert page.evaluate(f"document.querySelector('#{which}').played.length") == 1


SIGNS = [
    pytest.param(lambda page: None, False, id="no sign of a user"),
    pytest.param(move, True, id="a pointer that moves"),
    pytest.param(lambda page: page.mouse.click(5, 5), True, id="a click or a touch"),
    pytest.param(lambda page: page.keyboard.press("ArrowRight"), True, id="a key"),
    pytest.param(lambda page: page.evaluate("scrollBy(0, 500)"), True, id="the page scrolls"),
    pytest.param(
        lambda page: page.evaluate("document.querySelector('#box').scrollBy(0, 99)"), False, id="a part scrolls alone"
    ),
    pytest.param(lambda page: play(page, "loud"), True, id="sound"),
    pytest.param(lambda page: play(page, "muted"), False, id="a muted film in the background"),
]


@pytest.mark.parametrize(("sign", "is_sent"), SIGNS)
def test_a_minute_with_a_sign_of_the_user_sends_one_beacon(
    visit: Visit, sign: Callable[[Page], object], is_sent: bool
) -> None:
    visit.open()
    sign(visit.page)
    visit.page.wait_for_timeout(50)  # the scroll event fires in the next frame
    visit.wait(60)
    assert visit.take_beacons() == ([("activity", "/")] if is_sent else [])
    visit.page.evaluate("document.querySelectorAll('audio').forEach(each => each.pause())")


def test_reading_is_one_session_and_its_cookie_stays_young(visit: Visit) -> None:
    visit.open()
    (minted,) = visit.page.context.cookies()
    started = visit.clock.now_ms
    for _ in range(40):
        move(visit.page)
        visit.wait(60)
        visit.take_beacons()
    visit.eventually(lambda: visit.last_seen_at == started + 2_400_000, "40 minutes are the session's")
    (renewed,) = visit.page.context.cookies()
    assert minted.get("value") != renewed.get("value")  # by the responses to `sendBeacon`: browsers take those
    names = [event.name for event in visit.events]
    assert names.count("session.start") == 1
    assert names.count("session.heartbeat") == 40


def test_no_beacons_after_the_user_goes_away(visit: Visit) -> None:
    visit.open()
    move(visit.page)
    visit.wait(60)
    visit.take_beacons()
    visit.wait(1800)
    assert visit.take_beacons() == []


def test_routing_within_the_page_is_page_views(visit: Visit) -> None:
    visit.open()
    page = visit.page
    page.click("#cart")
    page.evaluate("history.replaceState({at: 1}, '', '/cart?at=1')")  # the same page: a router notes where it was
    page.evaluate("location.hash = 'total'")
    page.evaluate("history.replaceState(null, '', '/checkout')")
    page.evaluate("history.go(-1)")  # the hash was an entry of its own: this is the cart again
    visit.eventually(lambda: len(visit.beacons) == 3, "three page views are sent")
    assert visit.take_beacons() == [
        ("page_view", "/cart?utm_source=mail&token=secret"),
        ("page_view", "/checkout"),
        ("page_view", "/cart?at=1"),
    ]
    visit.eventually(lambda: len(visit.events) == 5, "all of it is recorded")
    views = [event.attributes for event in visit.events if event.name == "page_view"]
    assert [(view["url.path"], view.get("url.query"), view.get(SAME_DOCUMENT)) for view in views] == [
        ("/", None, None),
        ("/cart", "utm_source=mail", True),
        ("/checkout", None, True),
        ("/cart", None, True),
    ]


def test_the_last_word_counts_the_time_on_the_last_page(visit: Visit) -> None:
    visit.open()
    started = visit.clock.now_ms
    visit.wait(20)
    move(visit.page)
    visit.wait(25)
    visit.page.goto("about:blank")
    visit.eventually(lambda: visit.last_seen_at == started + 45_000, "the page says that it is left")


@pytest.mark.parametrize(
    ("untouched", "count"),
    [pytest.param(20, 1, id="left just now"), pytest.param(900, 0, id="the screen locks itself")],
)
def test_hiding_sends_a_last_beacon_after_recent_activity(visit: Visit, untouched: int, count: int) -> None:
    visit.open()
    visit.wait(untouched)
    hide(visit.page, is_hidden=True)
    assert len(visit.take_beacons()) == count
    move(visit.page)
    visit.wait(120)
    assert visit.take_beacons() == []  # the page is hidden
    hide(visit.page, is_hidden=False)
    visit.wait(60)
    assert len(visit.take_beacons()) == 1  # coming back is a sign


def hide(page: Page, *, is_hidden: bool) -> None:
    """As another tab in front of it does: headless browsers have none."""
    page.evaluate(
        "is => { Object.defineProperty(document, 'hidden', {get: () => is, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange', {bubbles: true})) }",
        is_hidden,
    )


def test_going_back_to_a_page_that_the_browser_kept_is_a_page_view(visit: Visit) -> None:
    visit.open()
    visit.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: false}))")
    visit.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    assert visit.take_beacons() == [("restored", "/")]
    visit.eventually(lambda: len(visit.events) == 3, "it is recorded")
    assert visit.events[-1].attributes[SAME_DOCUMENT] is False
